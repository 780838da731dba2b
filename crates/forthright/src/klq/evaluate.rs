//! `forthright klq evaluate`.

use std::path::PathBuf;

use anyhow::Context as _;
use causal_lm::{CausalLm, Pretrained, lora::LoraAdapter};
use clap::Args;
use klq::evaluate::{EvaluateConfig, Evaluation, Summary, evaluate};
use lm_tasks::Split;
use rl_core::stats::Estimate;
use serde_json::json;

use super::train::{Config, read_config};
use crate::{
    lm::model::{Dtype, Model},
    terminal::print,
};

/// Score, KL, length and entropy of a policy on held-out prompts, with intervals
///
/// Without --policy, of the model itself.
#[derive(Args)]
pub(crate) struct Evaluate {
    #[command(flatten)]
    model: Model,
    /// The policy's adapter over --model, as `klq train` writes it
    #[arg(long)]
    policy: Option<PathBuf>,
    /// Settings of the run, such as its config.toml: task, reward, KL weight and rollouts
    #[arg(long)]
    config: Option<PathBuf>,
    /// What is to be answered, with its usual reward
    #[arg(long, value_enum, conflicts_with = "config")]
    task: Option<super::task::Kind>,
    /// Answers to each prompt
    #[arg(long, default_value_t = 2)]
    group: usize,
    /// Prompts at most
    #[arg(long)]
    limit: Option<usize>,
    /// Seed of the answers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One JSON document with every answer
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut config = match &self.config {
            Some(path) => read_config(path)?,
            None => Config::default(),
        };
        if let Some(kind) = self.task {
            config.task = kind.usual();
        }
        let model = self.model.load(Dtype::Bf16)?;
        let policy = match &self.policy {
            None => model.lm.base(),
            Some(folder) => with_adapter(&model, folder)?,
        };
        let settings = settings(&config, self.group, self.seed);
        let made = held_out(&model, &policy, &config, &settings, self.limit)?;
        let summary = made.summary()?;
        if self.json {
            let document = json!({
                "version": 1, "summary": summary, "unscored": made.unscored,
                "answers": made.answers,
            });
            return print(document);
        }
        for (name, estimate) in rows(&summary) {
            print(line(name, &estimate))?;
        }
        if made.unscored > 0 {
            print(format_args!("{} answers have no score", made.unscored))?;
        }
        Ok(())
    }
}

/// A policy from its adapter.
pub(crate) fn with_adapter(
    model: &Pretrained,
    folder: &std::path::Path,
) -> anyhow::Result<CausalLm> {
    let adapter = LoraAdapter::load(folder, model.lm.config())
        .with_context(|| folder.display().to_string())?;
    Ok(model.lm.with_adapter(Some(adapter.to_device(model.lm.device())))?)
}

/// How the answers of a training run are evaluated.
pub(crate) fn settings(config: &Config, group: usize, seed: u64) -> EvaluateConfig {
    EvaluateConfig {
        rollout: config.train.rollout.clone(),
        group,
        kl_coef: config.train.kl_coef,
        missing_end: config.train.missing_end,
        pass_tokens: config.train.pass_tokens,
        seed,
        ..EvaluateConfig::default()
    }
}

/// Answers of a policy to the first `limit` held-out prompts.
pub(crate) fn held_out(
    model: &Pretrained,
    policy: &CausalLm,
    config: &Config,
    settings: &EvaluateConfig,
    limit: Option<usize>,
) -> anyhow::Result<Evaluation> {
    let mut prompts = config.task.prompts(model, Split::Evaluation)?;
    prompts.truncate(limit.unwrap_or(usize::MAX));
    let mut reward = config.task.reward(model)?;
    let reference = model.lm.base();
    Ok(evaluate(policy, &reference, &model.tokenizer, &prompts, reward.as_mut(), settings)?)
}

fn rows(summary: &Summary) -> [(&'static str, Estimate); 7] {
    [
        ("objective", summary.objective),
        ("reward", summary.reward),
        ("score", summary.score),
        ("KL to the reference (nats)", summary.kl),
        ("entropy (nats a token)", summary.entropy),
        ("length (tokens)", summary.length),
        ("ended by itself", summary.eos_rate),
    ]
}

fn line(name: &str, estimate: &Estimate) -> String {
    let Estimate { value, interval: [low, high], n, .. } = estimate;
    format!("{name:<28}{value:>9.3}  [{low:.3}, {high:.3}]  n = {n} prompts")
}
