//! Algorithms without a value function: answers of one prompt are compared with each other.

use rl_core::{
    advantages::{group_normalized, leave_one_out},
    kl,
    losses::ppo_policy,
};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Measured, Targets, Tokens, check, check_clip};
use crate::Error;

/// Settings of leave-one-out REINFORCE: the reward of an answer is its score less `kl_coef` times
/// the log-ratio of the whole answer; its baseline is the mean reward of the prompt's other answers.
///
/// Source: arXiv 2402.14740. Ratios are clipped token by token, so that several epochs are safe; at
/// the first step that is REINFORCE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RlooConfig {
    /// Probability ratios beyond `1 ± clip_coef` teach nothing more.
    pub clip_coef: f64,
}

impl Default for RlooConfig {
    fn default() -> Self {
        Self { clip_coef: 0.2 }
    }
}

impl RlooConfig {
    pub(super) fn validate(&self) -> Result<(), Error> {
        check_clip("clip_coef", Some(self.clip_coef))
    }

    pub(super) fn targets(measured: &Measured, kl_coef: f64) -> Result<Targets, Error> {
        let log_ratios = measured.grid.row_sums(&measured.log_ratio());
        let rewards: Vec<f64> =
            measured.scores.iter().zip(log_ratios).map(|(s, ratio)| s - kl_coef * ratio).collect();
        let advantages = leave_one_out(&Tensor::from_slice(&rewards), measured.group)?;
        Ok(of_answers(measured, &advantages))
    }

    pub(super) fn loss(&self, log_probs: &Tensor, tokens: &Tokens) -> Result<Tensor, Error> {
        Ok(ppo_policy(log_probs, &tokens.old_log_probs, &tokens.advantages, self.clip_coef)?)
    }
}

/// Settings of group-relative policy optimisation: scores are normalized within a prompt's answers,
/// and the KL to the reference is a term of the loss (k3).
///
/// Source: arXiv 2402.03300, equations (3) and (4); tokens are averaged over the batch, not first
/// within answers, so that long answers do not count less a token (arXiv 2503.20783).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct GrpoConfig {
    /// Probability ratios beyond `1 ± clip_coef` teach nothing more.
    pub clip_coef: f64,
    /// Least standard deviation that scores are divided by, so that a group of nearly equal scores
    /// is not blown up.
    pub std_floor: f64,
}

impl Default for GrpoConfig {
    fn default() -> Self {
        Self { clip_coef: 0.2, std_floor: 1e-4 }
    }
}

impl GrpoConfig {
    pub(super) fn validate(&self) -> Result<(), Error> {
        let floor = self.std_floor;
        check("std_floor", floor.is_finite() && floor > 0.0, "a number above 0", floor)?;
        check_clip("clip_coef", Some(self.clip_coef))
    }

    pub(super) fn targets(&self, measured: &Measured) -> Result<Targets, Error> {
        let scores = Tensor::from_slice(&measured.scores);
        let advantages = group_normalized(&scores, measured.group, self.std_floor)?;
        Ok(of_answers(measured, &advantages))
    }

    pub(super) fn loss(
        &self,
        log_probs: &Tensor,
        tokens: &Tokens,
        kl_coef: f64,
    ) -> Result<Tensor, Error> {
        let policy =
            ppo_policy(log_probs, &tokens.old_log_probs, &tokens.advantages, self.clip_coef)?;
        Ok(policy + kl::k3(&(log_probs - &tokens.ref_log_probs)) * kl_coef)
    }
}

/// Every token of an answer has the answer's advantage.
fn of_answers(measured: &Measured, advantages: &Tensor) -> Targets {
    let advantages = measured.grid.everywhere(advantages);
    Targets { returns: advantages.zeros_like(), advantages }
}
