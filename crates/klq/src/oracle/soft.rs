//! The optimum of the regularized objective, and exact values of any policy.
//!
//! With the divergence `D(π‖π_b)(s) = Σ_a π(a|s) log(π(a|s) / π_b(a|s))` (2), the objective is
//! `J(π) = E_π[Σ_t γ^t (r_{t+1} − τ log(π/π_b)(a_t|s_t))] = V^π(s_0)`; for γ = 1 it is (4).

use super::{Error, Policy, TokenMdp, numeric, operators};

/// What the best policy is, and is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimum {
    /// `Q*(s, a) = r + γ V*(s')`, `[states, vocab]`.
    pub q: Vec<f64>,
    /// `V*(s) = τ log Σ_a π_b(a|s) exp(Q*(s, a) / τ)`, `[states]`.
    pub v: Vec<f64>,
    /// `π*(a|s) = π_b(a|s) exp((Q*(s, a) − V*(s)) / τ)`.
    pub policy: Policy,
    /// `V*(s_0) / τ`; for γ = 1 the logarithm of `Z = Σ_y π_b(y) exp(R(y) / τ)`.
    pub log_z: f64,
}

impl Optimum {
    /// `J(π*) = V*(s_0)`.
    pub fn objective(&self) -> f64 {
        self.v[0]
    }
}

/// The optimum, by the soft recursion from the longest prefixes to the empty one.
///
/// # Examples
/// ```
/// use klq::oracle::{MdpConfig, TokenMdp, soft};
///
/// // One step, a fair reference, reward τ log 3 for token 0: three times as likely as token 1.
/// let config = MdpConfig { vocab: 2, eos: 1, horizon: 1, tau: 0.5, ..MdpConfig::default() };
/// let score = |y: &[usize]| if y == [0] { 0.5 * 3_f64.ln() } else { 0.0 };
/// let optimum = soft::optimum(&TokenMdp::new(config, |_| vec![0.5; 2], score)?);
/// assert!((optimum.policy.row(0)[0].exp() - 0.75).abs() < 1e-15);
/// assert!((optimum.objective() - 0.5 * 2_f64.ln()).abs() < 1e-15);
/// # Ok::<(), klq::oracle::Error>(())
/// ```
pub fn optimum(mdp: &TokenMdp) -> Optimum {
    let vocab = mdp.config().vocab;
    let (mut q, mut v) = (vec![0.0; mdp.pairs()], vec![0.0; mdp.states()]);
    for state in (0..mdp.states()).rev() {
        for action in 0..vocab {
            q[state * vocab + action] = mdp.backup(state, action, &v);
        }
        v[state] = operators::boltzmann_value(mdp, state, &q);
    }
    let policy = operators::boltzmann_policy(mdp, &q, &v);
    let log_z = v[0] / mdp.config().tau;
    Optimum { q, v, policy, log_z }
}

/// What a policy is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// `Q^π(s, a) = r + γ V^π(s')`, `[states, vocab]`.
    pub q: Vec<f64>,
    /// `V^π(s) = E_π[Q^π(s, ·)] − τ D(π‖π_b)(s)`, `[states]`.
    pub v: Vec<f64>,
}

impl Evaluation {
    /// `J(π) = V^π(s_0)`.
    pub fn objective(&self) -> f64 {
        self.v[0]
    }
}

/// Values of a policy, divergence included.
///
/// # Errors
/// [`Error::Length`] for a policy of another process.
pub fn evaluate(mdp: &TokenMdp, policy: &Policy) -> Result<Evaluation, Error> {
    mdp.check("policy", policy)?;
    let (vocab, tau) = (mdp.config().vocab, mdp.config().tau);
    let (mut q, mut v) = (vec![0.0; mdp.pairs()], vec![0.0; mdp.states()]);
    for state in (0..mdp.states()).rev() {
        for action in 0..vocab {
            q[state * vocab + action] = mdp.backup(state, action, &v);
        }
        let row = &q[state * vocab..][..vocab];
        let divergence = numeric::kl(policy.row(state), mdp.reference().row(state));
        v[state] = policy.expect(state, |action| row[action]) - tau * divergence;
    }
    Ok(Evaluation { q, v })
}

/// `J(π*) − J(π)`, as the difference of two objectives.
///
/// It equals `τ` times [`discounted_kl`] of the policy from π*, and for γ = 1 `τ KL(π(y)‖π*(y))`, which
/// does not cancel and so keeps its digits near the optimum.
///
/// # Errors
/// [`Error::Length`] for a policy of another process.
pub fn gap(mdp: &TokenMdp, policy: &Policy) -> Result<f64, Error> {
    Ok(optimum(mdp).objective() - evaluate(mdp, policy)?.objective())
}

