//! `forthright cot reproduce`: the paper's claims that can be measured here, and ours.

mod claims;
mod config;
mod secret;
mod stages;
mod tasks;
mod toys;

use std::path::PathBuf;

use clap::Args;
pub(super) use config::Config;
use config::WorldConfig;
use cot_metrics::organisms::Organism;
use rl_core::{device, run::LineWriter, seed::Seed};
use serde_json::json;
use stages::{Place, Stage};
use tch::Device;

use super::tally::Tally;
use crate::{
    claims::Claims,
    lm::model::{Dtype, Model},
    reproduce::{Flags, Resume},
    scale::Scale,
    session::Session,
    terminal::print,
};

const PAPER: &str = "arXiv 2602.13904";

/// Closed-form toys, organisms from scratch, a language model on tasks, and a monitored training
#[derive(Args)]
pub(crate) struct Reproduce {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    going_on: Resume,
}

/// What all parts of the run need.
struct Run<'a> {
    session: &'a Session,
    metrics: LineWriter,
    samples: LineWriter,
    compare: bool,
    seed: Seed,
    resume: bool,
    model: &'a Model,
    device: Device,
    claims: Claims,
}

/// An organism as it ended, in one seed of a world.
struct Made {
    seed: u64,
    name: String,
    organism: Organism,
    tallies: Vec<Tally>,
}

impl Made {
    /// The evaluation at the end.
    fn last(&self) -> Option<&Tally> {
        self.tallies.last()
    }
}

impl Reproduce {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = config::settings(self.flags.scale, self.flags.config.as_deref())?;
        if self.flags.dry_run {
            return self.say(&config);
        }
        self.flags.check_model(&self.model)?;
        let options = self.model.options(Dtype::Bf16)?;
        let device_name = device::name(options.device);
        let session = self.flags.open("cot", &config, &device_name)?;
        let mut run = Run {
            metrics: session.dir.lines("metrics.jsonl")?,
            samples: session.dir.lines("samples.jsonl")?,
            session: &session,
            compare: config.compare,
            seed: Seed::new(self.flags.seed),
            resume: self.going_on.resume,
            model: &self.model,
            device: options.device,
            claims: self.flags.claims(),
        };

        run.toys(config.toys)?;
        for world in &config.worlds {
            let bases = run.world(world)?;
            if let Some(secret) = config.secret.as_ref().filter(|s| s.world == world.name) {
                run.secret(world, secret, &bases)?;
            }
        }
        if !config.tasks.is_empty() {
            let model = self.model.load(Dtype::Bf16)?;
            for task in &config.tasks {
                run.task(&model, task)?;
            }
        }
        let claims = run.claims;
        session.conclude(claims.all())
    }

    /// What a run would do and need.
    fn say(&self, config: &Config) -> anyhow::Result<()> {
        print(format_args!("toys: {} examples each", config.toys))?;
        for world in &config.worlds {
            let names: Vec<String> =
                world.organisms.iter().map(config::OrganismConfig::name).collect();
            let about = match &world.task {
                Some(task) => {
                    let model = self.model.model.as_ref();
                    let model =
                        model.map_or("the default model".into(), |path| path.display().to_string());
                    format!("{} by {model}", task.problem.name())
                }
                None => format!("{} turns", world.wheel().turns),
            };
            print(format_args!(
                "{}: {} seeds of a base model and {}; {about}, {} problems",
                world.name,
                world.seeds,
                names.join(", "),
                world.evaluate.problems
            ))?;
        }
        for task in &config.tasks {
            let (name, problems) = (task.task.name(), task.problems);
            print(format_args!("{name}: {problems} problems, {} recorded", task.recorded))?;
        }
        if self.flags.scale == Scale::Paper {
            print(
                "model: --model FOLDER, such as Olmo-3-7B-Think or Qwen3-4B, and a GPU for its time",
            )?;
        }
        self.flags.say_where()
    }
}

impl Run<'_> {
    /// All organisms of a world; the folders of the base models, one a seed.
    fn world(&mut self, world: &WorldConfig) -> anyhow::Result<Vec<PathBuf>> {
        let (mut bases, mut made) = (Vec::new(), Vec::new());
        for seed in 0..world.seeds {
            let place = Place { world, seed };
            let stage = Stage {
                name: "baseline",
                organism: Organism::Baseline,
                from: None,
                recipe: &world.recipe,
                part: &world.base,
            };
            let (base, tallies) = self.make(place, &stage)?;
            let name = "baseline".to_owned();
            made.push(Made { seed, name, organism: Organism::Baseline, tallies });
            for config in &world.organisms {
                let name = config.name();
                let stage = Stage {
                    name: &name,
                    organism: config.organism,
                    from: Some(&base),
                    recipe: config.recipe.as_ref().unwrap_or(&world.recipe),
                    part: &config.part,
                };
                let (_, tallies) = self.make(place, &stage)?;
                made.push(Made { seed, name, organism: config.organism, tallies });
            }
            bases.push(base);
        }
        for one in &made {
            self.shown(world, one)?;
        }
        self.conclude(world, &made)?;
        Ok(bases)
    }

    /// The evaluations of an organism along its training, and the records at its end.
    fn shown(&mut self, world: &WorldConfig, made: &Made) -> anyhow::Result<()> {
        for tally in &made.tallies {
            let series = format!("{}-{}/{}", world.name, made.seed, made.name);
            let mut line = json!({ "series": series, "x": "step", "step": tally.step });
            if let Some(fields) = line.as_object_mut() {
                fields.extend(tally.numbers());
            }
            self.metrics.push(&line)?;
        }
        Ok(())
    }
}
