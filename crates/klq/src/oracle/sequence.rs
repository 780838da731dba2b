//! All sequences of a process, one by one.

use super::{Error, Policy, TokenMdp, numeric};

/// How a sequence ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With the end-of-sequence token.
    Eos,
    /// At the horizon.
    CutOff,
}

/// A whole sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// State and token of each step, from the empty prefix on.
    pub steps: Vec<(usize, usize)>,
    /// How it ends.
    pub ending: Ending,
}

impl Sequence {
    /// Its tokens, the end-of-sequence token included where it has one.
    pub fn tokens(&self) -> Vec<usize> {
        self.steps.iter().map(|&(_, action)| action).collect()
    }

    /// `log π(y) = Σ_t log π(y_{t+1} | s_t)`.
    ///
    /// # Panics
    /// If the policy is one of a smaller process.
    pub fn log_prob(&self, policy: &Policy) -> f64 {
        self.steps.iter().map(|&(state, action)| policy.row(state)[action]).sum()
    }

    /// `Σ_t γ^t r_{t+1}`.
    ///
    /// # Panics
    /// If the sequence is one of a larger process.
    pub fn discounted_reward(&self, mdp: &TokenMdp) -> f64 {
        let gamma = mdp.config().gamma;
        self.steps.iter().rev().fold(0.0, |after, &(state, action)| {
            mdp.rewards()[mdp.index(state, action)] + gamma * after
        })
    }
}

impl TokenMdp {
    /// Every sequence, in the order of the state and token of its last step.
    pub fn sequences(&self) -> Vec<Sequence> {
        let mut sequences = Vec::new();
        for state in 0..self.states() {
            let mut steps = Vec::new();
            let mut before = 0;
            for token in self.prefix(state) {
                steps.push((before, token));
                before = self.next(before, token).unwrap_or(before);
            }
            for action in 0..self.config().vocab {
                let Some(ending) = self.ending(state, action) else { continue };
                let steps = steps.iter().copied().chain([(state, action)]).collect();
                sequences.push(Sequence { steps, ending });
            }
        }
        sequences
    }

    /// `log Z = log Σ_y π_b(y) exp(R(y) / τ)`, by enumeration, with `R` the undiscounted sum of rewards.
    ///
    /// For γ = 1 it is `V*(s_0) / τ`.
    pub fn log_partition(&self) -> f64 {
        let tau = self.config().tau;
        let exponents: Vec<f64> = self
            .sequences()
            .iter()
            .map(|y| {
                let rewards = y.steps.iter().map(|&(s, a)| self.rewards()[self.index(s, a)]);
                y.log_prob(self.reference()) + rewards.sum::<f64>() / tau
            })
            .collect();
        numeric::log_sum_exp(exponents.into_iter())
    }

    /// `Σ_y π(y) f(y)`, by enumeration.
    ///
    /// # Errors
    /// [`Error::Length`] for a policy of another process.
    pub fn expectation(
        &self,
        policy: &Policy,
        mut f: impl FnMut(&Sequence) -> f64,
    ) -> Result<f64, Error> {
        self.check("policy", policy)?;
        Ok(self.sequences().iter().map(|y| y.log_prob(policy).exp() * f(y)).sum())
    }
}
