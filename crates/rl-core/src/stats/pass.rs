//! The probability that one of several samples is right.

use super::Error;

/// Unbiased estimate of the probability that at least one of `k` samples is correct.
///
/// ```text
/// pass@k = 1 − C(n−c, k) / C(n, k) = 1 − Π_{i=n−c+1}^{n} (1 − k/i)
/// ```
///
/// n is `samples`, all from one problem, of which c are `correct`. Source: arXiv 2107.03374, eq. 1
/// and figure 3. This is for one problem: over many, give each one's to [`super::mean`]. With one
/// sample it is 0 or 1.
///
/// # Errors
/// [`Error::Range`] if `k` is 0 or more than `samples`, or `correct` is more than `samples`.
///
/// # Examples
/// ```
/// // Of the 10 pairs among 5 samples, 3 have neither of the 2 correct ones.
/// assert!((rl_core::stats::pass_at_k(5, 2, 2)? - 0.7).abs() < 1e-12);
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn pass_at_k(samples: usize, correct: usize, k: usize) -> Result<f64, Error> {
    if k == 0 || k > samples {
        return Err(Error::Range {
            argument: "k",
            found: k as f64,
            expected: "at least 1 and at most the number of samples",
        });
    }
    if correct > samples {
        return Err(Error::Range {
            argument: "correct",
            found: correct as f64,
            expected: "at most the number of samples",
        });
    }
    if samples - correct < k {
        return Ok(1.0);
    }
    let miss: f64 =
        (samples - correct + 1..=samples).map(|i| (-(k as f64) / i as f64).ln_1p()).sum();
    Ok(-miss.exp_m1())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_checked() {
        for (samples, correct, k) in [(0, 0, 0), (0, 0, 1), (3, 1, 0), (3, 1, 4), (3, 4, 1)] {
            assert!(matches!(pass_at_k(samples, correct, k), Err(Error::Range { .. })));
        }
        for (correct, value) in [(0, 0.0_f64), (1, 1.0)] {
            assert_eq!(pass_at_k(1, correct, 1).unwrap().to_bits(), value.to_bits());
        }
    }
}
