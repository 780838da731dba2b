//! `forthright early-exit train`.

use std::path::{Path, PathBuf};

use causal_lm::Pretrained;
use clap::Args;
use early_exit_model::{
    EarlyExitModel,
    rl::{Baseline, Iteration, RlConfig, Trainer},
};
use lm_tasks::{Split, reasoning::Task};
use rl_core::{device, monitor::Monitors, run::LineWriter, seed::Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    store,
    task::{Asked, RewardConfig, TaskConfig, verifier},
    transcript::Transcript,
};
use crate::{
    cot::watch::{self, WatchConfig},
    lm::model::{Dtype, Model},
    session::Session,
    terminal::note,
    training::{self, Checkpoints, Outcome, Start, Training},
};

/// Answers of an iteration that are kept as samples.
const SAMPLES: usize = 2;

/// Reinforcement learning: leave as early as the task allows
///
/// Begins with exits that were calibrated. Writes a run directory: metrics.jsonl, samples.jsonl,
/// checkpoints, and at the end exits/. Ctrl-C writes a checkpoint first; --resume goes on from the
/// last one.
#[derive(Args)]
pub(crate) struct Train {
    #[command(flatten)]
    model: Model,
    /// Exits to begin with, as `calibrate` or `train` wrote them
    #[arg(long, required_unless_present_any = ["resume", "config"])]
    exits: Option<PathBuf>,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
    /// Settings in TOML, all optional; flags go before them
    #[arg(long)]
    config: Option<PathBuf>,
    /// Go on from the last checkpoint in --out, with the settings of that run
    #[arg(long, conflicts_with_all = ["config", "exits", "task", "iterations", "depth_coef", "std", "lr", "seed"])]
    resume: bool,
    /// Name of the task, with its usual settings
    #[arg(long)]
    task: Option<String>,
    /// Batches of answers, with one update each
    #[arg(long)]
    iterations: Option<u64>,
    /// Weight λ of depth
    #[arg(long)]
    depth_coef: Option<f64>,
    /// Divide advantages by the group's standard deviation with no floor, as published
    #[arg(long)]
    std: bool,
    /// Learning rate of adapter or weights
    #[arg(long)]
    lr: Option<f64>,
    /// Root seed
    #[arg(long)]
    seed: Option<u64>,
    /// One JSON document at the end
    #[arg(long)]
    json: bool,
}

/// All that a run depends on, beside the model's flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Steps between two checkpoints.
    pub(crate) checkpoint_every: u64,
    /// Checkpoints that stay.
    pub(crate) keep_checkpoints: usize,
    /// What is solved.
    pub(crate) task: TaskConfig,
    /// Problems to learn from.
    pub(crate) problems: usize,
    /// What answers are worth.
    pub(crate) reward: RewardConfig,
    /// Exits that it begins with.
    pub(crate) from: Option<PathBuf>,
    /// What is added to the logits of all gates first: below 0 tokens go deeper.
    pub(crate) gate_shift: f64,
    /// The eye on chains of thought, at full depth, `cot/…` in the metrics; none unless there is a
    /// table `[cot]`.
    pub(crate) cot: Option<WatchConfig>,
    /// The training itself.
    pub(crate) train: RlConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            checkpoint_every: 10,
            keep_checkpoints: 2,
            task: TaskConfig::default(),
            problems: 4096,
            reward: RewardConfig::default(),
            from: None,
            gate_shift: 0.0,
            cot: None,
            train: RlConfig::default(),
        }
    }
}

impl Config {
    pub(crate) fn validate(&self) -> anyhow::Result<()> {
        let shift = self.gate_shift;
        anyhow::ensure!(shift.is_finite(), "gate_shift: expected a finite number, found {shift}");
        self.reward.validate()?;
        Ok(self.train.validate()?)
    }
}

impl Train {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = self.resolve()?;
        self.start().check(config.checkpoint_every)?;
        config.validate()?;
        let Some(from) = &config.from else {
            anyhow::bail!("from: expected exits to begin with, found none: give --exits");
        };
        let model = self.model.load(Dtype::F32)?;
        let exits = store::load(from, &model.lm, None)?;
        let asked = problems(&model, &config)?;
        let device = device::name(model.lm.device());
        let session = Session::open(&self.out, &config, config.train.seed, &device)?;
        let made = train(&model, exits, &asked, &config, &session, self.resume)?;
        self.start().end(made, session, |model| store::save(&model, &self.out))
    }

    fn start(&self) -> Start<'_> {
        let Self { model, out, resume, json, .. } = self;
        Start { command: "early-exit train", model, out, resume: *resume, json: *json }
    }

    fn resolve(&self) -> anyhow::Result<Config> {
        let mut config: Config = self.start().settings(self.config.as_deref())?;
        if self.resume {
            return Ok(config);
        }
        if let Some(from) = &self.exits {
            config.from = Some(std::path::absolute(from)?);
        }
        if let Some(name) = &self.task {
            config.task.problem = Task::named(name)?;
        }
        let train = &mut config.train;
        train.iterations = self.iterations.unwrap_or(train.iterations);
        train.depth_coef = self.depth_coef.unwrap_or(train.depth_coef);
        if self.std {
            train.baseline = Baseline::Std;
        }
        train.lr = self.lr.unwrap_or(train.lr);
        train.seed = self.seed.unwrap_or(train.seed);
        Ok(config)
    }
}

