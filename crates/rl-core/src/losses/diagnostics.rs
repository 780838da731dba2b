use tch::{Kind, Tensor};

use super::{MAX_LOG_RATIO, RatioStats};
use crate::{MathError, check, masked};

/// How far the policy has moved from the one that acted.
///
/// ```text
/// ℓ = log π(a) − log π_old(a),   ρ = e^ℓ
/// approx_kl = mean(ρ − 1 − ℓ),   clip_frac = mean[|ρ − 1| > ε]
/// ```
///
/// In f64. The KL is that of the policy that acted from the one that is trained, by k3 of the
/// reversed ratio; ℓ is cut at 20 for it and for ρ. On the first pass over fresh samples ρ must be 1
/// throughout. Source: Schulman, *Approximating KL divergence* (2020).
///
/// # Shapes
/// - `log_probs`, `old_log_probs`, `mask`: one shape
///
/// # Errors
/// [`MathError`] for tensors of other kinds or shapes, a mask that is true nowhere, and an ε that is
/// not positive.
///
/// # Examples
/// ```
/// use tch::Tensor;
///
/// let [log_probs, old] = [[2_f64.ln(), 1.0], [0.0, 1.0]].map(|v| Tensor::from_slice(&v));
/// let mask = Tensor::from_slice(&[true, true]);
/// let stats = rl_core::losses::ratio_stats(&log_probs, &old, &mask, 0.2)?;
/// assert_eq!((stats.mean, stats.variance, stats.max, stats.clip_frac), (1.5, 0.5, 2.0, 0.5));
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn ratio_stats(
    log_probs: &Tensor,
    old_log_probs: &Tensor,
    mask: &Tensor,
    clip_coef: f64,
) -> Result<RatioStats, MathError> {
    check::floating("log_probs", log_probs)?;
    check::like("old_log_probs", old_log_probs, log_probs)?;
    check::boolean("mask", mask, log_probs)?;
    check::positive("clip_coef", clip_coef)?;
    let _guard = tch::no_grad_guard();
    let [log_probs, old_log_probs] =
        [log_probs, old_log_probs].map(|t| t.masked_select(mask).to_kind(Kind::Double));
    let n = log_probs.numel();
    check::count(n, 1)?;
    let log_ratio = (log_probs - old_log_probs).clamp_max(MAX_LOG_RATIO);
    let off = log_ratio.expm1(); // ρ − 1
    let centered = &off - off.mean(Kind::Double);
    let outside = off.abs().gt(clip_coef).to_kind(Kind::Double);
    // One way back from the device for all of them.
    let all = Tensor::stack(
        &[
            off.mean(Kind::Double),
            centered.square().sum(Kind::Double),
            off.max(),
            outside.mean(Kind::Double),
            (&off - log_ratio).mean(Kind::Double),
        ],
        0,
    );
    let mut numbers = [0.0; 5];
    all.copy_data(&mut numbers, 5);
    let [mean, squares, max, clip_frac, approx_kl] = numbers;
    Ok(RatioStats {
        mean: 1.0 + mean,
        variance: if n > 1 { squares / (n as f64 - 1.0) } else { 0.0 },
        max: 1.0 + max,
        clip_frac,
        approx_kl: approx_kl.max(0.0),
    })
}

/// The share of the returns' variance that the values explain.
///
/// ```text
/// 1 − var(R − V) / var R
/// ```
///
/// 1 is perfect, 0 no better than a constant, and below 0 worse. `None` if fewer than two count or the
/// returns do not vary.
///
/// # Shapes
/// - `values`, `returns`, `mask`: one shape
///
/// # Errors
/// [`MathError`] for tensors of other kinds or shapes.
///
/// # Examples
/// ```
/// use tch::Tensor;
///
/// let [values, returns] = [[1.0_f32, 2.0, 3.0], [2.0, 4.0, 6.0]].map(|v| Tensor::from_slice(&v));
/// let mask = Tensor::from_slice(&[true; 3]);
/// let explained = rl_core::losses::explained_variance(&values, &returns, &mask)?;
/// assert_eq!(explained, Some(0.75));
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn explained_variance(
    values: &Tensor,
    returns: &Tensor,
    mask: &Tensor,
) -> Result<Option<f64>, MathError> {
    check::floating("values", values)?;
    check::like("returns", returns, values)?;
    check::boolean("mask", mask, values)?;
    let _guard = tch::no_grad_guard();
    if masked::count(mask) < 2.0 {
        return Ok(None);
    }
    let [values, returns] = [values, returns].map(|t| t.to_kind(Kind::Double));
    let variance = |x: &Tensor| Ok(masked::var(x, mask)?.double_value(&[]));
    let total = variance(&returns)?;
    Ok((total > 0.0).then_some(1.0 - variance(&(&returns - values))? / total))
}
