//! How scores are summed up.

use rl_core::{seed::Seed, stats::Bootstrap};
use serde::{Deserialize, Serialize};

use crate::{Error, error::check};

/// How scores are summed up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Nats added to both negative log-likelihoods of the regularized score, above 0. Default: 0.01,
    /// so that answers with a probability above 0.99 in both arms count as unmoved.
    pub epsilon: f64,
    /// Probability between the ends of an interval, between 0 and 1.
    pub confidence: f64,
    /// Resamples of a bootstrap, at least 100.
    pub resamples: usize,
    /// Seed of the resamples.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { epsilon: 0.01, confidence: 0.95, resamples: 2_000, seed: 0 }
    }
}

impl Settings {
    /// Checks ranges.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<(), Error> {
        let Self { epsilon, confidence, resamples, .. } = *self;
        let ok = epsilon.is_finite() && epsilon > 0.0;
        check("epsilon", ok, "a finite number above 0", epsilon)?;
        let ok = confidence > 0.0 && confidence < 1.0;
        check("confidence", ok, "a number between 0 and 1", confidence)?;
        check("resamples", resamples >= 100, "at least 100", resamples)
    }

    /// The bootstrap of a purpose, whose resamples depend on no other.
    pub(crate) fn bootstrap(&self, purpose: &str) -> Bootstrap {
        Bootstrap {
            resamples: self.resamples,
            confidence: self.confidence,
            seed: Seed::new(self.seed).derive(purpose, 0),
        }
    }
}
