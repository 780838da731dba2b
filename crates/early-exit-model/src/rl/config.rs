//! Settings of reinforcement learning.

use causal_lm::generate::{GenerateConfig, Sampling, Truncation};
use rl_core::optim::{AdamWConfig, Schedule};
use serde::{Deserialize, Serialize};

use crate::{Error, error::check};

/// How rewards of one prompt's answers become advantages.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Baseline {
    /// `(R − mean R) / max(std R, floor)`: where all answers are right or all wrong, what differs is
    /// depth alone, and is not blown up to unit variance.
    FlooredStd(f64),
    /// `(R − mean R) / (std R + 1e-8)`, as published. Where verdicts tie, λ no longer matters and
    /// shallow exits are rewarded at full strength.
    Std,
    /// R minus the mean of the others (RLOO).
    LeaveOneOut,
}

/// What is paid for depth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DepthReward {
    /// Every answer pays `λ ē`, ē being the mean share of blocks that its tokens ran.
    Every,
    /// Answers that score at least this earn `λ (1 − ē)`; the others nothing.
    Correct(f64),
    /// Answers are compared by their score alone. Each exit pays for its own depth, `(λ/T) l/L`, and
    /// tokens and exits for the divergence that comes after them.
    ///
    /// The same expected gradient as [`DepthReward::Every`] but for what an exit does to the depth of
    /// later tokens, with less variance.
    Own,
}

/// How answers are sampled. Nothing truncates the distributions and no floor is put under the gates:
/// what is sampled is what is scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RolloutConfig {
    /// Longest answer, in tokens.
    pub max_new_tokens: usize,
    /// What logits are divided by, in sampling and in every log-probability.
    pub temperature: f64,
    /// Answers generated together.
    pub batch_size: usize,
    /// Whether to decode with matrices arranged for it.
    pub packed: bool,
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self { max_new_tokens: 64, temperature: 1.0, batch_size: 64, packed: true }
    }
}

impl RolloutConfig {
    pub(crate) fn generate(&self, stop_tokens: &[u32]) -> GenerateConfig {
        let truncation = Truncation { temperature: self.temperature, ..Truncation::default() };
        GenerateConfig {
            max_new_tokens: self.max_new_tokens,
            sampling: Sampling::Random(truncation),
            stop_tokens: stop_tokens.to_vec(),
            log_probs: true,
            batch_size: self.batch_size,
            ..GenerateConfig::default()
        }
    }
}

/// Settings of reinforcement learning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RlConfig {
    /// Batches of answers, with one update each.
    pub iterations: u64,
    /// Prompts of a batch.
    pub prompts: usize,
    /// Answers to each prompt.
    pub group: usize,
    /// How answers are sampled.
    pub rollout: RolloutConfig,
    /// Weight λ of depth, in the units of the score.
    pub depth_coef: f64,
    /// Iterations over which λ rises from 0; 0 for none.
    pub depth_ramp: u64,
    /// What is paid for depth.
    pub depth_reward: DepthReward,
    /// Weight β of the divergence from the reference, a token.
    pub kl_coef: f64,
    /// How rewards become advantages.
    pub baseline: Baseline,
    /// Learning rate of adapter or weights.
    pub lr: f64,
    /// Learning rate of the gates.
    pub gate_lr: f64,
    /// Learning rates over the iterations.
    pub schedule: Schedule,
    /// Moments and clipping.
    pub optimizer: AdamWConfig,
    /// Tokens of one forward pass, padding counted.
    pub pass_tokens: usize,
    /// Positions whose logits are held at once.
    pub logit_rows: usize,
    /// Greatest difference between sampler and scorer, root mean square over tokens and exits, in
    /// nats; beyond it no update is made. Rounding explains 1e-4 in f32, and up to 0.1 in bf16.
    pub max_sampler_gap: f64,
    /// Share of a batch's answers that may have no score; beyond it the run stops.
    pub max_unscored: f64,
    /// Root seed.
    pub seed: u64,
}

impl Default for RlConfig {
    fn default() -> Self {
        Self {
            iterations: 100,
            prompts: 12,
            group: 6,
            rollout: RolloutConfig::default(),
            depth_coef: 0.5,
            depth_ramp: 20,
            depth_reward: DepthReward::Every,
            kl_coef: 0.05,
            baseline: Baseline::FlooredStd(0.1),
            lr: 1e-4,
            gate_lr: 1e-3,
            schedule: Schedule::default(),
            optimizer: AdamWConfig::default(),
            pass_tokens: 2048,
            logit_rows: 256,
            max_sampler_gap: 0.01,
            max_unscored: 0.1,
            seed: 0,
        }
    }
}

impl RlConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the one that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        self.rollout.generate(&[]).validate()?;
        self.schedule.validate()?;
        for (name, count) in [
            ("iterations", self.iterations as usize),
            ("prompts", self.prompts),
            ("pass_tokens", self.pass_tokens),
            ("logit_rows", self.logit_rows),
        ] {
            check(name, count > 0, "at least 1", count)?;
        }
        check("group", self.group > 1, "at least 2, which are compared", self.group)?;
        for (name, number) in [
            ("depth_coef", self.depth_coef),
            ("kl_coef", self.kl_coef),
            ("lr", self.lr),
            ("gate_lr", self.gate_lr),
        ] {
            check(name, number.is_finite() && number >= 0.0, "a number, not below 0", number)?;
        }
        if let Baseline::FlooredStd(floor) = self.baseline {
            let positive = floor.is_finite() && floor > 0.0;
            check("floored_std", positive, "a number above 0", floor)?;
        }
        if let DepthReward::Correct(least) = self.depth_reward {
            check("correct", least.is_finite(), "a number", least)?;
        }
        let gap = self.max_sampler_gap;
        check("max_sampler_gap", gap.is_finite() && gap > 0.0, "a number above 0", gap)?;
        let share = self.max_unscored;
        check("max_unscored", (0.0..=1.0).contains(&share), "a number in [0, 1]", share)
    }

    /// λ in iteration `iteration` (from 0).
    pub fn depth_coef_at(&self, iteration: u64) -> f64 {
        if iteration < self.depth_ramp {
            return self.depth_coef * (iteration + 1) as f64 / (self.depth_ramp + 1) as f64;
        }
        self.depth_coef
    }
}
