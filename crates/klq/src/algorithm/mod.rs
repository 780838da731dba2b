//! The algorithms: each is one function that makes targets of a batch of answers, and one loss.
//!
//! The trainer around them is the same for all: it samples answers, measures them under the policy
//! that made them and under the reference, asks for targets, and steps on the loss.

mod group;
mod klq;
mod ppo;

pub use group::{GrpoConfig, RlooConfig};
pub use klq::{Huber, KlqClip, KlqConfig, Refresh};
pub use ppo::PpoConfig;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::{Error, grid::Grid};

/// Added to a standard deviation before it divides.
const WHITEN_EPS: f64 = 1e-8;

/// Which algorithm, with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Algorithm {
    /// KL-regularised Q-learning, arXiv 2508.17000.
    Klq(KlqConfig),
    /// Proximal policy optimisation with a value function, arXiv 1707.06347.
    Ppo(PpoConfig),
    /// REINFORCE with the mean of a prompt's other answers as baseline, arXiv 2402.14740.
    Rloo(RlooConfig),
    /// Group-relative policy optimisation, arXiv 2402.03300.
    Grpo(GrpoConfig),
}

impl Default for Algorithm {
    fn default() -> Self {
        Self::Klq(KlqConfig::default())
    }
}

/// What was measured of a batch of answers, before anything is trained on it.
///
/// All tensors are `[batch, time]`, f32, on the CPU; what stands beyond a row's answer is ignored.
/// Log-probabilities are those of the rollout's temperature.
#[derive(Debug)]
pub struct Measured {
    /// Where the tokens are.
    pub grid: Grid,
    /// Under the policy of now, before the epochs that follow.
    pub old_log_probs: Tensor,
    /// Under the policy that sampled the answers; the same as `old_log_probs` unless they are stale.
    pub behavior_log_probs: Tensor,
    /// Under the reference.
    pub ref_log_probs: Tensor,
    /// Values of the states that the tokens were chosen in; zeros without a value function.
    pub values: Tensor,
    /// Final reward of each answer, missing end and all, `[batch]`.
    pub scores: Vec<f64>,
    /// Value of the state after each answer, `[batch]`: 0 where the episode is over.
    pub after: Vec<f64>,
    /// Answers of one prompt stand side by side, this many.
    pub group: usize,
}

impl Measured {
    /// `log π_old − log π_ref` of every token.
    pub fn log_ratio(&self) -> Tensor {
        &self.old_log_probs - &self.ref_log_probs
    }
}

/// What an algorithm aims at, fixed for the epochs over a batch. `[batch, time]`, f32.
#[derive(Debug)]
pub struct Targets {
    /// How much better than expected each token was.
    pub advantages: Tensor,
    /// What the value function should have said; for KLQ what the action value should be.
    pub returns: Tensor,
}

/// The tokens of one forward pass: what is fixed of them. All `[n]`, f32, without gradient.
#[derive(Debug)]
pub struct Tokens {
    /// See [`Measured::old_log_probs`].
    pub old_log_probs: Tensor,
    /// See [`Measured::ref_log_probs`].
    pub ref_log_probs: Tensor,
    /// See [`Measured::values`].
    pub old_values: Tensor,
    /// See [`Targets::advantages`].
    pub advantages: Tensor,
    /// See [`Targets::returns`].
    pub returns: Tensor,
}

impl Tokens {
    /// The tokens at `cells` of the flattened rectangles, on the device of `like`.
    pub fn select(
        measured: &Measured,
        targets: &Targets,
        cells: &Tensor,
        device: tch::Device,
    ) -> Self {
        let pick = |x: &Tensor| x.flatten(0, -1).index_select(0, cells).to_device(device);
        Self {
            old_log_probs: pick(&measured.old_log_probs),
            ref_log_probs: pick(&measured.ref_log_probs),
            old_values: pick(&measured.values),
            advantages: pick(&targets.advantages),
            returns: pick(&targets.returns),
        }
    }

    /// `len` tokens from `start` on.
    #[must_use]
    pub fn narrow(&self, start: i64, len: i64) -> Self {
        let part = |x: &Tensor| x.narrow(0, start, len);
        Self {
            old_log_probs: part(&self.old_log_probs),
            ref_log_probs: part(&self.ref_log_probs),
            old_values: part(&self.old_values),
            advantages: part(&self.advantages),
            returns: part(&self.returns),
        }
    }
}

