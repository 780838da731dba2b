//! Many tests at once.

use super::{Error, check};

/// Holm's correction of p-values for the number of tests made.
///
/// ```text
/// p̃_(i) = max_{j ≤ i} min(1, (m − j + 1) p_(j)),  p_(1) ≤ … ≤ p_(m)
/// ```
///
/// Rejecting where p̃ ≤ α keeps the probability of any false rejection at most α, however the tests
/// depend on one another. Source: Holm, *A simple sequentially rejective multiple test procedure*,
/// Scandinavian Journal of Statistics 6 (1979). One p-value stays as it is.
///
/// # Shapes
/// - `p_values`: `[m]`
/// - returns: `[m]`, in the same order
///
/// # Errors
/// [`Error::Empty`]; [`Error::NotFinite`]; [`Error::Range`] for a value outside 0 to 1.
///
/// # Examples
/// ```
/// assert_eq!(rl_core::stats::holm(&[0.5, 0.125, 0.25])?, [0.5, 0.375, 0.5]);
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, Error> {
    check::values("p_values", p_values)?;
    if let Some(&found) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(Error::Range { argument: "p_values", found, expected: "numbers from 0 to 1" });
    }
    let m = p_values.len();
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|&i, &j| p_values[i].total_cmp(&p_values[j]));
    let mut corrected = vec![0.0; m];
    let mut greatest = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        greatest = greatest.max(((m - rank) as f64 * p_values[i]).min(1.0));
        corrected[i] = greatest;
    }
    Ok(corrected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_checked() {
        assert_eq!(holm(&[]), Err(Error::Empty { argument: "p_values" }));
        assert!(matches!(holm(&[0.5, -0.1]), Err(Error::Range { .. })));
        assert!(matches!(holm(&[f64::NAN]), Err(Error::NotFinite { index: 0, .. })));
    }
}
