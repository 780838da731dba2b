//! Numbers that may not exist, with the reason.

use rl_core::stats::Estimate;
use serde::{Serialize, Serializer};

use crate::Arm;

/// An estimate with its interval and n, or the reason why there is none.
///
/// As JSON, `{"value", "interval", "n", "std_error"}` or `{"undefined", "n"}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Measured {
    /// It could be computed.
    Estimate(Estimate),
    /// It could not.
    Undefined {
        /// Why, as a sentence.
        undefined: String,
        /// How many units were there to compute it from.
        n: usize,
    },
}

impl Measured {
    pub(crate) fn undefined(reason: impl Into<String>, n: usize) -> Self {
        Self::Undefined { undefined: reason.into(), n }
    }

    /// What a function of `n` units returned; its error becomes the reason.
    pub(crate) fn of(result: Result<Estimate, rl_core::stats::Error>, n: usize) -> Self {
        match result {
            Ok(estimate) => Self::Estimate(estimate),
            Err(error) => Self::undefined(error.to_string(), n),
        }
    }

    /// The estimate, if there is one.
    pub fn estimate(&self) -> Option<Estimate> {
        match self {
            Self::Estimate(estimate) => Some(*estimate),
            Self::Undefined { .. } => None,
        }
    }

    /// The value, if there is one.
    pub fn value(&self) -> Option<f64> {
        self.estimate().map(|estimate| estimate.value)
    }

    /// Number of units: those it rests on, or those that were not enough.
    pub fn n(&self) -> usize {
        match self {
            Self::Estimate(estimate) => estimate.n,
            Self::Undefined { n, .. } => *n,
        }
    }
}

/// Why an example has no score. It is counted, and never a number.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// The arm was not scored.
    #[error("{arm}: not scored")]
    Missing {
        /// The arm.
        arm: Arm,
    },
    /// The arm could not be edited or scored.
    #[error("{arm}: {reason}")]
    Failed {
        /// The arm.
        arm: Arm,
        /// Why.
        reason: String,
    },
    /// A log-probability that is infinite or not a number.
    #[error("{arm}: expected a finite log-probability, found {found}")]
    NotFinite {
        /// The arm.
        arm: Arm,
        /// What is there.
        found: f64,
    },
    /// A log-probability above 0.
    #[error("{arm}: expected a log-probability of at most 0, found {found}")]
    Positive {
        /// The arm.
        arm: Arm,
        /// What is there.
        found: f64,
    },
    /// Another number of answer tokens than in the original arm: a token spans the place where the
    /// answer begins, or another tokenizer was used.
    #[error("{arm}: expected an answer of {expected} tokens, found {found}")]
    Tokens {
        /// The arm.
        arm: Arm,
        /// Tokens in the original arm.
        expected: usize,
        /// Tokens in this one.
        found: usize,
    },
    /// An answer without tokens, whose log-probability would be that of certainty.
    #[error("{arm}: expected an answer of at least one token, found none")]
    NoTokens {
        /// The arm.
        arm: Arm,
    },
    /// The answer is certain with and without the edit: 0/0.
    #[error("{arm}: certain with and without the edit")]
    BothCertain {
        /// The edited arm.
        arm: Arm,
    },
    /// One of the two is certain, where a logarithm of their ratio is needed.
    #[error("{arm}: certain, so the logarithm of a ratio is infinite")]
    Certain {
        /// The arm.
        arm: Arm,
    },
}

impl Undefined {
    /// One word or two, by which examples are counted.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Failed { .. } => "failed",
            Self::NotFinite { .. } => "not finite",
            Self::Positive { .. } => "positive",
            Self::Tokens { .. } => "other tokens",
            Self::NoTokens { .. } => "no tokens",
            Self::BothCertain { .. } => "both certain",
            Self::Certain { .. } => "certain",
        }
    }
}

impl Serialize for Undefined {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
