//! What estimators of a divergence from samples are in expectation, and what their gradients are.
//!
//! With the log-ratio `ℓ = log π − log π_b` of a sample drawn from π. Source: J. Schulman,
//! *Approximating KL divergence* (2020); gradients: arXiv 2510.01555, arXiv 2512.21852.

use super::{Error, Policy, Sequence, TokenMdp, soft};

/// An estimator of `KL(π‖π_b)` from one sample of π.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estimator {
    /// `ℓ`: unbiased, may be negative. As a loss its gradient is 0 in expectation; as part of the reward
    /// it gives the gradient of `KL(π‖π_b)`.
    K1,
    /// `ℓ² / 2`: biased, never negative. As a loss: the gradient of `KL(π‖π_b)`.
    K2,
    /// `e^{−ℓ} − 1 + ℓ`: unbiased, never negative. As a loss: the gradient of `KL(π_b‖π)`.
    K3,
}

impl Estimator {
    /// The estimate from a log-ratio.
    pub fn value(self, log_ratio: f64) -> f64 {
        match self {
            Self::K1 => log_ratio,
            Self::K2 => 0.5 * log_ratio * log_ratio,
            Self::K3 => (-log_ratio).exp_m1() + log_ratio,
        }
    }

    /// Its derivative by the log-ratio.
    pub fn derivative(self, log_ratio: f64) -> f64 {
        match self {
            Self::K1 => 1.0,
            Self::K2 => log_ratio,
            Self::K3 => -(-log_ratio).exp_m1(),
        }
    }

    /// `E_{y ~ π}[k(log π(y) − log π_b(y))]` over whole sequences.
    ///
    /// # Errors
    /// [`Error::Length`] for a policy of another process.
    pub fn expected(self, mdp: &TokenMdp, policy: &Policy) -> Result<f64, Error> {
        mdp.expectation(policy, |y| self.value(log_ratio(mdp, policy, y)))
    }

    /// Gradient by the logits, `[states, vocab]`, of the mean of the estimates used as a loss: samples of
    /// whole sequences are taken as given, so it is `E_{y ~ π}[k'(ℓ) ∇ log π(y)]`.
    ///
    /// # Errors
    /// [`Error::Length`] for a policy of another process.
    pub fn loss_gradient(self, mdp: &TokenMdp, policy: &Policy) -> Result<Vec<f64>, Error> {
        expected_scores(mdp, policy, |y| self.derivative(log_ratio(mdp, policy, y)))
    }

    /// Gradient by the logits, `[states, vocab]`, that a policy gradient makes of the estimate as a cost:
    /// `E_{y ~ π}[k(ℓ) ∇ log π(y)]`, with the estimate taken as given.
    ///
    /// # Errors
    /// [`Error::Length`] for a policy of another process.
    pub fn reward_gradient(self, mdp: &TokenMdp, policy: &Policy) -> Result<Vec<f64>, Error> {
        expected_scores(mdp, policy, |y| self.value(log_ratio(mdp, policy, y)))
    }
}

/// Gradient by the logits of π, `[states, vocab]`, of `KL(π(y)‖π_b(y))`, by recursion.
///
/// ```text
/// K(s, a) = log(π/π_b)(a|s) + E_π[K(s', ·)],  K(s) = E_π[K(s, ·)]
/// ∂KL/∂θ(s, a) = d^π(s) π(a|s) (K(s, a) − K(s))
/// ```
///
/// # Errors
/// [`Error::Length`] for a policy of another process.
pub fn kl_gradient(mdp: &TokenMdp, policy: &Policy) -> Result<Vec<f64>, Error> {
    let visits = soft::visitation(mdp, policy)?;
    let mut costs = vec![0.0; mdp.states()];
    let mut gradient = vec![0.0; mdp.pairs()];
    for state in (0..mdp.states()).rev() {
        let cost = |action| {
            let log_ratio = policy.row(state)[action] - mdp.reference().row(state)[action];
            log_ratio + mdp.next(state, action).map_or(0.0, |next| costs[next])
        };
        let mean = policy.expect(state, cost);
        for (action, log_prob) in policy.row(state).iter().enumerate() {
            gradient[mdp.index(state, action)] =
                visits[state] * log_prob.exp() * (cost(action) - mean);
        }
        costs[state] = mean;
    }
    Ok(gradient)
}

/// Gradient by the logits of π, `[states, vocab]`, of `KL(π_b(y)‖π(y))`:
/// `d^{π_b}(s) (π(a|s) − π_b(a|s))`.
///
/// # Errors
/// [`Error::Length`] for a policy of another process.
pub fn forward_kl_gradient(mdp: &TokenMdp, policy: &Policy) -> Result<Vec<f64>, Error> {
    mdp.check("policy", policy)?;
    let visits = soft::visitation(mdp, mdp.reference())?;
    let vocab = mdp.config().vocab;
    let pairs = policy.log_probs().iter().zip(mdp.reference().log_probs()).enumerate();
    Ok(pairs.map(|(pair, (p, b))| visits[pair / vocab] * (p.exp() - b.exp())).collect())
}

/// `log π(y) − log π_b(y)`.
fn log_ratio(mdp: &TokenMdp, policy: &Policy, y: &Sequence) -> f64 {
    y.log_prob(policy) - y.log_prob(mdp.reference())
}

/// `E_{y ~ π}[weight(y) ∇ log π(y)]` by the logits of π.
fn expected_scores(
    mdp: &TokenMdp,
    policy: &Policy,
    weight: impl Fn(&Sequence) -> f64,
) -> Result<Vec<f64>, Error> {
    mdp.check("policy", policy)?;
    let mut gradient = vec![0.0; mdp.pairs()];
    for y in mdp.sequences() {
        let weight = y.log_prob(policy).exp() * weight(&y);
        for &(state, action) in &y.steps {
            gradient[mdp.index(state, action)] += weight;
            for (other, log_prob) in policy.row(state).iter().enumerate() {
                gradient[mdp.index(state, other)] -= weight * log_prob.exp();
            }
        }
    }
    Ok(gradient)
}
