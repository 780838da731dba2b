//! Exact operators on tables of action values, `[states, vocab]`.

use super::{Error, Policy, TokenMdp, numeric};

/// `T^π Q = r + γ (E_π[Q(s', ·)] − τ D(π‖π_b)(s'))`.
///
/// # Errors
/// [`Error::Length`] for a policy or table of another process; [`Error::NotFinite`] for the table.
pub fn bellman(mdp: &TokenMdp, policy: &Policy, q: &[f64]) -> Result<Vec<f64>, Error> {
    mdp.check("policy", policy)?;
    Error::table("q", q, mdp.pairs())?;
    let tau = mdp.config().tau;
    let values: Vec<f64> = (0..mdp.states())
        .map(|state| {
            let divergence = numeric::kl(policy.row(state), mdp.reference().row(state));
            policy.expect(state, |action| q[mdp.index(state, action)]) - tau * divergence
        })
        .collect();
    Ok(backups(mdp, &values))
}

/// `T* Q = r + γ τ log Σ_a π_b(a|s') exp(Q(s', a) / τ)`.
///
/// # Errors
/// [`Error::Length`] or [`Error::NotFinite`] for the table.
pub fn optimal_bellman(mdp: &TokenMdp, q: &[f64]) -> Result<Vec<f64>, Error> {
    Ok(backups(mdp, &boltzmann(mdp, q)?.v))
}

/// `r + γ V(s')` of every pair.
fn backups(mdp: &TokenMdp, values: &[f64]) -> Vec<f64> {
    let vocab = mdp.config().vocab;
    (0..mdp.pairs()).map(|pair| mdp.backup(pair / vocab, pair % vocab, values)).collect()
}

/// The policy and the values that action values stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct Boltzmann {
    /// `π(a|s) = π_b(a|s) exp((Q(s, a) − V(s)) / τ)`.
    pub policy: Policy,
    /// `V(s) = τ log Σ_a π_b(a|s) exp(Q(s, a) / τ)`, `[states]`.
    pub v: Vec<f64>,
}

/// The inverse of [`action_values`].
///
/// # Errors
/// [`Error::Length`] or [`Error::NotFinite`] for the table.
pub fn boltzmann(mdp: &TokenMdp, q: &[f64]) -> Result<Boltzmann, Error> {
    Error::table("q", q, mdp.pairs())?;
    let v: Vec<f64> = (0..mdp.states()).map(|state| boltzmann_value(mdp, state, q)).collect();
    let policy = boltzmann_policy(mdp, q, &v);
    Ok(Boltzmann { policy, v })
}

/// `V(s)` of one state.
pub(super) fn boltzmann_value(mdp: &TokenMdp, state: usize, q: &[f64]) -> f64 {
    let (vocab, tau) = (mdp.config().vocab, mdp.config().tau);
    let row = &q[state * vocab..][..vocab];
    let reference = mdp.reference().row(state);
    tau * numeric::log_sum_exp(row.iter().zip(reference).map(|(q, b)| b + q / tau))
}

/// `π(a|s)` from `Q` and its own values.
pub(super) fn boltzmann_policy(mdp: &TokenMdp, q: &[f64], v: &[f64]) -> Policy {
    let (vocab, tau) = (mdp.config().vocab, mdp.config().tau);
    let reference = mdp.reference().log_probs();
    let log_probs =
        (0..mdp.pairs()).map(|pair| reference[pair] + (q[pair] - v[pair / vocab]) / tau).collect();
    Policy::from_rows(log_probs, vocab)
}

/// `Q(s, a) = τ log(π(a|s) / π_b(a|s)) + V(s)` (13), `[states, vocab]`.
///
/// Because π is normalized, V is the Boltzmann value of this Q.
///
/// # Shapes
/// - `values`: `[states]`
///
/// # Errors
/// [`Error::Length`] for a policy or values of another process; [`Error::NotFinite`] for the values.
pub fn action_values(mdp: &TokenMdp, policy: &Policy, values: &[f64]) -> Result<Vec<f64>, Error> {
    mdp.check("policy", policy)?;
    Error::table("values", values, mdp.states())?;
    let (vocab, tau) = (mdp.config().vocab, mdp.config().tau);
    let pairs = policy.log_probs().iter().zip(mdp.reference().log_probs()).enumerate();
    Ok(pairs.map(|(pair, (p, b))| tau * (p - b) + values[pair / vocab]).collect())
}

