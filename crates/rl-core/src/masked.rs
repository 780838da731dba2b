//! Sums, moments and whitening over what counts.
//!
//! Masks are true where something counts. Under the mask anything may stand, even NaN: it reaches no
//! result and gets no gradient. That holds for what these functions are given; a formula whose own
//! inputs are NaN under the mask must see them through [`keep`] first, or NaN times zero comes back
//! on the way of the gradient. The plain forms are in [`crate::reference::masked`].

use tch::{Kind, Tensor};

use crate::{MathError, check};

pub use crate::reference::masked::Mean;

/// How many count.
///
/// # Examples
/// ```
/// let mask = tch::Tensor::from_slice(&[true, false, true]);
/// assert_eq!(rl_core::masked::count(&mask), 2.0);
/// ```
pub fn count(mask: &Tensor) -> f64 {
    mask.sum(Kind::Int64).int64_value(&[]) as f64
}

/// The values that count, and 0 elsewhere.
///
/// # Shapes
/// - `x`, `mask`: one shape
/// - returns: the same, with gradient where the mask is true
///
/// # Errors
/// [`MathError`] for a mask that is not bool or of another shape.
///
/// # Examples
/// ```
/// use tch::Tensor;
///
/// let [x, mask] = [Tensor::from_slice(&[1.0_f32, f32::NAN]), Tensor::from_slice(&[true, false])];
/// let kept = rl_core::masked::keep(&x, &mask)?;
/// assert_eq!(Vec::<f32>::try_from(kept).unwrap(), [1.0, 0.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn keep(x: &Tensor, mask: &Tensor) -> Result<Tensor, MathError> {
    check::floating("x", x)?;
    check::boolean("mask", mask, x)?;
    Ok(x.masked_fill(&mask.logical_not(), 0.0))
}

/// The sum of the values that count; 0 if none does.
///
/// # Shapes
/// - `x`, `mask`: one shape
/// - returns: `[]`, with gradient
///
/// # Errors
/// [`MathError`] for a mask that is not bool or of another shape.
///
/// # Examples
/// ```
/// use tch::Tensor;
///
/// let [x, mask] = [Tensor::from_slice(&[1.0_f32, 2.0]), Tensor::from_slice(&[true, false])];
/// assert_eq!(rl_core::masked::sum(&x, &mask)?.double_value(&[]), 1.0);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn sum(x: &Tensor, mask: &Tensor) -> Result<Tensor, MathError> {
    Ok(keep(x, mask)?.sum(x.kind()))
}

/// The mean of the values that count.
///
/// Over a batch that is worked through in parts, divide [`sum`] by the [`count`] of the whole batch
/// instead: the mean of means weighs tokens of short parts more.
///
/// # Shapes
/// - `x`, `mask`: one shape
/// - returns: `[]`, with gradient
///
/// # Errors
/// [`MathError`] for a mask that is not bool, of another shape, or true nowhere.
///
/// # Examples
/// ```
/// use tch::Tensor;
///
/// let x = Tensor::from_slice(&[1.0_f32, 2.0, 4.0]);
/// let mask = Tensor::from_slice(&[true, false, true]);
/// assert_eq!(rl_core::masked::mean(&x, &mask)?.double_value(&[]), 2.5);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn mean(x: &Tensor, mask: &Tensor) -> Result<Tensor, MathError> {
    let sum = sum(x, mask)?;
    Ok(sum / counted(mask, 1)?)
}

/// The unbiased variance of the values that count.
///
/// ```text
/// var = Σ m_i (x_i − mean x)² / (n − 1),   n = Σ m_i
/// ```
///
/// # Shapes
/// - `x`, `mask`: one shape
/// - returns: `[]`, with gradient
///
/// # Errors
/// [`MathError`] for a mask that is not bool, of another shape, or true in fewer than two places.
///
/// # Examples
/// ```
/// use tch::Tensor;
///
/// let x = Tensor::from_slice(&[1.0_f32, f32::NAN, 4.0]);
/// let mask = Tensor::from_slice(&[true, false, true]);
/// assert_eq!(rl_core::masked::var(&x, &mask)?.double_value(&[]), 4.5);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn var(x: &Tensor, mask: &Tensor) -> Result<Tensor, MathError> {
    let centered = keep(&(x - mean(x, mask)?), mask)?;
    Ok(centered.square().sum(x.kind()) / (counted(mask, 2)? - 1.0))
}

/// Values scaled to unit variance over what counts.
///
/// ```text
/// y_i = (x_i − mean x) / √(var x + ε)   (+ mean x, if it is kept)
/// ```
///
/// The variance is the unbiased one. Equal values give 0, or their mean. Source: the code of arXiv
/// 1909.08593, with ε = 1e-8.
///
/// # Shapes
/// - `x`, `mask`: one shape
/// - returns: the same, 0 under the mask, with gradient
///
/// # Errors
/// [`MathError`] for a mask that is not bool, of another shape, or true in fewer than two places,
/// and for an ε that is not positive.
///
/// # Examples
/// ```
/// use rl_core::masked::{Mean, whiten};
/// use tch::Tensor;
///
/// let x = Tensor::from_slice(&[1.0_f64, 7.0, 3.0, 5.0]);
/// let mask = Tensor::from_slice(&[true, false, true, true]);
/// let white = whiten(&x, &mask, Mean::Remove, 1e-8)?;
/// let expected = Tensor::from_slice(&[-1.0_f64, 0.0, 0.0, 1.0]);
/// assert!((white - expected).abs().max().double_value(&[]) < 1e-8);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn whiten(x: &Tensor, mask: &Tensor, shift: Mean, eps: f64) -> Result<Tensor, MathError> {
    check::positive("eps", eps)?;
    let center = mean(x, mask)?;
    let scaled = (keep(x, mask)? - &center) * (var(x, mask)? + eps).rsqrt();
    let white = match shift {
        Mean::Remove => scaled,
        Mean::Keep => scaled + center,
    };
    keep(&white, mask)
}

/// How many count, at least so many.
fn counted(mask: &Tensor, least: usize) -> Result<f64, MathError> {
    let found = count(mask);
    check::count(found as usize, least)?;
    Ok(found)
}
