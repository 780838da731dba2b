//! KL-regularised Q-learning: one squared error of a token-level action value.

use rl_core::{
    advantages::{gae, retrace},
    masked::{self, Mean},
    returns::Steps,
};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{Measured, Targets, Tokens, WHITEN_EPS, check, check_clip, check_shares};
use crate::Error;

/// Settings of KLQ. The temperature τ is the trainer's `kl_coef`.
///
/// ```text
/// Q_θ(s, a) = τ log(π_θ(a|s) / π_ref(a|s)) + V_θ(s)            (13)
/// δ_t = r_{t+1} + γ V_old(s_{t+1}) − Q_old(s_t, a_t)           (14)
/// Δ_t = δ_t + γ λ Δ_{t+1}
/// Ĝ_t = Q_old(s_t, a_t) + α Δ_t                                (7)
/// loss = ½ (Q_θ(s_t, a_t) − Ĝ_t)²                              (6)
/// ```
///
/// Source: arXiv 2508.17000, equations as numbered there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct KlqConfig {
    /// Discount γ, in [0, 1].
    pub gamma: f64,
    /// Trace decay λ, in [0, 1].
    pub gae_lambda: f64,
    /// λ at the last iteration, which it goes to on a straight line; none keeps it.
    pub final_gae_lambda: Option<f64>,
    /// Conservative step α, in (0, 1]: corresponds to a penalty `τ(1−α)/α` on the KL from the old
    /// policy in PPO (18).
    pub alpha: f64,
    /// Whether the mean of Δ is removed and its scale set to 1. The authors found that best left
    /// off: it moves the fixed point.
    pub whiten: bool,
    /// Whether Δ is divided by its standard deviation over the batch's tokens, which leaves its sign.
    pub scale_targets: bool,
    /// Beyond which error the loss grows linearly.
    pub huber: Huber,
    /// How far `Q_θ` may move from `Q_old`.
    pub clip: KlqClip,
    /// Whether targets are made anew before later epochs, from the policy of then.
    pub refresh: Refresh,
    /// Whether the loss is divided by `ατ`, which gives its gradient the size of PPO's, so that
    /// learning rates, clipping and Adam's ε mean the same for both.
    pub policy_gradient_scale: bool,
}

/// Where the squared error becomes linear.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Huber {
    /// Nowhere.
    #[default]
    Off,
    /// Beyond this error, in units of reward.
    Beyond(f64),
}

/// Clipping: the largest of the losses with and without counts, as in PPO's value loss.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum KlqClip {
    /// None; the published method.
    #[default]
    Off,
    /// `Q_θ` within this distance of `Q_old`, in units of reward.
    Q(f64),
    /// `log π_θ/π_ref` within this distance of the old one, in nats.
    LogRatio(f64),
    /// Both.
    Both {
        /// As in [`KlqClip::Q`].
        q: f64,
        /// As in [`KlqClip::LogRatio`].
        log_ratio: f64,
    },
}

impl KlqClip {
    /// The distances of `Q_θ` and of the log-ratio.
    fn distances(self) -> [Option<f64>; 2] {
        match self {
            Self::Off => [None, None],
            Self::Q(q) => [Some(q), None],
            Self::LogRatio(log_ratio) => [None, Some(log_ratio)],
            Self::Both { q, log_ratio } => [Some(q), Some(log_ratio)],
        }
    }
}

/// When targets are made anew.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// Never: all epochs have the same targets.
    #[default]
    Never,
    /// Before every epoch but the first. The answers are stale then, and traces are cut by
    /// `min(c, π/π_behavior)` of the action that follows (Retrace, arXiv 1606.02647).
    EachEpoch {
        /// The cap `c` on an importance ratio.
        retrace_clip: f64,
    },
}

impl Default for KlqConfig {
    /// γ = 1, λ = 0.95, α = 1 and the plain squared loss, as published.
    fn default() -> Self {
        Self {
            gamma: 1.0,
            gae_lambda: 0.95,
            final_gae_lambda: None,
            alpha: 1.0,
            whiten: false,
            scale_targets: false,
            huber: Huber::Off,
            clip: KlqClip::Off,
            refresh: Refresh::Never,
            policy_gradient_scale: true,
        }
    }
}

