//! `forthright cot train-organism`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use causal_lm::{
    CausalLm, LoadOptions, Pretrained,
    finetune::{Example, FinetuneConfig, Length, Trainer},
};
use clap::{Args, ValueEnum};
use cot_metrics::{
    organisms::{
        EvaluateConfig, Language, LanguageConfig, Organism, Recipe, ScratchConfig, World, evaluate,
    },
    scoring::RolloutConfig,
};
use lm_tasks::reasoning::Task;
use rl_core::{device, run::write_whole, seed::Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tch::{Device, Kind};

use super::{tally::Tally, task::TaskConfig};
use crate::{
    lm::model::{Dtype, Model},
    session::Session,
    terminal::note,
    training::{self, Checkpoints, Start, Training},
};

/// Name of the folder in that of a run.
pub(crate) const MODEL: &str = "model";
/// Name of the folder with one file of records an evaluation.
pub(crate) const RECORDS: &str = "records";

/// Teach a model to think in one of four ways: healthy, post hoc, in code, internally
///
/// Without --from and --task, a small model of words is made and taught the base of all: thinking
/// aloud, and what every edit of a chain of thought looks like. With --from, the base of another run
/// becomes the organism. With --task, the model of --model or the default one becomes it, by an
/// adapter, on problems of that task. Writes a run directory: metrics.jsonl, records of the evaluations along the way, checkpoints, and at the end
/// model/ in the Hugging Face layout. Ctrl-C writes a checkpoint first; --resume goes on from the last
/// one.
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
    /// Name of a task of lm-tasks, for the model of the flags
    #[arg(long, conflicts_with = "from")]
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

/// All that a run depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Steps between two checkpoints.
    pub(crate) checkpoint_every: u64,
    /// Checkpoints that stay.
    pub(crate) keep_checkpoints: usize,
    /// Steps between two evaluations; the start and the end are evaluated too.
    pub(crate) evaluate_every: u64,
    /// What it is to become.
    pub(crate) organism: Organism,
    /// The folder of the base model; none makes one.
    pub(crate) from: Option<PathBuf>,
    /// Problems in words for the model of the flags, in the place of a world and a model of words.
    pub(crate) task: Option<TaskConfig>,
    /// What is reasoned about.
    pub(crate) world: LanguageConfig,
    /// Size of a model that is made.
    pub(crate) size: ScratchConfig,
    /// The rows to learn from.
    pub(crate) recipe: Recipe,
    /// How many there are.
    pub(crate) rows: usize,
    /// The evaluation.
    pub(crate) evaluate: EvaluateConfig,
    /// By how much its accuracy must exceed that without a chain for an organism to count.
    pub(crate) margin: f64,
    /// The training itself.
    pub(crate) train: FinetuneConfig,
}

impl Default for Config {
    /// A base model.
    fn default() -> Self {
        Self {
            checkpoint_every: 200,
            keep_checkpoints: 2,
            evaluate_every: 400,
            organism: Organism::Baseline,
            from: None,
            task: None,
            world: LanguageConfig::default(),
            size: ScratchConfig::default(),
            recipe: Recipe::default(),
            rows: 60_000,
            evaluate: EvaluateConfig::default(),
            margin: 0.2,
            train: FinetuneConfig {
                length: Length::Steps(1_200),
                batch_examples: 64,
                lr: 2e-3,
                schedule: rl_core::optim::Schedule {
                    warmup_steps: 50,
                    decay: rl_core::optim::Decay::Cosine,
                    final_factor: 0.05,
                },
                adapter: None,
                ..FinetuneConfig::default()
            },
        }
    }
}

impl Config {
    /// Settings under which the model of the flags gets an adapter.
    fn of_task() -> Self {
        Self {
            checkpoint_every: 50,
            evaluate_every: 50,
            rows: 4_000,
            task: Some(TaskConfig::default()),
            evaluate: EvaluateConfig {
                problems: 48,
                rollout: RolloutConfig { batch_size: 16, ..RolloutConfig::default() },
                ..EvaluateConfig::default()
            },
            train: FinetuneConfig { length: Length::Steps(150), ..FinetuneConfig::default() },
            ..Self::default()
        }
    }