impl Algorithm {
    /// Its short name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Klq(_) => "klq",
            Self::Ppo(_) => "ppo",
            Self::Rloo(_) => "rloo",
            Self::Grpo(_) => "grpo",
        }
    }

    /// Whether it needs a value function.
    pub fn needs_values(&self) -> bool {
        matches!(self, Self::Klq(_) | Self::Ppo(_))
    }

    /// Whether answers of one prompt are compared with each other.
    pub fn needs_groups(&self) -> bool {
        matches!(self, Self::Rloo(_) | Self::Grpo(_))
    }

    /// When targets are made anew between the epochs over a batch.
    pub fn refresh(&self) -> Refresh {
        match self {
            Self::Klq(config) => config.refresh,
            _ => Refresh::Never,
        }
    }

    /// The approximate KL from the old policy at which the epochs over a batch end early.
    pub fn target_kl(&self) -> Option<f64> {
        match self {
            Self::Ppo(config) => config.target_kl,
            _ => None,
        }
    }

    /// The clip that `clip_frac` counts, where the algorithm has one.
    pub fn clip_coef(&self) -> Option<f64> {
        match self {
            Self::Klq(_) => None,
            Self::Ppo(config) => Some(config.clip_coef),
            Self::Rloo(config) => Some(config.clip_coef),
            Self::Grpo(config) => Some(config.clip_coef),
        }
    }

    /// With the settings of a moment of the run: `progress` goes from 0, its first iteration, to 1, its
    /// last.
    #[must_use]
    pub fn at(&self, progress: f64) -> Self {
        let mut now = self.clone();
        match &mut now {
            Self::Klq(KlqConfig { gae_lambda, final_gae_lambda, .. })
            | Self::Ppo(PpoConfig { gae_lambda, final_gae_lambda, .. }) => {
                if let Some(last) = *final_gae_lambda {
                    *gae_lambda += (last - *gae_lambda) * progress;
                }
            }
            Self::Rloo(_) | Self::Grpo(_) => {}
        }
        now
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<(), Error> {
        match self {
            Self::Klq(config) => config.validate(),
            Self::Ppo(config) => config.validate(),
            Self::Rloo(config) => config.validate(),
            Self::Grpo(config) => config.validate(),
        }
    }

    /// Targets of a batch; `kl_coef` is the weight of the KL to the reference, τ in KLQ.
    ///
    /// # Errors
    /// [`Error::Math`] for tensors that do not fit together.
    pub fn targets(&self, measured: &Measured, kl_coef: f64) -> Result<Targets, Error> {
        match self {
            Self::Klq(config) => config.targets(measured, kl_coef),
            Self::Ppo(config) => config.targets(measured, kl_coef),
            Self::Rloo(_) => RlooConfig::targets(measured, kl_coef),
            Self::Grpo(config) => config.targets(measured),
        }
    }

    /// The loss of every token, `[n]`; gradients flow to `log_probs` and `values`.
    ///
    /// # Errors
    /// [`Error::Math`] for tensors that do not fit together.
    pub fn loss(
        &self,
        log_probs: &Tensor,
        values: &Tensor,
        tokens: &Tokens,
        kl_coef: f64,
    ) -> Result<Tensor, Error> {
        match self {
            Self::Klq(config) => Ok(config.loss(log_probs, values, tokens, kl_coef)),
            Self::Ppo(config) => config.loss(log_probs, values, tokens),
            Self::Rloo(config) => config.loss(log_probs, tokens),
            Self::Grpo(config) => config.loss(log_probs, tokens, kl_coef),
        }
    }
}

/// Checks one number of a configuration.
#[expect(clippy::needless_pass_by_value, reason = "numbers and words alike")]
pub(crate) fn check(
    name: &'static str,
    ok: bool,
    expected: &str,
    found: impl ToString,
) -> Result<(), Error> {
    if ok {
        return Ok(());
    }
    Err(Error::Setting { name, expected: expected.into(), found: found.to_string() })
}

/// Discount and trace decay, which must lie in [0, 1].
fn check_shares(gamma: f64, gae_lambda: f64, final_gae_lambda: Option<f64>) -> Result<(), Error> {
    let share = |name, x: f64| check(name, (0.0..=1.0).contains(&x), "a number in [0, 1]", x);
    share("gamma", gamma)?;
    share("gae_lambda", gae_lambda)?;
    final_gae_lambda.map_or(Ok(()), |x| share("final_gae_lambda", x))
}

fn check_clip(name: &'static str, clip: Option<f64>) -> Result<(), Error> {
    let found = clip.unwrap_or(1.0);
    check(name, found.is_finite() && found > 0.0, "a number above 0", found)
}
