//! What both sides do: one file that both read.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use causal_lm::{LoadOptions, Pretrained, lora::LoraConfig};
use klq::{TrainConfig, policy::PolicyConfig, reward::Prompt};
use lm_tasks::Split;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::klq::{task::TaskConfig, train::Name};

/// Answers to each prompt where they are compared with each other: the fewest that can be, so that
/// prompts are as many as can be.
pub(super) const GROUP: usize = 2;

/// The work of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Work {
    pub(super) model: PathBuf,
    /// As many as a batch has answers: tokens, chat template and all.
    pub(super) prompts: Vec<Vec<u32>>,
    /// Answers to a prompt of the algorithms that need several.
    pub(super) group: usize,
    /// Longest answer.
    pub(super) new_tokens: usize,
    pub(super) epochs: usize,
    pub(super) kl_coef: f64,
    pub(super) lr: f64,
    /// Whether the peer computes activations twice rather than keep them.
    pub(super) peer_checkpointing: bool,
    pub(super) adapter: LoraConfig,
    pub(super) gae: Advantages,
}

/// Advantages of one large batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Advantages {
    pub(super) batch: i64,
    pub(super) length: i64,
    pub(super) gamma: f64,
    pub(super) gae_lambda: f64,
    /// Passes of a measurement, which is their median.
    pub(super) passes: usize,
}

impl Default for Advantages {
    fn default() -> Self {
        Self { batch: 512, length: 1024, gamma: 0.99, gae_lambda: 0.95, passes: 9 }
    }
}

impl Advantages {
    /// Rewards and values, the same numbers on both sides.
    pub(super) fn inputs(&self) -> [Tensor; 2] {
        let numbers = Tensor::arange(self.batch * self.length, (Kind::Int64, Device::Cpu));
        [(37, 101), (53, 103)].map(|(factor, modulus)| {
            let remainders = (&numbers * factor).remainder(modulus).to_kind(Kind::Float);
            (remainders / modulus as f64 - 0.5).view([self.batch, self.length])
        })
    }
}

impl Work {
    /// The work on `count` of our own prompts.
    pub(super) fn new(
        file: &Path,
        count: usize,
        new_tokens: usize,
        epochs: usize,
    ) -> anyhow::Result<Self> {
        let prompts = TaskConfig::default().prompts(&load(file)?, Split::Train)?;
        let ids: Vec<Vec<u32>> = prompts.into_iter().map(|prompt| prompt.ids).collect();
        anyhow::ensure!(
            (GROUP..=ids.len()).contains(&count) && count.is_multiple_of(GROUP),
            "--prompts: expected a multiple of {GROUP} up to {}, found {count}",
            ids.len()
        );
        let defaults = TrainConfig::default();
        Ok(Self {
            model: std::path::absolute(file)?,
            prompts: of_middle_length(ids, count),
            group: GROUP,
            new_tokens,
            epochs,
            kl_coef: defaults.kl_coef,
            // Small: what an iteration takes should not depend on how many went before.
            lr: 1e-6,
            peer_checkpointing: false,
            adapter: LoraConfig::default(),
            gae: Advantages::default(),
        })
    }

    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// The prompts as the trainer takes them.
    pub(super) fn prompts(&self) -> Vec<Prompt> {
        let prompt = |(i, ids): (usize, &Vec<u32>)| Prompt {
            id: i.to_string(),
            text: String::new(),
            ids: ids.clone(),
            source: None,
        };
        self.prompts.iter().enumerate().map(prompt).collect()
    }

    /// Settings under which `algorithm` makes as many answers a batch as there are prompts.
    pub(super) fn train_config(&self, algorithm: Name) -> TrainConfig {
        let algorithm = algorithm.algorithm();
        let group = if algorithm.needs_groups() { self.group } else { 1 };
        let defaults = TrainConfig::default();
        TrainConfig {
            algorithm,
            kl_coef: self.kl_coef,
            iterations: u64::MAX,
            prompts: self.prompts.len() / group,
            group,
            rollout: klq::RolloutConfig { max_new_tokens: self.new_tokens, ..defaults.rollout },
            epochs: self.epochs,
            policy: PolicyConfig { adapter: Some(self.adapter.clone()), ..defaults.policy },
            lr: self.lr,
            ..defaults
        }
    }
}

/// The model as both sides have it.
pub(super) fn load(file: &Path) -> anyhow::Result<Pretrained> {
    let options = LoadOptions { kind: Kind::BFloat16, device: Device::Cpu };
    Ok(Pretrained::load(file, &options)?)
}

/// The `count` whose lengths are nearest to the median: what is padded says nothing of a trainer.
fn of_middle_length(mut prompts: Vec<Vec<u32>>, count: usize) -> Vec<Vec<u32>> {
    prompts.sort_by_key(Vec::len);
    let first = (prompts.len() - count) / 2;
    prompts[first..first + count].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_those_of_middle_length() {
        let prompts = [9, 1, 5, 4, 6, 30, 2].map(|n| vec![0; n]).to_vec();
        let lengths: Vec<usize> = of_middle_length(prompts, 3).iter().map(Vec::len).collect();
        assert_eq!(lengths, [4, 5, 6]);
    }

    #[test]
    fn every_algorithm_makes_as_many_answers() {
        let work = Work {
            model: "model".into(),
            prompts: vec![vec![1, 2]; 8],
            group: GROUP,
            new_tokens: 5,
            epochs: 3,
            kl_coef: 0.1,
            lr: 1e-6,
            peer_checkpointing: false,
            adapter: LoraConfig::default(),
            gae: Advantages::default(),
        };
        for algorithm in [Name::Klq, Name::Ppo, Name::Rloo, Name::Grpo] {
            let config = work.train_config(algorithm);
            config.validate().unwrap();
            assert_eq!(config.prompts * config.group, 8);
            assert_eq!((config.epochs, config.minibatches), (3, 1));
        }
        let text = serde_json::to_string(&work).unwrap();
        assert_eq!(serde_json::from_str::<Work>(&text).unwrap(), work);
    }
}
