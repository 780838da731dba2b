use tch::Tensor;

use crate::{
    MathError, check,
    returns::Steps,
    scan::{Rule, scan},
};

/// Generalized advantage estimates.
///
/// ```text
/// δ_t = r_t + γ V_{t+1} − V_t
/// A_t = δ_t + γ λ A_{t+1}
/// ```
///
/// V after a terminated step is 0, after a truncated one its bootstrap value; A after either is 0.
/// With λ = 1 this is return minus value, with λ = 0 the TD error; plus values it is the
/// [λ-return](crate::returns::lambda_returns). Source: arXiv 1506.02438, §3.
///
/// # Shapes
/// - returns: `[batch, time]`, 0 under the mask, without gradient
///
/// # Errors
/// [`MathError`] for tensors that do not go together, and for γ or λ outside [0, 1].
///
/// # Examples
/// ```
/// use rl_core::{advantages::gae, returns::Steps};
/// use tch::{Kind, Tensor};
///
/// let rewards = Tensor::from_slice(&[0.0_f32, 2.0]).view([1, 2]);
/// let values = Tensor::from_slice(&[0.5_f32, 1.0]).view([1, 2]);
/// let mask = rewards.ones_like().to_kind(Kind::Bool);
/// let advantages = gae(&Steps::new(&rewards, &values, &mask), 1.0, 0.5)?;
/// assert_eq!(Vec::<f32>::try_from(advantages.flatten(0, -1)).unwrap(), [1.0, 1.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn gae(steps: &Steps, gamma: f64, gae_lambda: f64) -> Result<Tensor, MathError> {
    steps.check()?;
    check::unit("gamma", gamma)?;
    check::unit("gae_lambda", gae_lambda)?;
    Ok(scan(steps, None, Rule { next: gamma, own: 1.0, carry: gamma * gae_lambda, gamma }))
}

/// One-step temporal-difference errors.
///
/// ```text
/// δ_t = r_t + γ V_{t+1} − V_t
/// ```
///
/// V after a terminated step is 0, after a truncated one its bootstrap value. Source: Sutton and
/// Barto, *Reinforcement Learning*, 2nd ed. (2018), §6.1.
///
/// # Shapes
/// - returns: `[batch, time]`, 0 under the mask, without gradient
///
/// # Errors
/// [`MathError`] for tensors that do not go together, and for a γ outside [0, 1].
///
/// # Examples
/// ```
/// use rl_core::{advantages::td_errors, returns::Steps};
/// use tch::{Kind, Tensor};
///
/// let rewards = Tensor::from_slice(&[0.0_f32, 2.0]).view([1, 2]);
/// let values = Tensor::from_slice(&[0.5_f32, 1.0]).view([1, 2]);
/// let mask = rewards.ones_like().to_kind(Kind::Bool);
/// let errors = td_errors(&Steps::new(&rewards, &values, &mask), 1.0)?;
/// assert_eq!(Vec::<f32>::try_from(errors.flatten(0, -1)).unwrap(), [0.5, 1.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn td_errors(steps: &Steps, gamma: f64) -> Result<Tensor, MathError> {
    steps.check()?;
    check::unit("gamma", gamma)?;
    Ok(scan(steps, None, Rule { next: gamma, own: 1.0, carry: 0.0, gamma }))
}
