//! A policy as a table.

use super::{Error, TokenMdp, numeric};

/// How far the probabilities of a given policy may be from summing to 1.
const NORMALIZED: f64 = 1e-9;

/// Log-probabilities of every token after every prefix; rows are normalized.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    log_probs: Vec<f64>,
    vocab: usize,
}

impl Policy {
    /// The softmax of each row of logits `[states, vocab]`.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::NotFinite`].
    pub fn from_logits(mdp: &TokenMdp, logits: &[f64]) -> Result<Self, Error> {
        Error::table("logits", logits, mdp.pairs())?;
        let vocab = mdp.config().vocab;
        let mut log_probs = logits.to_vec();
        log_probs.chunks_exact_mut(vocab).for_each(numeric::log_softmax);
        Ok(Self { log_probs, vocab })
    }

    /// Given log-probabilities, checked and normalized to the last bit.
    pub(super) fn from_log_probs(
        mdp: &TokenMdp,
        argument: &'static str,
        log_probs: Vec<f64>,
    ) -> Result<Self, Error> {
        Error::length(argument, log_probs.len(), mdp.pairs())?;
        let mut policy = Self { log_probs, vocab: mdp.config().vocab };
        for (state, row) in policy.log_probs.chunks_exact_mut(policy.vocab).enumerate() {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            // Zeros are refused: a divergence from them would be infinite.
            if !row.iter().all(|x| x.is_finite()) || (sum - 1.0).abs() > NORMALIZED {
                let found = row.iter().map(|x| x.exp()).collect();
                return Err(Error::Distribution { argument, state, found });
            }
            numeric::log_softmax(row);
        }
        Ok(policy)
    }

    pub(super) fn uniform(states: usize, vocab: usize) -> Self {
        Self { log_probs: vec![-(vocab as f64).ln(); states * vocab], vocab }
    }

    /// Rows that the caller has normalized.
    pub(super) fn from_rows(log_probs: Vec<f64>, vocab: usize) -> Self {
        Self { log_probs, vocab }
    }

    /// The whole table, `[states, vocab]`.
    pub fn log_probs(&self) -> &[f64] {
        &self.log_probs
    }

    /// Log-probabilities `[vocab]` after the prefix of a state.
    ///
    /// # Panics
    /// If there is no such state.
    pub fn row(&self, state: usize) -> &[f64] {
        &self.log_probs[state * self.vocab..][..self.vocab]
    }

    /// `Σ_a π(a|s) f(a)` over the tokens after a state.
    pub(super) fn expect(&self, state: usize, mut f: impl FnMut(usize) -> f64) -> f64 {
        self.row(state).iter().enumerate().map(|(action, x)| x.exp() * f(action)).sum()
    }
}