/// Probability that a sequence of the policy passes through each state, `[states]`.
///
/// # Errors
/// [`Error::Length`] for a policy of another process.
pub fn visitation(mdp: &TokenMdp, policy: &Policy) -> Result<Vec<f64>, Error> {
    mdp.check("policy", policy)?;
    Ok(discounted_visitation(mdp, policy, 1.0))
}

/// `γ^t P(s_t = s)` with t the length of the prefix.
fn discounted_visitation(mdp: &TokenMdp, policy: &Policy, gamma: f64) -> Vec<f64> {
    let mut visits = vec![0.0; mdp.states()];
    visits[0] = 1.0;
    for state in 0..mdp.states() {
        for (action, log_prob) in policy.row(state).iter().enumerate() {
            if let Some(next) = mdp.next(state, action) {
                visits[next] = gamma * visits[state] * log_prob.exp();
            }
        }
    }
    visits
}

/// `KL(p‖q)(s)` of the next token after each state, `[states]`, in nats.
///
/// # Errors
/// [`Error::Length`] for policies of another process.
pub fn state_kls(mdp: &TokenMdp, p: &Policy, q: &Policy) -> Result<Vec<f64>, Error> {
    mdp.check("p", p)?;
    mdp.check("q", q)?;
    Ok((0..mdp.states()).map(|state| numeric::kl(p.row(state), q.row(state))).collect())
}

/// `KL(p(y)‖q(y))` of whole sequences in nats, by the chain rule: the sum over states of visits of p
/// times the divergence of the next token.
///
/// # Errors
/// [`Error::Length`] for policies of another process.
pub fn sequence_kl(mdp: &TokenMdp, p: &Policy, q: &Policy) -> Result<f64, Error> {
    weighted_kl(mdp, p, q, 1.0)
}

/// `Σ_t γ^t E_p[KL(p‖q)(s_t)]` in nats, with γ of the process.
///
/// # Errors
/// [`Error::Length`] for policies of another process.
pub fn discounted_kl(mdp: &TokenMdp, p: &Policy, q: &Policy) -> Result<f64, Error> {
    weighted_kl(mdp, p, q, mdp.config().gamma)
}

fn weighted_kl(mdp: &TokenMdp, p: &Policy, q: &Policy, gamma: f64) -> Result<f64, Error> {
    let kls = state_kls(mdp, p, q)?;
    Ok(discounted_visitation(mdp, p, gamma).iter().zip(kls).map(|(d, kl)| d * kl).sum())
}

/// Entropy of the next token after each state, `[states]`, in nats.
///
/// # Errors
/// [`Error::Length`] for a policy of another process.
pub fn entropies(mdp: &TokenMdp, policy: &Policy) -> Result<Vec<f64>, Error> {
    mdp.check("policy", policy)?;
    let entropy = |state| -policy.expect(state, |action| policy.row(state)[action]);
    Ok((0..mdp.states()).map(entropy).collect())
}

/// Entropy of whole sequences in nats, by the chain rule.
///
/// # Errors
/// [`Error::Length`] for a policy of another process.
pub fn sequence_entropy(mdp: &TokenMdp, policy: &Policy) -> Result<f64, Error> {
    let entropies = entropies(mdp, policy)?;
    Ok(visitation(mdp, policy)?.iter().zip(entropies).map(|(d, h)| d * h).sum())
}

/// Gradient of `J(π)` by the logits of π, `[states, vocab]`: what every policy gradient estimates.
///
/// ```text
/// ∂J/∂θ(s, a) = γ^t d^π(s) π(a|s) (Q^π(s, a) − τ log(π/π_b)(a|s) − V^π(s))
/// ```
///
/// # Errors
/// [`Error::Length`] for a policy of another process.
pub fn objective_gradient(mdp: &TokenMdp, policy: &Policy) -> Result<Vec<f64>, Error> {
    let Evaluation { q, v } = evaluate(mdp, policy)?;
    let (vocab, tau) = (mdp.config().vocab, mdp.config().tau);
    let visits = discounted_visitation(mdp, policy, mdp.config().gamma);
    let pairs = policy.log_probs().iter().zip(mdp.reference().log_probs()).enumerate();
    let gradient = pairs.map(|(pair, (p, b))| {
        let advantage = q[pair] - tau * (p - b) - v[pair / vocab];
        visits[pair / vocab] * p.exp() * advantage
    });
    Ok(gradient.collect())
}
