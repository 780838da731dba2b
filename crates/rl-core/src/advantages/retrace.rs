use tch::Tensor;

use crate::{
    MathError, check,
    returns::Steps,
    scan::{Rule, scan},
};

/// Retrace corrections of action values from trajectories of another policy.
///
/// ```text
/// δ_t = r_t + γ V_{t+1} − Q_t
/// Δ_t = δ_t + γ λ c_{t+1} Δ_{t+1},   c_t = min(clip, exp(log ρ_t))
/// ```
///
/// `steps.values` stand for both V and Q; where the two differ, add V − Q of each step to its reward.
/// The trace is that of the *next* action, since Q is of an action already taken. With ρ = 1 and a clip of 1 or more this is [`gae`](super::gae), with λ = 0 the TD
/// error. A ρ of 0 cuts the trace. V after a terminated step is 0, after a truncated one its
/// bootstrap value; Δ after either is 0. Source: arXiv 1606.02647, eq. 3 and 4, where clip is 1.
///
/// # Shapes
/// - `log_rhos`: `[batch, time]`, log-probability of each action under the policy that is evaluated
///   minus that under the one that acted
/// - returns: `[batch, time]`, 0 under the mask, without gradient
///
/// # Errors
/// [`MathError`] for tensors that do not go together, for γ or λ outside [0, 1], and for a clip that
/// is not positive.
///
/// # Examples
/// ```
/// use rl_core::{advantages::retrace, returns::Steps};
/// use tch::{Kind, Tensor};
///
/// let rewards = Tensor::from_slice(&[0.0_f32, 2.0]).view([1, 2]);
/// let values = Tensor::from_slice(&[0.5_f32, 1.0]).view([1, 2]);
/// let mask = rewards.ones_like().to_kind(Kind::Bool);
/// let log_rhos = Tensor::from_slice(&[9.0_f32, 0.5_f32.ln()]).view([1, 2]);
/// let deltas = retrace(&Steps::new(&rewards, &values, &mask), &log_rhos, 1.0, 1.0, 1.0)?;
/// assert_eq!(Vec::<f32>::try_from(deltas.flatten(0, -1)).unwrap(), [1.0, 1.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn retrace(
    steps: &Steps,
    log_rhos: &Tensor,
    gamma: f64,
    lambda: f64,
    clip: f64,
) -> Result<Tensor, MathError> {
    steps.check()?;
    check::like("log_rhos", log_rhos, steps.rewards)?;
    check::unit("gamma", gamma)?;
    check::unit("lambda", lambda)?;
    check::positive("clip", clip)?;
    let traces = log_rhos.detach().exp().clamp_max(clip);
    Ok(scan(steps, Some(&traces), Rule { next: gamma, own: 1.0, carry: gamma * lambda, gamma }))
}
