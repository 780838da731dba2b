//! Sums, moments and whitening over what counts.

use crate::{MathError, check};

/// How many count.
///
/// # Examples
/// ```
/// assert_eq!(rl_core::reference::masked::count(&[true, false, true]), 2.0);
/// ```
pub fn count(mask: &[bool]) -> f64 {
    mask.iter().filter(|&&valid| valid).count() as f64
}

/// The sum of the values that count; 0 if none does.
///
/// # Errors
/// [`MathError`] for a mask of another length.
///
/// # Examples
/// ```
/// assert_eq!(rl_core::reference::masked::sum(&[1.0, f64::NAN], &[true, false])?, 1.0);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn sum(x: &[f64], mask: &[bool]) -> Result<f64, MathError> {
    Ok(kept(x, mask, 0)?.iter().sum())
}

/// The mean of the values that count.
///
/// # Errors
/// [`MathError`] for a mask of another length or true nowhere.
///
/// # Examples
/// ```
/// assert_eq!(rl_core::reference::masked::mean(&[1.0, 2.0, 4.0], &[true, false, true])?, 2.5);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn mean(x: &[f64], mask: &[bool]) -> Result<f64, MathError> {
    let kept = kept(x, mask, 1)?;
    Ok(kept.iter().sum::<f64>() / kept.len() as f64)
}

/// The unbiased variance of the values that count: `Σ m_i (x_i − mean x)² / (n − 1)`.
///
/// # Errors
/// [`MathError`] for a mask of another length or true in fewer than two places.
///
/// # Examples
/// ```
/// assert_eq!(rl_core::reference::masked::var(&[1.0, 2.0, 4.0], &[true, false, true])?, 4.5);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn var(x: &[f64], mask: &[bool]) -> Result<f64, MathError> {
    let kept = kept(x, mask, 2)?;
    let center = mean(x, mask)?;
    let squares: f64 = kept.iter().map(|x| (x - center) * (x - center)).sum();
    Ok(squares / (kept.len() as f64 - 1.0))
}

/// Whether whitening takes the mean away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mean {
    /// The result's mean is 0, as for advantages.
    Remove,
    /// The result's mean is that of the values, as for rewards.
    Keep,
}

/// Values scaled to unit variance over what counts:
/// `y_i = (x_i − mean x) / √(var x + ε)`, plus the mean if it is kept.
///
/// # Shapes
/// - `x`, `mask`: `[n]`
/// - returns: `[n]`, 0 under the mask
///
/// # Errors
/// [`MathError`] for a mask of another length or true in fewer than two places, and for an ε that is
/// not positive.
///
/// # Examples
/// ```
/// use rl_core::reference::masked::{Mean, whiten};
///
/// let white = whiten(&[1.0, 7.0, 3.0, 5.0], &[true, false, true, true], Mean::Keep, 1e-12)?;
/// assert!((white[0] - 2.0).abs() < 1e-9);
/// assert_eq!(white[1..3], [0.0, 3.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn whiten(x: &[f64], mask: &[bool], shift: Mean, eps: f64) -> Result<Vec<f64>, MathError> {
    check::positive("eps", eps)?;
    let center = mean(x, mask)?;
    let std = (var(x, mask)? + eps).sqrt();
    let back = match shift {
        Mean::Remove => 0.0,
        Mean::Keep => center,
    };
    let white = |(&x, &valid)| if valid { (x - center) / std + back } else { 0.0 };
    Ok(x.iter().zip(mask).map(white).collect())
}

/// The values that count, at least so many.
pub(super) fn kept(x: &[f64], mask: &[bool], least: usize) -> Result<Vec<f64>, MathError> {
    check::length("mask", mask.len(), x.len())?;
    let kept: Vec<f64> = x.iter().zip(mask).filter(|(_, valid)| **valid).map(|(x, _)| *x).collect();
    check::count(kept.len(), least)?;
    Ok(kept)
}
