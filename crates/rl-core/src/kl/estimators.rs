use tch::Tensor;

use super::MAX_NEGATIVE_LOG_RATIO;

/// The plain estimator of KL(π‖π₀).
///
/// ```text
/// k1 = ℓ = log π(a) − log π₀(a)
/// ```
///
/// Unbiased, may be negative. Its gradient as a loss is 0 on average. Source: Schulman,
/// *Approximating KL divergence* (2020).
///
/// # Shapes
/// - `log_ratio`: any
/// - returns: the same, with gradient
///
/// # Examples
/// ```
/// let log_ratio = tch::Tensor::from_slice(&[0.5_f64, -0.25]);
/// assert_eq!(Vec::<f64>::try_from(rl_core::kl::k1(&log_ratio)).unwrap(), [0.5, -0.25]);
/// ```
pub fn k1(log_ratio: &Tensor) -> Tensor {
    log_ratio.shallow_clone()
}

/// The estimator of KL(π‖π₀) whose gradient is right as a loss.
///
/// ```text
/// k2 = ℓ²/2
/// ```
///
/// Biased, of low variance near π = π₀, never negative. Its gradient as a loss is ∇KL(π‖π₀) on
/// average. Source: Schulman, *Approximating KL divergence* (2020).
///
/// # Shapes
/// - `log_ratio`: any
/// - returns: the same, with gradient
///
/// # Examples
/// ```
/// let log_ratio = tch::Tensor::from_slice(&[0.5_f64, -2.0]);
/// assert_eq!(Vec::<f64>::try_from(rl_core::kl::k2(&log_ratio)).unwrap(), [0.125, 2.0]);
/// ```
pub fn k2(log_ratio: &Tensor) -> Tensor {
    log_ratio.square() * 0.5
}

/// The unbiased estimator of KL(π‖π₀) that is never negative.
///
/// ```text
/// k3 = e^{−ℓ} − 1 + ℓ
/// ```
///
/// Of low variance near π = π₀. Its gradient as a loss is ∇KL(π₀‖π) on average: the other
/// direction. ℓ is raised to −20 before anything else ([`MAX_NEGATIVE_LOG_RATIO`]), where the value
/// is 5e8 already; below there is no gradient. Source: Schulman, *Approximating KL divergence*
/// (2020).
///
/// # Shapes
/// - `log_ratio`: any
/// - returns: the same, with gradient
///
/// # Examples
/// ```
/// let log_ratio = tch::Tensor::from_slice(&[0.0_f64, -(2_f64.ln())]);
/// let k3 = Vec::<f64>::try_from(rl_core::kl::k3(&log_ratio)).unwrap();
/// assert_eq!(k3[0], 0.0);
/// assert!((k3[1] - (1.0 - 2_f64.ln())).abs() < 1e-12);
/// ```
pub fn k3(log_ratio: &Tensor) -> Tensor {
    let log_ratio = log_ratio.clamp_min(-MAX_NEGATIVE_LOG_RATIO);
    // Rounding may leave less than nothing next to zero.
    ((-&log_ratio).expm1() + log_ratio).clamp_min(0.0)
}
