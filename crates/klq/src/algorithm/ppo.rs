//! Proximal policy optimisation, as RLHF uses it.

use rl_core::{
    advantages::gae,
    losses::{ppo_policy, ppo_policy_dual_clip, ppo_value},
    masked::{self, Mean},
    returns::Steps,
};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Measured, Targets, Tokens, WHITEN_EPS, check_clip, check_shares};
use crate::{Error, algorithm::check};

/// Settings of PPO: the KL to the reference is taken from the reward of every token (k1), and
/// advantages are generalized ones over a value function.
///
/// Sources: arXiv 1707.06347, 1506.02438; the details of arXiv 2403.17031.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PpoConfig {
    /// Discount γ, in [0, 1].
    pub gamma: f64,
    /// Trace decay λ, in [0, 1].
    pub gae_lambda: f64,
    /// λ at the last iteration, which it goes to on a straight line; none keeps it.
    pub final_gae_lambda: Option<f64>,
    /// Probability ratios beyond `1 ± clip_coef` teach nothing more.
    pub clip_coef: f64,
    /// Cap on the ratio's loss where the advantage is negative (arXiv 1912.09729), above 1.
    pub dual_clip: Option<f64>,
    /// Distance from the old value beyond which the value loss is flat or larger; none leaves it.
    pub value_clip: Option<f64>,
    /// Weight of the value loss.
    pub vf_coef: f64,
    /// Whether advantages get mean 0 and variance 1 over the batch's tokens.
    pub whiten_advantages: bool,
    /// Whether rewards are divided by their standard deviation, their mean kept.
    pub whiten_rewards: bool,
    /// The epochs over a batch end once the approximate KL from the old policy, in nats a token, is
    /// beyond this; none makes them all.
    pub target_kl: Option<f64>,
}

impl Default for PpoConfig {
    /// γ = 1, λ = 0.95, both clips 0.2, value weight 0.1, whitened advantages.
    fn default() -> Self {
        Self {
            gamma: 1.0,
            gae_lambda: 0.95,
            final_gae_lambda: None,
            clip_coef: 0.2,
            dual_clip: None,
            value_clip: Some(0.2),
            vf_coef: 0.1,
            whiten_advantages: true,
            whiten_rewards: false,
            target_kl: None,
        }
    }
}

impl PpoConfig {
    pub(super) fn validate(&self) -> Result<(), Error> {
        check_shares(self.gamma, self.gae_lambda, self.final_gae_lambda)?;
        check_clip("clip_coef", Some(self.clip_coef))?;
        check_clip("value_clip", self.value_clip)?;
        check_clip("target_kl", self.target_kl)?;
        check(
            "dual_clip",
            self.dual_clip.is_none_or(|c| c > 1.0),
            "a number above 1",
            self.dual_clip.unwrap_or(0.0),
        )?;
        let weight = self.vf_coef;
        check("vf_coef", weight.is_finite() && weight >= 0.0, "a number, not below 0", weight)
    }

    pub(super) fn targets(&self, measured: &Measured, kl_coef: f64) -> Result<Targets, Error> {
        let mask = measured.grid.mask();
        let mut rewards = measured.grid.at_end(&measured.scores) - measured.log_ratio() * kl_coef;
        if self.whiten_rewards {
            rewards = masked::whiten(&rewards, &mask, Mean::Keep, WHITEN_EPS)?;
        }
        let after = measured.grid.at_end(&measured.after);
        let steps =
            Steps { bootstrap: Some(&after), ..Steps::new(&rewards, &measured.values, &mask) };
        let advantages = gae(&steps, self.gamma, self.gae_lambda)?;
        let returns = &advantages + &measured.values;
        let advantages = if self.whiten_advantages {
            masked::whiten(&advantages, &mask, Mean::Remove, WHITEN_EPS)?
        } else {
            advantages
        };
        Ok(Targets { advantages, returns })
    }

    pub(super) fn loss(
        &self,
        log_probs: &Tensor,
        values: &Tensor,
        tokens: &Tokens,
    ) -> Result<Tensor, Error> {
        let (old, advantages) = (&tokens.old_log_probs, &tokens.advantages);
        let policy = match self.dual_clip {
            None => ppo_policy(log_probs, old, advantages, self.clip_coef)?,
            Some(cap) => ppo_policy_dual_clip(log_probs, old, advantages, self.clip_coef, cap)?,
        };
        let value = ppo_value(values, &tokens.old_values, &tokens.returns, self.value_clip)?;
        Ok(policy + value * self.vf_coef)
    }
}
