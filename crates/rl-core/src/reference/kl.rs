//! Divergence from a reference policy: estimators on sampled log-ratios, and exact.

use crate::{MathError, check, kl::MAX_NEGATIVE_LOG_RATIO};

/// `k1 = ℓ` of each log-ratio.
///
/// # Examples
/// ```
/// assert_eq!(rl_core::reference::kl::k1(&[0.5, -0.25]), [0.5, -0.25]);
/// ```
pub fn k1(log_ratio: &[f64]) -> Vec<f64> {
    log_ratio.to_vec()
}

/// `k2 = ℓ²/2` of each log-ratio.
///
/// # Examples
/// ```
/// assert_eq!(rl_core::reference::kl::k2(&[0.5, -2.0]), [0.125, 2.0]);
/// ```
pub fn k2(log_ratio: &[f64]) -> Vec<f64> {
    log_ratio.iter().map(|l| l * l / 2.0).collect()
}

/// `k3 = e^{−ℓ} − 1 + ℓ` of each log-ratio, ℓ raised to −20 first
/// ([`MAX_NEGATIVE_LOG_RATIO`]).
///
/// # Examples
/// ```
/// assert_eq!(rl_core::reference::kl::k3(&[0.0]), [0.0]);
/// ```
pub fn k3(log_ratio: &[f64]) -> Vec<f64> {
    let each = |l: f64| ((-l).exp_m1() + l).max(0.0);
    log_ratio.iter().map(|l| each(l.max(-MAX_NEGATIVE_LOG_RATIO))).collect()
}

/// KL(π‖π₀) of two distributions given by logits, in nats.
///
/// ```text
/// KL = Σ_a π(a) (log π(a) − log π₀(a))
/// ```
///
/// What π excludes by a logit of −∞ adds nothing; what only π₀ excludes makes it +∞.
///
/// # Shapes
/// - `logits`, `ref_logits`: `[vocab]`
///
/// # Errors
/// [`MathError`] for no logits, or other lengths.
///
/// # Examples
/// ```
/// let kl = rl_core::reference::kl::exact(&[0.5_f64.ln(); 2], &[0.25_f64.ln(), 0.75_f64.ln()])?;
/// assert!((kl - 0.5 * (4.0_f64 / 3.0).ln()).abs() < 1e-12);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn exact(logits: &[f64], ref_logits: &[f64]) -> Result<f64, MathError> {
    check::length("ref_logits", ref_logits.len(), logits.len())?;
    let terms = log_softmax(logits)?.into_iter().zip(log_softmax(ref_logits)?);
    let kl: f64 = terms
        .filter(|&(log_p, _)| log_p > f64::NEG_INFINITY)
        .map(|(log_p, log_q)| log_p.exp() * (log_p - log_q))
        .sum();
    Ok(kl.max(0.0))
}

/// Entropy of a distribution given by logits, in nats: `H = −Σ_a π(a) log π(a)`.
///
/// # Shapes
/// - `logits`: `[vocab]`
///
/// # Errors
/// [`MathError`] for no logits.
///
/// # Examples
/// ```
/// let entropy = rl_core::reference::kl::entropy(&[1.5; 8])?;
/// assert!((entropy - 8_f64.ln()).abs() < 1e-12);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn entropy(logits: &[f64]) -> Result<f64, MathError> {
    let log_probs = log_softmax(logits)?;
    let terms = log_probs.iter().filter(|log_p| **log_p > f64::NEG_INFINITY);
    Ok(-terms.map(|log_p| log_p.exp() * log_p).sum::<f64>())
}

/// Log-probabilities of logits, which any shift leaves as they are: `x_a − log Σ_b e^{x_b}`.
///
/// # Shapes
/// - `logits`: `[vocab]`
/// - returns: `[vocab]`
///
/// # Errors
/// [`MathError`] for no logits.
///
/// # Examples
/// ```
/// let log_probs = rl_core::reference::kl::log_softmax(&[1000.0, 1000.0])?;
/// assert!((log_probs[0] + 2_f64.ln()).abs() < 1e-12);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn log_softmax(logits: &[f64]) -> Result<Vec<f64>, MathError> {
    if logits.is_empty() {
        return Err(MathError::TooFew { argument: "logits", expected: 1, found: 0 });
    }
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|x| (x - max).exp()).sum();
    Ok(logits.iter().map(|x| x - max - sum.ln()).collect())
}
