//! `forthright klq train`.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use causal_lm::{CausalLm, Pretrained};
use clap::{Args, ValueEnum};
use cot_metrics::scoring::Question;
use klq::{
    Algorithm, HeldOut, Iteration, Seconds, TrainConfig, Trainer,
    policy::Policy,
    reward::{Prompt, Reward},
};
use lm_tasks::Split;
use rl_core::{device, run::LineWriter, seed::Seed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{evaluate::settings, task::TaskConfig};
use crate::{
    cot::watch::{self, WatchConfig},
    lm::model::{Dtype, Model},
    session::Session,
    terminal::note,
    training::{self, Checkpoints, Outcome, Start, Training, write_trained},
};

/// Answers of an iteration that are kept as samples.
const SAMPLES: usize = 2;

/// Train a policy with KLQ, PPO, leave-one-out REINFORCE or group-relative policy optimisation
///
/// Writes a run directory: metrics.jsonl, timing.jsonl, samples.jsonl, checkpoints, and at the end adapter/ in
/// PEFT's layout or model/ in the Hugging Face layout. Ctrl-C writes a checkpoint first; --resume
/// goes on from the last one.
#[derive(Args)]
pub(crate) struct Train {
    #[command(flatten)]
    model: Model,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
    /// Settings in TOML, all optional; flags go before them
    #[arg(long)]
    config: Option<PathBuf>,
    /// Go on from the last checkpoint in --out, with the settings of that run
    #[arg(long, conflicts_with_all = ["config", "algorithm", "iterations", "kl_coef", "lr", "seed", "task", "data"])]
    resume: bool,
    /// The algorithm, with its usual settings
    #[arg(long, value_enum)]
    algorithm: Option<Name>,
    /// What is to be answered
    #[arg(long, value_enum)]
    task: Option<super::task::Kind>,
    /// Prompts of your own, in any layout that lm-tasks reads
    #[arg(long)]
    data: Option<PathBuf>,
    /// Batches of answers
    #[arg(long)]
    iterations: Option<u64>,
    /// Weight of the KL to the reference, τ in KLQ
    #[arg(long)]
    kl_coef: Option<f64>,
    /// Learning rate of the policy
    #[arg(long)]
    lr: Option<f64>,
    /// Root seed
    #[arg(long)]
    seed: Option<u64>,
    /// One JSON document at the end
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Name {
    Klq,
    Ppo,
    Rloo,
    Grpo,
}

impl Name {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Klq => "klq",
            Self::Ppo => "ppo",
            Self::Rloo => "rloo",
            Self::Grpo => "grpo",
        }
    }

    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Self::Klq => Algorithm::Klq(klq::algorithm::KlqConfig::default()),
            Self::Ppo => Algorithm::Ppo(klq::algorithm::PpoConfig::default()),
            Self::Rloo => Algorithm::Rloo(klq::algorithm::RlooConfig::default()),
            Self::Grpo => Algorithm::Grpo(klq::algorithm::GrpoConfig::default()),
        }
    }
}

/// All that a run depends on, beside the model's flags.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Steps between two checkpoints.
    pub(crate) checkpoint_every: u64,
    /// Checkpoints that stay.
    pub(crate) keep_checkpoints: usize,
    /// The evaluation on held-out prompts along the way, `held_out/…` in the metrics.
    pub(crate) held_out: HeldOutConfig,
    /// The eye on chains of thought, `cot/…` in the metrics; none unless there is a table `[cot]`, since
    /// not all answers are thought about.
    pub(crate) cot: Option<WatchConfig>,
    /// What is answered, and what answers are worth.
    pub(crate) task: TaskConfig,
    /// The training itself.
    pub(crate) train: TrainConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            checkpoint_every: 10,
            keep_checkpoints: 2,
            held_out: HeldOutConfig::default(),
            cot: None,
            task: TaskConfig::default(),
            train: TrainConfig::default(),
        }
    }
}

/// When and on what a policy is evaluated while it is trained.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HeldOutConfig {
    /// Iterations from one evaluation to the next; 0 for none.
    pub(crate) every: u64,
    /// Prompts at most, the first of those that are held out.
    pub(crate) prompts: usize,
    /// Answers to each.
    pub(crate) group: usize,
}