impl KlqConfig {
    pub(super) fn validate(&self) -> Result<(), Error> {
        check_shares(self.gamma, self.gae_lambda, self.final_gae_lambda)?;
        let alpha = self.alpha > 0.0 && self.alpha <= 1.0;
        check("alpha", alpha, "a number in (0, 1]", self.alpha)?;
        check(
            "whiten and scale_targets",
            !(self.whiten && self.scale_targets),
            "at most one of them",
            "both",
        )?;
        if let Huber::Beyond(delta) = self.huber {
            check_clip("huber", Some(delta))?;
        }
        for distance in self.clip.distances() {
            check_clip("clip", distance)?;
        }
        if let Refresh::EachEpoch { retrace_clip } = self.refresh {
            check_clip("retrace_clip", Some(retrace_clip))?;
        }
        Ok(())
    }

    /// Targets (7) from λ-returns of the temporal differences (14).
    ///
    /// `δ` is computed as PPO's, of rewards less `τ log(π_old/π_ref)`: the two are the same, as
    /// `Q_old = τ log(π_old/π_ref) + V_old`.
    pub(super) fn targets(&self, measured: &Measured, kl_coef: f64) -> Result<Targets, Error> {
        let mask = measured.grid.mask();
        let log_ratio = measured.log_ratio();
        let rewards = measured.grid.at_end(&measured.scores) - &log_ratio * kl_coef;
        let after = measured.grid.at_end(&measured.after);
        let steps =
            Steps { bootstrap: Some(&after), ..Steps::new(&rewards, &measured.values, &mask) };
        let mut delta = match self.refresh {
            Refresh::Never => gae(&steps, self.gamma, self.gae_lambda)?,
            Refresh::EachEpoch { retrace_clip } => {
                let log_rhos = &measured.old_log_probs - &measured.behavior_log_probs;
                retrace(&steps, &log_rhos, self.gamma, self.gae_lambda, retrace_clip)?
            }
        };
        if self.whiten {
            delta = masked::whiten(&delta, &mask, Mean::Remove, WHITEN_EPS)?;
        } else if self.scale_targets {
            delta = &delta / (masked::var(&delta, &mask)? + WHITEN_EPS).sqrt();
        }
        let returns = log_ratio * kl_coef + &measured.values + &delta * self.alpha;
        Ok(Targets { advantages: delta, returns })
    }

    pub(super) fn loss(
        &self,
        log_probs: &Tensor,
        values: &Tensor,
        tokens: &Tokens,
        kl_coef: f64,
    ) -> Tensor {
        let log_ratio = log_probs - &tokens.ref_log_probs;
        let old_log_ratio = &tokens.old_log_probs - &tokens.ref_log_probs;
        let q = &log_ratio * kl_coef + values;
        let mut loss = self.penalty(&(&q - &tokens.returns));
        let [of_q, of_log_ratio] = self.clip.distances();
        if let Some(clip) = of_q {
            let old = &old_log_ratio * kl_coef + &tokens.old_values;
            let near = &old + (&q - &old).clamp(-clip, clip);
            loss = loss.maximum(&self.penalty(&(near - &tokens.returns)));
        }
        if let Some(clip) = of_log_ratio {
            let near = &old_log_ratio + (&log_ratio - &old_log_ratio).clamp(-clip, clip);
            loss = loss.maximum(&self.penalty(&(near * kl_coef + values - &tokens.returns)));
        }
        if self.policy_gradient_scale { loss / (self.alpha * kl_coef) } else { loss }
    }

    /// Half the square of the error, or Huber's loss.
    fn penalty(&self, error: &Tensor) -> Tensor {
        match self.huber {
            Huber::Off => error.square() * 0.5,
            Huber::Beyond(delta) => {
                let zero = error.zeros_like().to_kind(Kind::Float);
                error.huber_loss(&zero, tch::Reduction::None, delta)
            }
        }
    }
}
