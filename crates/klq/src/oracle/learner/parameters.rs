//! What is trained.

use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use crate::oracle::{Error, Policy, TokenMdp, numeric, operators, random};

/// Where training starts.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Start {
    /// At the reference policy with all values 0, as a language model does.
    #[default]
    Reference,
    /// At the reference logits plus noise, with values of noise: normal, with this standard deviation.
    Random {
        /// Standard deviation in nats and units of reward, above 0.
        std: f64,
    },
}

/// Logits `[states, vocab]` and values `[states]`, in one slice so that an optimizer sees one.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    flat: Vec<f64>,
    vocab: usize,
    pairs: usize,
}

impl Parameters {
    /// Given logits and values.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::NotFinite`].
    pub fn new(mdp: &TokenMdp, logits: &[f64], values: &[f64]) -> Result<Self, Error> {
        Error::table("logits", logits, mdp.pairs())?;
        Error::table("values", values, mdp.states())?;
        let flat = [logits, values].concat();
        Ok(Self { flat, vocab: mdp.config().vocab, pairs: mdp.pairs() })
    }

    /// A start; the noise is stream `start` of the seed.
    ///
    /// # Errors
    /// [`Error::Setting`] for noise without a standard deviation.
    pub fn start(mdp: &TokenMdp, start: Start, seed: Seed) -> Result<Self, Error> {
        let mut parameters = Self::new(mdp, mdp.reference().log_probs(), &vec![0.0; mdp.states()])?;
        if let Start::Random { std } = start {
            let held = std > 0.0 && std.is_finite();
            Error::setting("start.random.std", "a finite number above 0", std, held)?;
            let mut rng = seed.derive("start", 0).rng();
            parameters.flat.iter_mut().for_each(|x| *x += std * random::normal(&mut rng));
        }
        Ok(parameters)
    }

    /// Logits, then values: `[states · vocab + states]`. Gradients have this layout.
    pub fn flat(&self) -> &[f64] {
        &self.flat
    }

    /// The same, to be changed.
    pub fn flat_mut(&mut self) -> &mut [f64] {
        &mut self.flat
    }

    /// Logits, `[states, vocab]`.
    pub fn logits(&self) -> &[f64] {
        &self.flat[..self.pairs]
    }

    /// Values `V_θ`, `[states]`.
    pub fn values(&self) -> &[f64] {
        &self.flat[self.pairs..]
    }

    /// `π_θ`.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for logits that are none.
    pub fn policy(&self, mdp: &TokenMdp) -> Result<Policy, Error> {
        Policy::from_logits(mdp, self.logits())
    }

    /// `Q_θ = τ log(π_θ/π_b) + V_θ` (13), `[states, vocab]`.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for parameters that are none.
    pub fn action_values(&self, mdp: &TokenMdp) -> Result<Vec<f64>, Error> {
        operators::action_values(mdp, &self.policy(mdp)?, self.values())
    }

    /// `log π_θ(·|s)`, written to `row: [vocab]`.
    pub(super) fn log_probs(&self, state: usize, row: &mut [f64]) {
        row.copy_from_slice(&self.flat[state * self.vocab..][..self.vocab]);
        numeric::log_softmax(row);
    }

    /// Adds `by_log_prob ∇ log π(a|s) + by_value ∇ V(s)` to a gradient of the layout of `flat`.
    pub(super) fn add_gradient(
        &self,
        gradient: &mut [f64],
        [state, action]: [usize; 2],
        log_probs: &[f64],
        [by_log_prob, by_value]: [f64; 2],
    ) {
        let row = &mut gradient[state * self.vocab..][..self.vocab];
        for (slope, log_prob) in row.iter_mut().zip(log_probs) {
            *slope -= by_log_prob * log_prob.exp();
        }
        row[action] += by_log_prob;
        gradient[self.pairs + state] += by_value;
    }
}
