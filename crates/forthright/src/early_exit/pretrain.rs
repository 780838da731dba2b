//! `forthright early-exit pretrain`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use causal_lm::{
    CausalLm, Pretrained,
    finetune::{Example, FinetuneConfig, Length, Trainer},
};
use clap::Args;
use lm_tasks::{
    Split,
    reasoning::{Problem, Task},
};
use rl_core::{device, seed::Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    scratch::ScratchConfig,
    task::{TaskConfig, example},
};
use crate::{
    lm::model::{Dtype, Model},
    session::Session,
    terminal::note,
    training::{self, Checkpoints, Outcome, Start},
};

/// Name of the folder in that of a run.
pub(crate) const MODEL: &str = "model";

/// Teach a model a task by chains of thought: a small one of characters from scratch, or one that is
/// there
///
/// Without --model or --finetune, a model is made in which each character is a token. Writes a run
/// directory: metrics.jsonl, checkpoints, and at the end model/ in the Hugging Face layout, which
/// every other verb reads. Ctrl-C writes a checkpoint first; --resume goes on from the last one.
#[derive(Args)]
pub(crate) struct Pretrain {
    #[command(flatten)]
    model: Model,
    /// Fine-tune a model that is there: --model, or the default one
    #[arg(long)]
    finetune: bool,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
    /// Settings in TOML, all optional; flags go before them
    #[arg(long)]
    config: Option<PathBuf>,
    /// Go on from the last checkpoint in --out, with the settings of that run
    #[arg(long, conflicts_with_all = ["config", "task", "steps", "lr", "seed", "finetune"])]
    resume: bool,
    /// Name of the task, with its usual settings
    #[arg(long)]
    task: Option<String>,
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

/// What a run begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Begin {
    /// Random weights and a token a character, in f32.
    Scratch(ScratchConfig),
    /// The model of the flags.
    Model,
}

/// All that a run depends on, beside the model's flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Steps between two checkpoints.
    pub(crate) checkpoint_every: u64,
    /// Checkpoints that stay.
    pub(crate) keep_checkpoints: usize,
    /// What is learned.
    pub(crate) task: TaskConfig,
    /// Problems to learn from.
    pub(crate) examples: usize,
    /// Share of them that are answered with no chain of thought, so that it can be asked how much a
    /// model works out without one.
    pub(crate) direct_share: f64,
    /// What it begins with.
    pub(crate) begin: Begin,
    /// The training itself.
    pub(crate) train: FinetuneConfig,
}

impl Default for Config {
    /// The default small model, all of it trained.
    fn default() -> Self {
        Self {
            checkpoint_every: 100,
            keep_checkpoints: 2,
            task: TaskConfig::default(),
            examples: 20_000,
            direct_share: 0.0,
            begin: Begin::Scratch(ScratchConfig::default()),
            train: FinetuneConfig {
                length: Length::Steps(600),
                batch_examples: 64,
                lr: 2e-3,
                adapter: None,
                ..FinetuneConfig::default()
            },
        }
    }
}

impl Config {
    /// Settings under which the model of the flags gets an adapter.
    fn finetuning() -> Self {
        Self {
            begin: Begin::Model,
            examples: 2_000,
            train: FinetuneConfig { length: Length::Steps(100), ..FinetuneConfig::default() },
            ..Self::default()
        }
    }

    pub(crate) fn validate(&self) -> anyhow::Result<()> {
        let share = self.direct_share;
        anyhow::ensure!(
            (0.0..=1.0).contains(&share),
            "direct_share: expected a number in [0, 1], found {share}"
        );
        anyhow::ensure!(
            self.begin == Begin::Model || self.train.adapter.is_none(),
            "train.adapter: expected false, since a model from scratch has nothing to adapt"
        );
        Ok(())
    }

    /// Whether a problem of an index is answered with no chain.
    fn is_direct(&self, index: usize) -> bool {
        // 53 bits, so that a share of 1 is always and one of 0 never.
        let bits = Seed::new(self.task.seed).derive("direct", index as u64).value() >> 11;
        (bits as f64) < self.direct_share * (1_u64 << 53) as f64
    }

    fn answer(&self, index: usize, problem: &Problem) -> String {
        if self.is_direct(index) { problem.direct() } else { problem.completion() }
    }

    fn problems(&self) -> anyhow::Result<Vec<Problem>> {
        self.task.problems(Split::Train, self.examples)
    }

