use tch::Tensor;

use super::MAX_LOG_RATIO;
use crate::{MathError, check};

/// The policy-gradient loss of each token.
///
/// ```text
/// L_t = −A_t log π(a_t)
/// ```
///
/// Its gradient is that of the expected return if the policy that acted is the one that is trained.
/// Source: Williams, *Simple statistical gradient-following algorithms for connectionist
/// reinforcement learning*, Machine Learning 8 (1992).
///
/// # Shapes
/// - `log_probs`, `advantages`: one shape, `[batch, time]` or another
/// - returns: the same, with gradient to `log_probs`
///
/// # Errors
/// [`MathError`] for tensors of other kinds or shapes.
///
/// # Examples
/// ```
/// use tch::Tensor;
///
/// let [log_probs, advantages] = [[-0.5_f32, -2.0], [2.0, -1.0]].map(|v| Tensor::from_slice(&v));
/// let loss = rl_core::losses::policy_gradient(&log_probs, &advantages)?;
/// assert_eq!(Vec::<f32>::try_from(loss).unwrap(), [1.0, -2.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn policy_gradient(log_probs: &Tensor, advantages: &Tensor) -> Result<Tensor, MathError> {
    check::floating("log_probs", log_probs)?;
    check::like("advantages", advantages, log_probs)?;
    Ok(-(log_probs * advantages.detach()))
}

/// PPO's clipped policy loss of each token.
///
/// ```text
/// ρ_t = π(a_t) / π_old(a_t)
/// L_t = max(−A_t ρ_t, −A_t clip(ρ_t, 1 − ε, 1 + ε))
/// ```
///
/// Where ρ = 1 its gradient is that of [`policy_gradient`]. The log-ratio is cut at 20
/// ([`MAX_LOG_RATIO`]) before it is exponentiated; beyond there is no gradient. Source: arXiv
/// 1707.06347, eq. 7.
///
/// # Shapes
/// - `log_probs`, `old_log_probs`, `advantages`: one shape, `[batch, time]` or another
/// - returns: the same, with gradient to `log_probs`
///
/// # Errors
/// [`MathError`] for tensors of other kinds or shapes, and for an ε that is not positive.
///
/// # Examples
/// ```
/// use tch::Tensor;
///
/// let [log_probs, old] = [[2_f32.ln(), 2_f32.ln()], [0.0, 0.0]].map(|v| Tensor::from_slice(&v));
/// let advantages = Tensor::from_slice(&[1.0_f32, -1.0]);
/// let loss = rl_core::losses::ppo_policy(&log_probs, &old, &advantages, 0.25)?;
/// assert_eq!(Vec::<f32>::try_from(loss).unwrap(), [-1.25, 2.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn ppo_policy(
    log_probs: &Tensor,
    old_log_probs: &Tensor,
    advantages: &Tensor,
    clip_coef: f64,
) -> Result<Tensor, MathError> {
    check::floating("log_probs", log_probs)?;
    check::like("old_log_probs", old_log_probs, log_probs)?;
    check::like("advantages", advantages, log_probs)?;
    check::positive("clip_coef", clip_coef)?;
    let advantages = advantages.detach();
    let ratio = (log_probs - old_log_probs.detach()).clamp_max(MAX_LOG_RATIO).exp();
    let clipped = ratio.clamp(1.0 - clip_coef, 1.0 + clip_coef);
    Ok((&ratio * &advantages).minimum(&(clipped * advantages)).neg())
}

/// PPO's clipped policy loss, bounded for bad actions that have become likely.
///
/// ```text
/// L_t = min(max(−A_t ρ_t, −A_t clip(ρ_t, 1 − ε, 1 + ε)), −c A_t)   where A_t < 0
/// ```
///
/// Elsewhere it is [`ppo_policy`], and everywhere if c is large. Source: arXiv 1912.09729, eq. 5,
/// where c is 3.
///
/// # Shapes
/// As for [`ppo_policy`].
///
/// # Errors
/// As for [`ppo_policy`], and for a c below 1.
///
/// # Examples
/// ```
/// use tch::Tensor;
///
/// let [log_probs, old] = [[8_f32.ln(), 8_f32.ln()], [0.0, 0.0]].map(|v| Tensor::from_slice(&v));
/// let advantages = Tensor::from_slice(&[1.0_f32, -1.0]);
/// let loss = rl_core::losses::ppo_policy_dual_clip(&log_probs, &old, &advantages, 0.25, 3.0)?;
/// assert_eq!(Vec::<f32>::try_from(loss).unwrap(), [-1.25, 3.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn ppo_policy_dual_clip(
    log_probs: &Tensor,
    old_log_probs: &Tensor,
    advantages: &Tensor,
    clip_coef: f64,
    dual_clip: f64,
) -> Result<Tensor, MathError> {
    let loss = ppo_policy(log_probs, old_log_probs, advantages, clip_coef)?;
    check::at_least_one("dual_clip", dual_clip)?;
    let advantages = advantages.detach();
    let bounded = loss.minimum(&(&advantages * -dual_clip));
    Ok(bounded.where_self(&advantages.lt(0.0), &loss))
}