/// Mean λ-correction of every pair when the policy of Q itself goes on.
///
/// ```text
/// δ(s, a) = r + γ V(s') − Q(s, a)                        (14)
/// Δ̄(s, a) = δ(s, a) + γ λ E_{a' ~ π(s')}[Δ̄(s', a')]
/// ```
///
/// with π and V of [`boltzmann`]. It is the expectation of the sampled Δ given the pair.
///
/// # Errors
/// [`Error::Length`] or [`Error::NotFinite`] for the table; [`Error::Setting`] for `gae_lambda`
/// outside 0 to 1.
pub fn expected_corrections(mdp: &TokenMdp, q: &[f64], gae_lambda: f64) -> Result<Vec<f64>, Error> {
    let held = (0.0..=1.0).contains(&gae_lambda);
    Error::setting("gae_lambda", "a number from 0 to 1", gae_lambda, held)?;
    let Boltzmann { policy, v } = boltzmann(mdp, q)?;
    let (vocab, carry) = (mdp.config().vocab, mdp.config().gamma * gae_lambda);
    let mut corrections = vec![0.0; mdp.pairs()];
    for state in (0..mdp.states()).rev() {
        for action in 0..vocab {
            let index = state * vocab + action;
            let later = mdp.next(state, action).map_or(0.0, |next| {
                policy.expect(next, |action| corrections[next * vocab + action])
            });
            corrections[index] = mdp.backup(state, action, &v) - q[index] + carry * later;
        }
    }
    Ok(corrections)
}

/// One sweep of KLQ with exact regression and exact expectations: `Q + α Δ̄`.
///
/// Repeated, it converges to Q* for every λ; with α = 1 in as many sweeps as the horizon is long.
///
/// # Errors
/// As for [`expected_corrections`]; [`Error::Setting`] for `alpha` outside 0 (excluded) to 1.
pub fn klq_sweep(
    mdp: &TokenMdp,
    q: &[f64],
    gae_lambda: f64,
    alpha: f64,
) -> Result<Vec<f64>, Error> {
    check_alpha(alpha)?;
    let corrections = expected_corrections(mdp, q, gae_lambda)?;
    Ok(q.iter().zip(corrections).map(|(q, delta)| q + alpha * delta).collect())
}

/// `β = τ (1 − α) / α` (18): the penalty with which PPO makes the step of KLQ.
///
/// # Errors
/// [`Error::Setting`] for `alpha` outside 0 (excluded) to 1.
pub fn ppo_penalty(tau: f64, alpha: f64) -> Result<f64, Error> {
    check_alpha(alpha)?;
    Ok(tau * (1.0 - alpha) / alpha)
}

/// The policy that maximizes, in every state, the objective of PPO with a penalty.
///
/// ```text
/// E_π[Q] − τ D(π‖π_b) − β D(π‖π_old)
/// π ∝ (π_b^τ π_old^β exp(Q))^(1/(τ+β))
/// ```
///
/// # Errors
/// [`Error::Length`] for a policy or table of another process; [`Error::NotFinite`] for the table;
/// [`Error::Setting`] for a negative or infinite `beta`.
pub fn ppo_penalty_maximizer(
    mdp: &TokenMdp,
    old: &Policy,
    q: &[f64],
    beta: f64,
) -> Result<Policy, Error> {
    mdp.check("old", old)?;
    Error::table("q", q, mdp.pairs())?;
    Error::setting("beta", "a finite number, at least 0", beta, beta >= 0.0 && beta.is_finite())?;
    let tau = mdp.config().tau;
    let reference = mdp.reference().log_probs();
    let logits: Vec<f64> = (0..mdp.pairs())
        .map(|pair| (tau * reference[pair] + beta * old.log_probs()[pair] + q[pair]) / (tau + beta))
        .collect();
    Policy::from_logits(mdp, &logits)
}

pub(super) fn check_alpha(alpha: f64) -> Result<(), Error> {
    Error::setting("alpha", "a number above 0, at most 1", alpha, alpha > 0.0 && alpha <= 1.0)
}