    /// The model that a run begins with; `given` is that of the flags.
    pub(crate) fn begin(
        &self,
        device: tch::Device,
        given: impl FnOnce() -> anyhow::Result<Pretrained>,
    ) -> anyhow::Result<Pretrained> {
        match &self.begin {
            Begin::Model => given(),
            Begin::Scratch(size) => {
                let problems = self.problems()?;
                // Whichever way a problem is answered, its characters are there.
                let said = |p: &Problem| [p.prompt.clone(), p.completion(), p.direct()].concat();
                let texts: Vec<String> = problems.iter().map(said).collect();
                let seed = Seed::new(self.train.seed).derive("weights", 0).value();
                size.model(texts.iter().map(String::as_str), seed, device)
            }
        }
    }
}

impl Pretrain {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = self.resolve()?;
        config.validate()?;
        self.start().check(config.checkpoint_every)?;
        let options = self.model.options(Dtype::F32)?;
        let model = config.begin(options.device, || self.model.load(Dtype::F32))?;
        let device = device::name(model.lm.device());
        let session = Session::open(&self.out, &config, config.train.seed, &device)?;
        let made = pretrain(model, &config, &session, self.resume)?;
        self.start().end(made, session, |model| save(&model, &self.out))
    }

    fn start(&self) -> Start<'_> {
        let Self { model, out, resume, json, .. } = self;
        Start { command: "early-exit pretrain", model, out, resume: *resume, json: *json }
    }

    fn resolve(&self) -> anyhow::Result<Config> {
        let asked = self.finetune || self.model.model.is_some();
        let mut config = match &self.config {
            None if !self.resume && asked => Config::finetuning(),
            file => self.start().settings(file.as_deref())?,
        };
        if self.resume {
            return Ok(config);
        }
        if asked {
            config.begin = Begin::Model;
        }
        if let Some(name) = &self.task {
            config.task.problem = Task::named(name)?;
        }
        config.train.length = self.steps.map_or(config.train.length, Length::Steps);
        config.train.lr = self.lr.unwrap_or(config.train.lr);
        config.train.seed = self.seed.unwrap_or(config.train.seed);
        Ok(config)
    }
}

/// Trains until the end, or until the user asks to stop.
pub(crate) fn pretrain(
    mut model: Pretrained,
    config: &Config,
    session: &Session,
    resume: bool,
) -> anyhow::Result<Outcome<Pretrained>> {
    let problems = config.problems()?;
    let examples: Vec<Example> = problems
        .iter()
        .enumerate()
        .map(|(i, problem)| example(&model, problem, &config.answer(i, problem)))
        .collect::<anyhow::Result<_>>()?;
    let mut trainer = Trainer::new(&model.lm, examples, &config.train)?;
    training::restore(&session.dir, resume, |path| trainer.restore(path))?;
    note(format_args!(
        "{} examples, {} steps, {} numbers to train",
        trainer.num_examples(),
        trainer.total_steps(),
        trainer.num_trained()
    ));
    let (every, keep) = (config.checkpoint_every, config.keep_checkpoints);
    training::train(&mut trainer, &session.dir, Checkpoints { every, keep })?;
    let (steps, done) = (trainer.steps(), trainer.is_done());
    model.lm = plain(&trainer.model());
    Ok(Outcome { model, steps, done })
}

/// The adapter becomes part of the weights.
fn plain(lm: &CausalLm) -> CausalLm {
    if lm.adapter().is_some() { lm.merged() } else { lm.base() }
}

/// Writes a model into the folder of its run, in the place of one that is there.
pub(crate) fn save(model: &Pretrained, run: &Path) -> anyhow::Result<PathBuf> {
    let folder = run.join(MODEL);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    model.save(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direct_answers_are_as_many_as_asked_for() {
        let of = |direct_share| Config { direct_share, ..Config::default() };
        let count = |config: Config| (0..2_000).filter(|&i| config.is_direct(i)).count();
        assert_eq!(count(of(0.0)), 0);
        assert_eq!(count(of(1.0)), 2_000);
        let problem = &Config { examples: 1, ..Config::default() }.problems().unwrap()[0];
        assert_eq!(of(0.0).answer(0, problem), problem.completion());
        assert_eq!(of(1.0).answer(0, problem), problem.direct());
        // Four standard deviations.
        assert!((count(of(0.25)) as f64 - 500.0).abs() < 80.0);
    }

    #[test]
    fn settings_are_read_back() {
        for config in [Config::default(), Config::finetuning()] {
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
        }
    }
}
