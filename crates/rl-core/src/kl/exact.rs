use tch::{Kind, Tensor};

use crate::{MathError, check};

/// KL(π‖π₀) of whole distributions.
///
/// ```text
/// KL = Σ_a π(a) (log π(a) − log π₀(a)),   π = softmax(logits)
/// ```
///
/// In f32, or f64 if the logits are; never negative, and 0 where the logits are equal. A logit of −∞
/// excludes its token: what π excludes adds nothing, what only π₀ excludes makes the result +∞.
/// Gradient flows to `logits` only. Source: Kullback and Leibler, *On information and sufficiency*
/// (1951).
///
/// # Shapes
/// - `logits`, `ref_logits`: `[.., vocab]`
/// - returns: `[..]`, nats
///
/// # Errors
/// [`MathError`] for logits without a dimension, of other shapes, or not of numbers with a fraction.
///
/// # Examples
/// ```
/// use tch::Tensor;
///
/// let logits = Tensor::from_slice(&[0.5_f64.ln(), 0.5_f64.ln()]);
/// let ref_logits = Tensor::from_slice(&[0.25_f64.ln(), 0.75_f64.ln()]);
/// let kl = rl_core::kl::exact(&logits, &ref_logits)?.double_value(&[]);
/// assert!((kl - 0.5 * (4.0_f64 / 3.0).ln()).abs() < 1e-12);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn exact(logits: &Tensor, ref_logits: &Tensor) -> Result<Tensor, MathError> {
    check::logits("logits", logits)?;
    check::logits("ref_logits", ref_logits)?;
    check::same_shape("ref_logits", ref_logits, logits)?;
    let log_probs = log_softmax(logits);
    let probs = log_probs.exp();
    let log_ratio = &log_probs - log_softmax(&ref_logits.detach());
    // Excluded by both, the ratio is not a number; its token adds nothing.
    let log_ratio = log_ratio.masked_fill(&probs.eq(0.0), 0.0);
    let kl = (probs * log_ratio).sum_dim_intlist(-1, false, None::<Kind>);
    Ok(kl.clamp_min(0.0))
}

/// Entropy of whole distributions.
///
/// ```text
/// H = −Σ_a π(a) log π(a),   π = softmax(logits)
/// ```
///
/// In f32, or f64 if the logits are; between 0 and log of the vocabulary. A logit of −∞ excludes its
/// token, which adds nothing. Not to be mistaken for the mean of −log π over sampled tokens, which
/// estimates it. Source: Shannon, *A mathematical theory of communication* (1948), §6.
///
/// # Shapes
/// - `logits`: `[.., vocab]`
/// - returns: `[..]`, nats, with gradient
///
/// # Errors
/// [`MathError`] for logits without a dimension, or not of numbers with a fraction.
///
/// # Examples
/// ```
/// let entropy = rl_core::kl::entropy(&tch::Tensor::from_slice(&[1.5_f64; 8]))?;
/// assert!((entropy.double_value(&[]) - 8_f64.ln()).abs() < 1e-12);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn entropy(logits: &Tensor) -> Result<Tensor, MathError> {
    check::logits("logits", logits)?;
    let log_probs = log_softmax(logits);
    let probs = log_probs.exp();
    let log_probs = log_probs.masked_fill(&probs.eq(0.0), 0.0);
    Ok((probs * log_probs).sum_dim_intlist(-1, false, None::<Kind>).neg())
}

fn log_softmax(logits: &Tensor) -> Tensor {
    let wide = if logits.kind() == Kind::Double { Kind::Double } else { Kind::Float };
    logits.log_softmax(-1, wide)
}
