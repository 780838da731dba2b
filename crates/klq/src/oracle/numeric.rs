//! Sums of exponentials.

/// `log Σ exp(x)` without overflow; `-∞` for nothing.
pub(super) fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let greatest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if greatest == f64::NEG_INFINITY {
        return greatest;
    }
    greatest + values.map(|x| (x - greatest).exp()).sum::<f64>().ln()
}

/// Subtracts `log Σ exp` from one row of logits.
pub(super) fn log_softmax(row: &mut [f64]) {
    let norm = log_sum_exp(row.iter().copied());
    for x in row {
        *x -= norm;
    }
}

/// `Σ_a p(a) (log p(a) − log q(a))` of two rows of log-probabilities.
pub(super) fn kl(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_neither_overflow_nor_vanish() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(log_sum_exp([1000.0, 1000.0].into_iter()), 1000.0 + 2_f64.ln());
        near(log_sum_exp([-2000.0].into_iter()), -2000.0);
        assert!(log_sum_exp(std::iter::empty()).is_infinite());
        let mut row = [0.0, 3_f64.ln()];
        log_softmax(&mut row);
        near(row[0], 0.25_f64.ln());
        near(kl(&row, &[0.5_f64.ln(); 2]), 0.25 * 0.5_f64.ln() + 0.75 * 1.5_f64.ln());
    }
}
