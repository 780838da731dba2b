use serde::{Deserialize, Serialize};

use crate::{MathError, check};

/// Largest relative error of one update.
const MAX_ERROR: f64 = 0.2;

/// A KL coefficient that is raised while the observed KL is above its target, and lowered below.
///
/// ```text
/// e = clip(KL / target − 1, −0.2, 0.2)
/// coef ← coef · (1 + e n / horizon)
/// ```
///
/// n is the number of episodes since the last update; more than the horizon count as the horizon, so
/// that one update changes the coefficient by a fifth at most and never its sign. Source: arXiv
/// 1909.08593, §2.2, whose code multiplies by n / horizon with a horizon of 10,000.
///
/// # Examples
/// ```
/// let mut kl = rl_core::kl::AdaptiveKl { coef: 0.1, target: 6.0, horizon: 1000.0 };
/// kl.update(60.0, 500);
/// assert!((kl.coef - 0.1 * 1.1).abs() < 1e-12);
/// kl.update(5.4, 1000);
/// assert!((kl.coef - 0.11 * 0.9).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptiveKl {
    /// The coefficient now; above 0. Starts at 0.15, as published.
    pub coef: f64,
    /// KL that is aimed at, in nats per sequence; above 0. 6, as published.
    pub target: f64,
    /// Episodes over which an error of one takes full effect; above 0. 10,000, as published.
    pub horizon: f64,
}

impl Default for AdaptiveKl {
    fn default() -> Self {
        Self { coef: 0.15, target: 6.0, horizon: 10_000.0 }
    }
}

impl AdaptiveKl {
    /// All settings are in their range.
    ///
    /// # Errors
    /// [`MathError::Range`] for one that is not.
    pub fn validate(&self) -> Result<(), MathError> {
        check::positive("coef", self.coef)?;
        check::positive("target", self.target)?;
        check::positive("horizon", self.horizon)
    }

    /// Adapts the coefficient to the KL seen over `n` episodes.
    ///
    /// A KL that is not finite changes nothing and is logged: there is nothing to learn from it.
    pub fn update(&mut self, observed_kl: f64, n: u64) {
        if !observed_kl.is_finite() {
            tracing::warn!(
                observed_kl,
                "the KL coefficient is kept: the observed KL is not finite"
            );
            return;
        }
        let error = (observed_kl / self.target - 1.0).clamp(-MAX_ERROR, MAX_ERROR);
        self.coef *= 1.0 + error * (n as f64 / self.horizon).min(1.0);
    }
}
