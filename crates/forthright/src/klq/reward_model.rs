//! `forthright klq reward-model`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use causal_lm::{LoadOptions, classifier::Classifier};
use clap::{Args, Subcommand};
use klq::reward::{RewardModel, RewardModelConfig, preferences, train_reward_model};
use lm_tasks::{ReadOptions, Split};
use rl_core::{
    device,
    stats::{Estimate, Proportion, wilson},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::task::pairs;
use crate::{
    lm::model::{Dtype, Model},
    progress::Progress,
    session::Session,
    terminal::print,
};

/// A reward model from preferences: train one, or ask how often it agrees
#[derive(Args)]
pub(crate) struct RewardModelCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Train on preference pairs; writes the model's folder
    Train(Train),
    /// How often the preferred answer of held-out pairs has the greater reward
    Evaluate(Evaluate),
}

impl RewardModelCommand {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::Train(verb) => verb.run(),
            Verb::Evaluate(verb) => verb.run(),
        }
    }
}

#[derive(Args)]
struct Train {
    #[command(flatten)]
    model: Model,
    /// Preference pairs in the layouts of Anthropic HH or TRL, JSON Lines or Parquet [default: our own]
    #[arg(long)]
    data: Option<PathBuf>,
    /// The run's folder; the reward model itself comes into model/
    #[arg(long)]
    out: PathBuf,
    /// Settings in TOML, all optional; flags go before them
    #[arg(long)]
    config: Option<PathBuf>,
    /// Passes over the pairs
    #[arg(long)]
    epochs: Option<u64>,
    /// Learning rate of the adapter
    #[arg(long)]
    lr: Option<f64>,
    /// Root seed
    #[arg(long)]
    seed: Option<u64>,
}

/// All that a reward model depends on, beside the model's flags.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Config {
    /// Preference pairs; our own where there is no path.
    data: Option<PathBuf>,
    /// How the file is read.
    read: ReadOptions,
    /// The training itself.
    train: RewardModelConfig,
}

impl Train {
    fn run(&self) -> anyhow::Result<()> {
        let mut config: Config = match &self.config {
            None => Config::default(),
            Some(path) => crate::settings::read_toml(path)?,
        };
        if let Some(data) = &self.data {
            config.data = Some(std::path::absolute(data)?);
        }
        config.train.epochs = self.epochs.unwrap_or(config.train.epochs);
        config.train.lr = self.lr.unwrap_or(config.train.lr);
        config.train.seed = self.seed.unwrap_or(config.train.seed);
        let folder = self.out.join("model");
        anyhow::ensure!(
            !folder.exists(),
            "{} holds a reward model already: give another folder",
            self.out.display()
        );
        let model = self.model.load(Dtype::Bf16)?;
        let all = pairs(&model, config.data.as_deref(), &config.read, Split::Train)?;
        let device = device::name(model.lm.device());
        let session = Session::open(&self.out, &config, config.train.seed, &device)?;
        let mut metrics = session.dir.lines("metrics.jsonl")?;
        let mut failed = Ok(());
        let mut progress = None;
        let made = train_reward_model(&model.lm, &all, &config.train, |step, total| {
            let line = progress.get_or_insert_with(|| Progress::new(0, total));
            line.at(step.step, &format!("loss {:.3}  right {:.2}", step.loss, step.accuracy));
            if let (Ok(()), Ok(value)) = (&failed, serde_json::to_value(step)) {
                failed = metrics.push(&value);
            }
        })?;
        failed?;
        if let Some(progress) = progress {
            progress.finish();
        }
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        made.save(&folder, &self.model.path()?.display().to_string())?;
        session.end()?;
        let held_out = pairs(&model, config.data.as_deref(), &config.read, Split::Evaluation)?;
        print(said(&agreement(&made, &held_out)?))?;
        print(folder.display())
    }
}

#[derive(Args)]
struct Evaluate {
    #[command(flatten)]
    model: Model,
    /// The folder that `train` wrote, model/
    #[arg(long)]
    reward_model: PathBuf,
    /// Preference pairs [default: our own]
    #[arg(long)]
    data: Option<PathBuf>,
    /// One JSON document with every margin
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    fn run(&self) -> anyhow::Result<()> {
        let model = self.model.load(Dtype::Bf16)?;
        let reward_model = load(&self.reward_model, &model)?;
        let read = ReadOptions::default();
        let held_out = pairs(&model, self.data.as_deref(), &read, Split::Evaluation)?;
        if self.json {
            let judged = preferences(&reward_model, &held_out)?;
            let margins: Vec<f64> = judged.iter().map(|(_, margin)| *margin).collect();
            return print(json!({ "version": 1, "pairs": margins.len(), "margins": margins }));
        }
        print(said(&agreement(&reward_model, &held_out)?))
    }
}

/// A reward model over the weights of `model`.
pub(crate) fn load(folder: &Path, model: &causal_lm::Pretrained) -> anyhow::Result<RewardModel> {
    RewardModel::load(folder, &model.lm)
        .with_context(|| format!("reward model {}", folder.display()))
}

/// A published classifier as a reward model for answers of `policy`, in its type and on its device.
pub(crate) fn load_classifier(
    folder: &Path,
    policy: &causal_lm::Pretrained,
) -> anyhow::Result<RewardModel> {
    let options = LoadOptions { kind: policy.lm.kind(), device: policy.lm.device() };
    let classifier = Classifier::load(folder, &options)?;
    RewardModel::from_classifier(classifier, &policy.tokenizer, policy.lm.config().vocab)
        .with_context(|| format!("classifier {}", folder.display()))
}

/// How often the preferred answer has the greater reward.
pub(crate) fn agreement(
    model: &RewardModel,
    held_out: &[klq::reward::Pair],
) -> anyhow::Result<Estimate> {
    let judged = preferences(model, held_out)?;
    let successes = judged.iter().filter(|(win, _)| *win > 0.5).count();
    Ok(wilson(Proportion { successes, trials: judged.len() }, 0.95)?)
}

fn said(agreement: &Estimate) -> String {
    let Estimate { value, interval: [low, high], n, .. } = agreement;
    format!("prefers the chosen answer of {n} held-out pairs: {value:.3} [{low:.3}, {high:.3}]")
}