impl Default for HeldOutConfig {
    /// About a fortieth of a run's time.
    fn default() -> Self {
        Self { every: 10, prompts: 32, group: 1 }
    }
}

impl HeldOutConfig {
    fn validate(&self) -> anyhow::Result<()> {
        for (name, found, least) in [("prompts", self.prompts, 2), ("group", self.group, 1)] {
            anyhow::ensure!(
                self.every == 0 || found >= least,
                "held_out.{name}: expected at least {least}, found {found}"
            );
        }
        Ok(())
    }
}

impl Train {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = self.resolve()?;
        self.start().check(config.checkpoint_every)?;
        config.held_out.validate()?;
        let model = self.model.load(Dtype::Bf16)?;
        let device = device::name(model.lm.device());
        let session = Session::open(&self.out, &config, config.train.seed, &device)?;
        let trained = train(&model, &config, &session, self.resume)?;
        self.start().end(trained, session, |lm| {
            write_trained(&self.out, self.model.origin()?.as_deref(), model, &lm)
        })
    }

    fn start(&self) -> Start<'_> {
        let Self { model, out, resume, json, .. } = self;
        Start { command: "klq train", model, out, resume: *resume, json: *json }
    }

    fn resolve(&self) -> anyhow::Result<Config> {
        let mut config: Config = self.start().settings(self.config.as_deref())?;
        if self.resume {
            return Ok(config);
        }
        if let Some(kind) = self.task {
            config.task = kind.usual();
        }
        if let Some(data) = &self.data {
            config.task.data = Some(std::path::absolute(data)?);
        }
        let train = &mut config.train;
        if let Some(name) = self.algorithm {
            train.algorithm = name.algorithm();
            if train.algorithm.needs_groups() {
                train.group = train.group.max(4);
            }
        }
        train.iterations = self.iterations.unwrap_or(train.iterations);
        train.kl_coef = self.kl_coef.unwrap_or(train.kl_coef);
        train.lr = self.lr.unwrap_or(train.lr);
        train.seed = self.seed.unwrap_or(train.seed);
        Ok(config)
    }
}

/// Settings of a run from a file.
pub(crate) fn read_config(path: &Path) -> anyhow::Result<Config> {
    crate::settings::read_toml(path)
}

/// Trains until the end, or until the user asks to stop.
pub(crate) fn train(
    model: &Pretrained,
    config: &Config,
    session: &Session,
    resume: bool,
) -> anyhow::Result<Outcome<CausalLm>> {
    let prompts = config.task.prompts(model, Split::Train)?;
    let mut trainer = Trainer::new(&model.lm, &model.tokenizer, prompts, &config.train)?;
    if let Some(held_out) = held_out(model, config)? {
        trainer.monitor(held_out);
    }
    if let Some(watch) = &config.cot {
        let prompts = config.task.prompts(model, Split::Evaluation)?;
        // Prompts of plain text are read as they are.
        let mut plain = true;
        for prompt in &prompts {
            plain &= model.tokenizer.encode(&prompt.text)? == prompt.ids;
        }
        let question =
            |prompt: Prompt| Question { id: prompt.id, text: prompt.text, reference: None };
        let begun = watch::Begun {
            questions: prompts.into_iter().map(question).collect(),
            problems: Vec::new(),
            template: model.chat_template.as_ref().filter(|_| !plain),
            policy: trainer.policy(),
        };
        let seed = Seed::new(config.train.seed).derive("cot", 0);
        let alerts = watch::alerts(session, resume)?;
        trainer.monitor(watch::monitor(watch, model, begun, Policy::model, alerts, seed)?);
    }
    training::restore(&session.dir, resume, |path| trainer.restore(path))?;
    let name = config.train.algorithm.name();
    note(format_args!(
        "{name}: {} prompts, {} iterations of {} answers",
        trainer.prompts().len(),
        config.train.iterations,
        config.train.prompts * config.train.group
    ));
    let samples = session.dir.resume_lines("samples.jsonl", trainer.iterations())?;
    let timing = session.dir.resume_lines("timing.jsonl", trainer.iterations())?;
    let reward = config.task.reward(model)?;
    let mut run = Run { trainer, reward, samples, timing, total: config.train.iterations };
    let (every, keep) = (config.checkpoint_every, config.keep_checkpoints);
    training::train(&mut run, &session.dir, Checkpoints { every, keep })?;
    let trainer = run.trainer;
    Ok(Outcome {
        model: trainer.policy().model(),
        steps: trainer.iterations(),
        done: trainer.is_done(),
    })
}

