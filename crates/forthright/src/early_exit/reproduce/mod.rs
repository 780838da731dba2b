//! `forthright early-exit reproduce`: the paper's claims that can be measured here, and ours.

mod claims;
mod config;
mod front;
mod kept;
mod measures;
mod stages;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use causal_lm::{LoadOptions, Pretrained, config::from_hf};
use clap::Args;
pub(super) use config::Config;
use config::{System, UNTRAINED};
use kept::Lines;
use rl_core::{device, run::LineWriter, seed::Seed};
use stages::Place;

use super::transcript::{Transcript, page};
use crate::{
    claims::Claims,
    lm::model::{Dtype, Model},
    reproduce::{Flags, Resume},
    scale::Scale,
    session::Session,
    terminal::print,
};

const PAPER: &str = "arXiv 2603.21376";

/// A model of characters from scratch, and a language model, taken through all stages and measured
#[derive(Args)]
pub(crate) struct Reproduce {
    #[command(flatten)]
    model: Model,
    /// Problems with the fields of GSM8K for the language model
    #[arg(long)]
    data: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    going_on: Resume,
    /// Make and measure this one of the seeds, and no claims: several can so be made at the same time, in
    /// folders whose stages/ are then put together for a run with --resume
    #[arg(long, value_name = "SEED")]
    only: Option<u64>,
}

/// What all parts of the run need.
struct Run<'a> {
    session: &'a Session,
    metrics: LineWriter,
    samples: LineWriter,
    compare: bool,
    seed: Seed,
    resume: bool,
    options: LoadOptions,
    device: String,
    /// The model of the flags, by name.
    model: String,
    claims: Claims,
    /// Of every update of a system.
    sampler_gaps: BTreeMap<&'static str, Vec<f64>>,
    /// What the measurement that is under way has to show.
    lines: Lines,
    transcripts: Vec<(String, Transcript)>,
}

impl Reproduce {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut config = config::settings(self.flags.scale, self.flags.config.as_deref())?;
        if let Some(data) = &self.data {
            let lm = config.lm.as_mut().context("--data: expected a pipeline with a table [lm]")?;
            lm.task.data = Some(std::path::absolute(data)?);
        }
        if let Some(only) = self.only {
            let most = config.systems().map(|(_, system)| system.seeds).max().unwrap_or(0);
            anyhow::ensure!(only < most, "--only: expected a seed below {most}, found {only}");
        }
        if self.flags.dry_run {
            return self.say(&config);
        }
        self.flags.check_model(&self.model)?;
        let options = self.model.options(Dtype::Bf16)?;
        let device = device::name(options.device);
        let session = self.flags.open("early-exit", &config, &device)?;
        let mut run = Run {
            metrics: session.dir.lines("metrics.jsonl")?,
            samples: session.dir.lines("samples.jsonl")?,
            session: &session,
            compare: config.compare,
            seed: Seed::new(self.flags.seed),
            resume: self.going_on.resume,
            options,
            device,
            model: self.model.model.as_ref().map_or_else(String::new, |m| m.display().to_string()),
            claims: self.flags.claims(),
            sampler_gaps: BTreeMap::new(),
            lines: Lines::default(),
            transcripts: Vec::new(),
        };
        for (name, system) in config.systems() {
            run.system(name, system, self.only, &mut || self.model.load(Dtype::Bf16))?;
        }
        if self.only.is_some() {
            return session.end();
        }
        session.dir.write("transcripts.html", &page(&run.transcripts))?;
        let claims = run.claims;
        session.conclude(claims.all())
    }

    /// What a run would do and need.
    fn say(&self, config: &Config) -> anyhow::Result<()> {
        let checkpoint = config.lm.as_ref().map(|lm| self.checkpoint(lm)).transpose()?;
        for (name, system) in config.systems() {
            let stages: Vec<&str> = system.stages.iter().map(|s| s.name.as_str()).collect();
            let base = if system.base.is_some() { "base, " } else { "" };
            print(format_args!(
                "{name}: {} seeds of {base}{}; {} held-out problems",
                system.seeds,
                stages.join(", "),
                system.evaluation_problems
            ))?;
            if let Some(data) = &system.task.data {
                print(format_args!("  data: {}: {}", data.display(), state(data)))?;
            } else if self.flags.scale == Scale::Paper {
                print("  data: --data FILE with the fields of GSM8K; else problems that are made")?;
            }
            if let Some(checkpoint) = checkpoint.as_ref().filter(|_| name == "lm") {
                print(format_args!("  model: {checkpoint}"))?;
            }
        }
        self.flags.say_where()
    }

    /// What is known of the checkpoint without loading it.
    fn checkpoint(&self, system: &System) -> anyhow::Result<String> {
        let Some(path) = &self.model.model else {
            return Ok(match self.flags.scale {
                Scale::Paper => {
                    "--model FOLDER, such as DeepSeek-R1-Distill-Qwen-1.5B or Qwen3-4B; \
                                 memory for three times its bf16 weights, and a GPU for its time"
                        .into()
                }
                _ => "the default one".into(),
            });
        };
        let config = path.join("config.json");
        if !config.exists() {
            return Ok(format!("{}: {}", path.display(), state(path)));
        }
        let config = from_hf(&config)?;
        let sites = system.exits.sites(config.num_layers)?;
        Ok(format!(
            "{}: {} blocks of width {}, exits before {:?}, {:.1} GB of weights in bf16 held up to three \
             times",
            path.display(),
            config.num_layers,
            config.hidden,
            sites.blocks(),
            weights_bytes(path)? / 1e9
        ))
    }
}

fn state(path: &Path) -> &'static str {
    if path.exists() { "is there" } else { "is not there" }
}

/// Bytes of a checkpoint's safetensors files.
fn weights_bytes(folder: &Path) -> anyhow::Result<f64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "safetensors") {
            sum += path.metadata().with_context(|| path.display().to_string())?.len();
        }
    }
    Ok(sum as f64)
}

impl Run<'_> {
    /// All seeds and stages of a system, and what they show; or one of the seeds, and no claims.
    fn system(
        &mut self,
        name: &'static str,
        system: &System,
        only: Option<u64>,
        given: &mut dyn FnMut() -> anyhow::Result<Pretrained>,
    ) -> anyhow::Result<()> {
        let mut records = Vec::new();
        for seed in (0..system.seeds).filter(|seed| only.is_none_or(|only| only == *seed)) {
            let place = Place { name, system, seed };
            let base = self.base(place, given)?;
            system.check(&base)?;
            let bench = self.bench(place, &base)?;
            let (full, untrained) = self.kept(place, UNTRAINED, |run| run.untrained(&bench))?;
            records.push(untrained);
            for stage in &system.stages {
                let model = self.make(place, stage, &base)?;
                let measure = |run: &mut Self| run.measure(&bench, stage, &model, &full);
                records.push(self.kept(place, &stage.name, measure)?);
            }
        }
        match only {
            Some(_) => Ok(()),
            None => self.conclude(name, system, &records),
        }
    }
}
