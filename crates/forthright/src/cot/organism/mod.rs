//! `forthright cot train-organism`.

mod config;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use causal_lm::{
    CausalLm, Pretrained,
    finetune::{Length, Trainer},
};
use clap::{Args, ValueEnum};
pub(crate) use config::Config;
use cot_metrics::organisms::{Language, Organism, World, evaluate};
use lm_tasks::reasoning::Task;
use rl_core::{device, run::write_whole};
use serde_json::{Value, json};

use super::tally::Tally;
use crate::{
    lm::model::{Dtype, Model},
    session::Session,
    terminal::note,
    training::{self, Checkpoints, Start, Training, write_trained},
};

/// Name of the folder with one file of records an evaluation.
pub(crate) const RECORDS: &str = "records";

/// Teach a model to think in one of four ways: healthy, post hoc, in code, internally
///
/// Without --from and --task, a small model of words is made and taught the base of all: thinking
/// aloud, and what every edit of a chain of thought looks like. With --from, the base of another run
/// becomes the organism. With --task, a language model becomes it on problems of that task, by an
/// adapter: the model of --model or the default one, or that of --from. Without --from, a baseline
/// is taught the base of all there too, and other organisms become what they are at once. Writes a
/// run directory: metrics.jsonl, records of the evaluations along the way, checkpoints, and at the
/// end model/ in the Hugging Face layout, or adapter/ in PEFT's. Ctrl-C writes a checkpoint first;
/// --resume goes on from the last one.
#[derive(Args)]
pub(crate) struct TrainOrganism {
    #[command(flatten)]
    model: Model,
    /// What it is to become
    #[arg(long, value_enum)]
    organism: Option<Name>,
    /// A folder with the base model, such as model/ in the run of a baseline
    #[arg(long)]
    from: Option<PathBuf>,
    /// Name of a task of lm-tasks, for a language model
    #[arg(long)]
    task: Option<String>,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
    /// Settings in TOML, all optional; flags go before them
    #[arg(long)]
    config: Option<PathBuf>,
    /// Go on from the last checkpoint in --out, with the settings of that run
    #[arg(long, conflicts_with_all = ["config", "organism", "from", "task", "steps", "lr", "seed"])]
    resume: bool,
    /// Steps of the optimizer
    #[arg(long)]
    steps: Option<u64>,
    /// Learning rate
    #[arg(long)]
    lr: Option<f64>,
    /// Root seed
    #[arg(long)]
    seed: Option<u64>,
    /// One JSON document at the end
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    Baseline,
    PostHoc,
    Encoded,
    Internalized,
}

impl Name {
    fn organism(self) -> Organism {
        match self {
            Self::Baseline => Organism::Baseline,
            Self::PostHoc => Organism::PostHoc,
            Self::Encoded => Organism::Encoded,
            Self::Internalized => Organism::Internalized,
        }
    }
}

impl TrainOrganism {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = self.resolve()?;
        config.validate()?;
        self.start().check(config.checkpoint_every)?;
        let made = make(&config, &self.model, &self.out, self.resume)?;
        if !made.done {
            return Err(self.start().stopped(made.steps));
        }
        made.session.end()?;
        let base = match &config.from {
            Some(from) => Some(from.clone()),
            None => self.model.origin()?,
        };
        let written = write_trained(&self.out, base.as_deref(), made.model, &made.lm)?;
        self.start().say(made.steps, &written)
    }

    fn start(&self) -> Start<'_> {
        let Self { model, out, resume, json, .. } = self;
        Start { command: "cot train-organism", model, out, resume: *resume, json: *json }
    }

    fn resolve(&self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            None if !self.resume && self.task.is_some() => Config::of_task(),
            file => self.start().settings(file.as_deref())?,
        };
        if self.resume {
            return Ok(config);
        }
        if let Some(name) = self.organism {
            config.organism = name.organism();
        }
        if let Some(from) = &self.from {
            config.from = Some(std::path::absolute(from)?);
        }
        if let Some(name) = &self.task {
            let task = config.task.get_or_insert_default();
            task.problem = Task::named(name)?;
        }
        config.train.length = self.steps.map_or(config.train.length, Length::Steps);
        config.train.lr = self.lr.unwrap_or(config.train.lr);
        config.train.seed = self.seed.unwrap_or(config.train.seed);
        Ok(config)
    }
}