/// The evaluation along the way, if there is to be one and there are prompts for it.
fn held_out<'a>(model: &'a Pretrained, config: &Config) -> anyhow::Result<Option<HeldOut<'a>>> {
    let HeldOutConfig { every, prompts: most, group } = config.held_out;
    if every == 0 {
        return Ok(None);
    }
    let mut prompts = config.task.prompts(model, Split::Evaluation)?;
    if prompts.len() < 2 {
        let found = prompts.len();
        note(format_args!("{found} held-out prompts: no evaluation along the way, it takes two"));
        return Ok(None);
    }
    prompts.truncate(most);
    let reward = config.task.reward(model)?;
    let settings = settings(config, group, config.train.seed);
    Ok(Some(HeldOut::new(every, &model.tokenizer, prompts, reward, settings)?))
}

struct Run<'a> {
    trainer: Trainer<'a>,
    reward: Box<dyn Reward + 'a>,
    samples: LineWriter,
    /// Apart from the metrics, which a resumed run repeats to the bit.
    timing: LineWriter,
    total: u64,
}

impl Training for Run<'_> {
    fn steps(&self) -> u64 {
        self.trainer.iterations()
    }

    fn total_steps(&self) -> u64 {
        self.total
    }

    fn step(&mut self) -> anyhow::Result<(Value, String)> {
        let Iteration { report, monitored, rollouts, rewards, check } =
            self.trainer.iterate(self.reward.as_mut())?;
        if let Some(check) = check {
            note(&check);
            check.warnings().iter().for_each(|warning| note(format_args!("warning: {warning}")));
        }
        for (rollout, reward) in rollouts.iter().zip(rewards).take(SAMPLES) {
            let prompt = &self.trainer.prompts()[rollout.prompt];
            self.samples.push(&json!({
                "step": report.step, "prompt": prompt.text, "answer": rollout.text,
                "reward": reward, "ended": rollout.ended,
            }))?;
        }
        let mut message = format!(
            "score {:.3}  kl {:.2}  objective {:.3}  entropy {:.2}  length {:.0}  ended {:.0} %",
            report.score,
            report.kl,
            report.objective,
            report.entropy,
            report.length,
            100.0 * report.eos_rate
        );
        if let Some((_, objective)) = monitored.iter().find(|(n, _)| n == "held_out/objective") {
            let _ = write!(message, "  held-out objective {objective:.3}");
        }
        let [metrics, timing] = metrics(&report, &monitored)?;
        self.timing.push(&timing)?;
        Ok((metrics, message))
    }

    fn sync(&mut self) -> anyhow::Result<()> {
        self.timing.sync()?;
        Ok(self.samples.sync()?)
    }

    fn save(&self, folder: &Path) -> anyhow::Result<()> {
        Ok(self.trainer.save(folder)?)
    }
}

/// The report as two flat objects: what the run is a function of, and how long it took.
fn metrics(report: &klq::Report, monitored: &[(String, f64)]) -> anyhow::Result<[Value; 2]> {
    let mut out = serde_json::to_value(report)?;
    if let Some(fields) = out.as_object_mut() {
        fields.shift_remove("seconds");
        fields.shift_remove("episodes_per_s");
        fields.extend(monitored.iter().map(|(name, x)| (name.clone(), json!(x))));
    }
    let Seconds { generation, scoring, training, monitoring } = report.seconds;
    let timing = json!({
        "step": report.step, "generation_s": generation, "scoring_s": scoring,
        "training_s": training, "monitoring_s": monitoring,
        "episodes_per_s": report.episodes_per_s,
    });
    Ok([out, timing])
}