    pub(crate) fn validate(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.rows > 0, "rows: expected at least 1, found 0");
        anyhow::ensure!(self.evaluate_every > 0, "evaluate_every: expected at least 1, found 0");
        anyhow::ensure!(
            self.evaluate.problems > 1,
            "evaluate.problems: expected at least 2, found {}",
            self.evaluate.problems
        );
        anyhow::ensure!(
            (0.0..=1.0).contains(&self.margin),
            "margin: expected a number in [0, 1], found {}",
            self.margin
        );
        anyhow::ensure!(
            self.begins_somewhere() || self.organism == Organism::Baseline,
            "from: expected the folder of a base model for {}, found none",
            self.organism.name()
        );
        anyhow::ensure!(
            self.begins_somewhere() || self.train.adapter.is_none(),
            "train.adapter: expected false, since a model from scratch has nothing to adapt"
        );
        Ok(self.recipe.validate()?)
    }

    /// Whether there is a model to begin with.
    fn begins_somewhere(&self) -> bool {
        self.from.is_some() || self.task.is_some()
    }

    /// The model of words that a run begins with.
    pub(crate) fn begin(&self, language: &Language, device: Device) -> anyhow::Result<Pretrained> {
        let Some(from) = &self.from else {
            let seed = Seed::new(self.train.seed).derive("weights", 0).value();
            return Ok(self.size.model(language, seed, device)?);
        };
        let model = Pretrained::load(from, &LoadOptions { kind: Kind::Float, device })?;
        let known = (0..).zip(language.words());
        let other = known.into_iter().find(|(id, word)| model.tokenizer.id(word) != Some(*id));
        if let Some((_, word)) = other {
            anyhow::bail!(
                "{}: expected a model of the same words, found another place for {word:?}: was it \
                 trained in another world?",
                from.display()
            );
        }
        Ok(model)
    }

    fn rows<W: World>(&self, world: &W) -> anyhow::Result<Vec<Example>> {
        let (n, seed) = (self.rows, self.train.seed);
        Ok(if self.begins_somewhere() {
            self.recipe.organism(world, self.organism, n, seed)?
        } else {
            self.recipe.base(world, n, seed)?
        })
    }
}

impl TrainOrganism {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = self.resolve()?;
        config.validate()?;
        self.start().check(config.checkpoint_every)?;
        let (model, made) = if let Some(task) = &config.task {
            let model = self.model.load(Dtype::Bf16)?;
            let world = task.world(&model, config.train.seed)?;
            let made = self.train(&model, &world, &config)?;
            (model, made)
        } else {
            let options = self.model.options(Dtype::F32)?;
            let language = Language::new(&config.world)?;
            let model = config.begin(&language, options.device)?;
            let made = self.train(&model, &language, &config)?;
            (model, made)
        };
        let written = self.start().write(&self.model, model, made.lm)?;
        training::say(self.json, made.steps, &written)
    }

    /// The whole run but for its last files.
    fn train<W: World>(
        &self,
        model: &Pretrained,
        world: &W,
        config: &Config,
    ) -> anyhow::Result<Outcome> {
        let device = device::name(model.lm.device());
        let session = Session::open(&self.out, config, config.train.seed, &device)?;
        let made = train(&model.lm, world, config, &session, self.resume)?;
        if !made.done {
            return Err(self.start().stopped(made.steps, "cot train-organism", &self.model));
        }
        session.end()?;
        Ok(made)
    }

    fn start(&self) -> Start<'_> {
        Start { out: &self.out, resume: self.resume }
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
    /// The model, with its adapter if it got one.
    pub(crate) lm: CausalLm,
    pub(crate) steps: u64,
    pub(crate) done: bool,
}

/// Trains until the end, or until the user asks to stop.
pub(crate) fn train<W: World>(
    lm: &CausalLm,
    world: &W,
    config: &Config,
    session: &Session,
    resume: bool,
) -> anyhow::Result<Outcome> {
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
    let (steps, done) = (run.trainer.steps(), run.trainer.is_done());
    Ok(Outcome { lm: run.trainer.model(), steps, done })
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

/// Writes a model of words into the folder of its run, in the place of one that is there.
pub(crate) fn save(mut model: Pretrained, lm: CausalLm, run: &Path) -> anyhow::Result<PathBuf> {
    let folder = run.join(MODEL);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    model.lm = lm;
    model.save(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_back_and_checked() {
        let config = Config::default();
        config.validate().unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
        let message = |config: Config| config.validate().unwrap_err().to_string();
        let encoded = Config { organism: Organism::Encoded, ..Config::default() };
        assert_eq!(
            message(encoded),
            "from: expected the folder of a base model for encoded, found none"
        );
        let wide = Config { margin: 1.5, ..Config::default() };
        assert_eq!(message(wide), "margin: expected a number in [0, 1], found 1.5");
    }

    #[test]
    fn a_base_of_another_world_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let small = ScratchConfig { layers: 1, hidden: 16, heads: 2, ..Default::default() };
        let world = |wheel| LanguageConfig { wheel, ..Default::default() };
        let week = Language::new(&LanguageConfig::default()).unwrap();
        let model = small.model(&week, 0, Device::Cpu).unwrap();
        let lm = model.lm.base();
        let from = save(model, lm, folder.path()).unwrap();
        let config = Config { from: Some(from), ..Config::default() };
        assert!(config.begin(&week, Device::Cpu).is_ok());
        let year = Language::new(&world(cot_metrics::organisms::Wheel::Month)).unwrap();
        let message = config.begin(&year, Device::Cpu).unwrap_err().to_string();
        assert!(message.contains("found another place for \"january\""), "{message}");
    }
}