/// The problems of a run, each with room for an answer.
pub(crate) fn problems(model: &Pretrained, config: &Config) -> anyhow::Result<Vec<Asked>> {
    let room = config.train.rollout.max_new_tokens;
    config.task.asked(model, Split::Train, config.problems, room)
}

/// Trains until the end, or until the user asks to stop.
pub(crate) fn train(
    model: &Pretrained,
    exits: EarlyExitModel,
    asked: &[Asked],
    config: &Config,
    session: &Session,
    resume: bool,
) -> anyhow::Result<Outcome<EarlyExitModel>> {
    exits.gates().shift(config.gate_shift);
    let prompts = asked.iter().map(|asked| asked.prompt.clone()).collect();
    let mut trainer = Trainer::new(exits, prompts, &config.train)?;
    let mut monitors = Monitors::default();
    if let Some(watch) = &config.cot {
        let held_out = config.task.problems(Split::Evaluation, watch.monitor.questions)?;
        let mut questions = watch::questions(&held_out);
        if model.chat_template.is_none() {
            // As the training reads them.
            for (question, problem) in questions.iter_mut().zip(&held_out) {
                question.text.clone_from(&problem.prompt);
            }
        }
        let begun = watch::Begun {
            questions,
            problems: held_out,
            template: model.chat_template.as_ref(),
            policy: trainer.model(),
        };
        let seed = Seed::new(config.train.seed).derive("cot", 0);
        let alerts = watch::alerts(session, resume)?;
        monitors.push(watch::monitor(watch, model, begun, EarlyExitModel::model, alerts, seed)?);
    }
    training::restore(&session.dir, resume, |path| trainer.restore(path))?;
    note(format_args!(
        "{} problems, {} iterations of {} answers",
        asked.len(),
        config.train.iterations,
        config.train.prompts * config.train.group
    ));
    let samples = session.dir.resume_lines("samples.jsonl", trainer.iterations())?;
    let mut run = Run { trainer, model, asked, config, samples, monitors };
    let (every, keep) = (config.checkpoint_every, config.keep_checkpoints);
    training::train(&mut run, &session.dir, Checkpoints { every, keep })?;
    let (steps, done) = (run.trainer.iterations(), run.trainer.is_done());
    Ok(Outcome { model: run.trainer.into_model(), steps, done })
}

struct Run<'a> {
    trainer: Trainer,
    model: &'a Pretrained,
    asked: &'a [Asked],
    config: &'a Config,
    samples: LineWriter,
    monitors: Monitors<'a, EarlyExitModel>,
}

impl Training for Run<'_> {
    fn steps(&self) -> u64 {
        self.trainer.iterations()
    }

    fn total_steps(&self) -> u64 {
        self.config.train.iterations
    }

    fn step(&mut self) -> anyhow::Result<(Value, String)> {
        let mut verifier = verifier(self.model, self.asked, self.config.reward);
        let Iteration { report, rollouts, rewards } = self.trainer.iterate(&mut verifier)?;
        let all = self.trainer.model().sites().num_layers();
        for (rollout, reward) in rollouts.iter().zip(rewards).take(SAMPLES) {
            let transcript = Transcript::new(
                &self.model.tokenizer,
                &rollout.ids,
                rollout.exits.iter().map(|exit| exit.blocks),
                all,
            )?;
            self.samples.push(&json!({
                "step": report.step, "problem": self.asked[rollout.prompt].problem.prompt,
                "answer": transcript.marked(), "reward": reward, "ended": rollout.ended,
            }))?;
        }
        let message = format!(
            "score {:.3}  depth {:.3}  kl {:.3}  λ {:.2}  length {:.0}  ended {:.0} %",
            report.score,
            report.depth,
            report.kl,
            report.depth_coef,
            report.length,
            100.0 * report.eos_rate
        );
        let mut numbers = serde_json::to_value(&report)?;
        let found = self.monitors.measure(report.step, self.trainer.model());
        if let Some(fields) = numbers.as_object_mut() {
            fields.extend(found.into_iter().map(|(name, x)| (name, json!(x))));
        }
        Ok((numbers, message))
    }

    fn sync(&mut self) -> anyhow::Result<()> {
        Ok(self.samples.sync()?)
    }

    fn save(&self, folder: &Path) -> anyhow::Result<()> {
        Ok(self.trainer.save(folder)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_back() {
        let config = Config {
            from: Some("a".into()),
            reward: RewardConfig::Rule(lm_tasks::reasoning::RewardRule::GSM8K),
            train: RlConfig { baseline: Baseline::Std, ..RlConfig::default() },
            ..Config::default()
        };
        config.validate().unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
        let message = Config { gate_shift: f64::NAN, ..config }.validate().unwrap_err().to_string();
        assert_eq!(message, "gate_shift: expected a finite number, found NaN");
    }
}
