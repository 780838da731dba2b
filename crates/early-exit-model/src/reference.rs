//! Plain forms in f64, against which those over tensors are tested.

/// The outcomes' probabilities for one token, never last, as products of conditional probabilities.
///
/// # Examples
/// ```
/// let q = early_exit_model::reference::stick_breaking(&[0.5, 0.25]);
/// assert_eq!(q, [0.5, 0.125, 0.375]);
/// ```
pub fn stick_breaking(conditional: &[f64]) -> Vec<f64> {
    let mut left = 1.0;
    let mut out = Vec::with_capacity(conditional.len() + 1);
    for p in conditional {
        out.push(left * p);
        left *= 1.0 - p;
    }
    out.push(left);
    out
}

/// σ(x).
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Probability of leaving that a divergence suggests: `1 − tanh(κD/2)`.
///
/// # Examples
/// ```
/// use early_exit_model::reference::teacher;
///
/// assert_eq!(teacher(0.0, 1.0), 1.0);
/// assert!((teacher(1.0, 1.0) - 0.538).abs() < 1e-3);
/// ```
pub fn teacher(divergence: f64, kappa: f64) -> f64 {
    1.0 - (kappa * divergence / 2.0).tanh()
}

/// KL(p‖q) of two distributions, in nats; what p excludes adds nothing.
pub fn kl(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p / q).ln()).sum()
}

/// softmax(logits).
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|x| (x - most).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / total).collect()
}
