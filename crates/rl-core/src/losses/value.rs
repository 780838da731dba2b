use tch::Tensor;

use crate::{MathError, check};

/// PPO's value loss of each step.
///
/// ```text
/// L_t = ½ (V_t − R_t)²
/// L_t = ½ max((V_t − R_t)², (V_old + clip(V_t − V_old, −ε, ε) − R_t)²)   if clipped
/// ```
///
/// Clipping never lowers the loss. Source: the code of arXiv 1707.06347; the ½ and the maximum are as
/// in arXiv 1909.08593's.
///
/// # Shapes
/// - `values`, `old_values`, `returns`: one shape, `[batch, time]` or another
/// - returns: the same, with gradient to `values`
///
/// # Errors
/// [`MathError`] for tensors of other kinds or shapes, and for an ε that is not positive.
///
/// # Examples
/// ```
/// use tch::Tensor;
///
/// let [values, old, returns] = [[1.0_f32], [0.0], [2.0]].map(|v| Tensor::from_slice(&v));
/// let free = rl_core::losses::ppo_value(&values, &old, &returns, None)?;
/// let clipped = rl_core::losses::ppo_value(&values, &old, &returns, Some(0.5))?;
/// assert_eq!([free, clipped].map(|loss| loss.double_value(&[0])), [0.5, 1.125]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn ppo_value(
    values: &Tensor,
    old_values: &Tensor,
    returns: &Tensor,
    clip_coef: Option<f64>,
) -> Result<Tensor, MathError> {
    check::floating("values", values)?;
    check::like("old_values", old_values, values)?;
    check::like("returns", returns, values)?;
    let returns = returns.detach();
    let squares = (values - &returns).square();
    let Some(clip_coef) = clip_coef else { return Ok(squares * 0.5) };
    check::positive("clip_coef", clip_coef)?;
    let old_values = old_values.detach();
    let clipped = (values - &old_values).clamp(-clip_coef, clip_coef) + old_values - returns;
    Ok(squares.maximum(&clipped.square()) * 0.5)
}