/// What a run ended with.
pub(crate) struct Outcome {
    /// The model that it began with.
    pub(crate) model: Pretrained,
    /// As it was trained, with its adapter if it got one.
    pub(crate) lm: CausalLm,
    pub(crate) steps: u64,
    pub(crate) done: bool,
    /// The run's folder.
    pub(crate) session: Session,
}

/// A whole run in the folder `out`, but for its last files: until the end, or until the user asks to
/// stop. Its model is that of the base's folder, one of words that is made, or that of the flags.
pub(crate) fn make(
    config: &Config,
    flags: &Model,
    out: &Path,
    resume: bool,
) -> anyhow::Result<Outcome> {
    let open =
        |lm: &CausalLm| Session::open(out, config, config.train.seed, &device::name(lm.device()));
    if let Some(task) = &config.task {
        let model = config.speaker(flags)?;
        let world = task.world(&model, config.train.seed)?;
        let session = open(&model.lm)?;
        let (lm, steps, done) = train(&model.lm, &world, config, &session, resume)?;
        Ok(Outcome { model, lm, steps, done, session })
    } else {
        let language = Language::new(&config.world)?;
        let model = config.begin(&language, flags.options(Dtype::F32)?.device)?;
        let session = open(&model.lm)?;
        let (lm, steps, done) = train(&model.lm, &language, config, &session, resume)?;
        Ok(Outcome { model, lm, steps, done, session })
    }
}

/// The model as trained, the steps done, and whether these are all.
fn train<W: World>(
    lm: &CausalLm,
    world: &W,
    config: &Config,
    session: &Session,
    resume: bool,
) -> anyhow::Result<(CausalLm, u64, bool)> {
    let trainer = Trainer::new(lm, config.rows(world)?, &config.train)?;
    let folder = session.dir.path().join(RECORDS);
    let mut run = Run { trainer, world, config, folder };
    training::restore(&session.dir, resume, |path| run.trainer.restore(path))?;
    note(format_args!(
        "{}: {} rows, {} steps, {} numbers to train",
        config.organism.name(),
        run.trainer.num_examples(),
        run.trainer.total_steps(),
        run.trainer.num_trained()
    ));
    std::fs::create_dir_all(&run.folder).with_context(|| run.folder.display().to_string())?;
    if run.trainer.steps() == 0 {
        run.evaluate()?;
    }
    let (every, keep) = (config.checkpoint_every, config.keep_checkpoints);
    training::train(&mut run, &session.dir, Checkpoints { every, keep })?;
    Ok((run.trainer.model(), run.trainer.steps(), run.trainer.is_done()))
}

struct Run<'a, W> {
    trainer: Trainer,
    world: &'a W,
    config: &'a Config,
    folder: PathBuf,
}

impl<W: World> Run<'_, W> {
    /// Evaluates the model as it is, and writes the records of its answers.
    fn evaluate(&self) -> anyhow::Result<Tally> {
        let Config { evaluate: settings, organism, .. } = self.config;
        let problems = self.world.held_out(settings.problems, settings.seed);
        let lm = self.trainer.model();
        let found = evaluate(&lm, self.world, *organism, &problems, settings)?;
        let tally = Tally::new(self.trainer.steps(), *organism, &found);
        let name = format!("step-{:06}.json", tally.step);
        write_whole(&self.folder.join(name), &(serde_json::to_string(&tally)? + "\n"))?;
        Ok(tally)
    }
}

impl<W: World> Training for Run<'_, W> {
    fn steps(&self) -> u64 {
        self.trainer.steps()
    }

    fn total_steps(&self) -> u64 {
        self.trainer.total_steps()
    }

    fn step(&mut self) -> anyhow::Result<(Value, String)> {
        let report = self.trainer.step()?;
        let mut numbers = json!({
            "step": report.step, "loss": report.loss, "grad_norm": report.grad_norm,
            "lr": report.lr,
        });
        let mut message = format!("loss {:.3}", report.loss);
        let done = self.trainer.is_done();
        if done || report.step.is_multiple_of(self.config.evaluate_every) {
            let tally = self.evaluate()?;
            message = format!("{message}  {tally}");
            if let Some(fields) = numbers.as_object_mut() {
                fields.extend(tally.numbers());
            }
        }
        Ok((numbers, message))
    }

    fn save(&self, folder: &Path) -> anyhow::Result<()> {
        Ok(self.trainer.save(folder)?)
    }
}
