//! Where to take a target from: the counts with the best trade of profit against risk.

use crate::{Error, error::in_range};

/// Rounds of coordinate ascent; each cuts the distance to the optimum by a factor.
const ROUNDS: usize = 10_000;
/// A round that moves no count by more than this, relative to the largest, is the last.
const STILL: f64 = 1e-12;

/// The counts n with the largest
///
/// ```text
/// Σ_i profit_i n_i − (aversion/2) Σ_ij covariance_ij n_i n_j,   0 ≤ n_i ≤ most_i
/// ```
///
/// where a customer of category i brings `profit_i`, in £, and customers of categories i and j vary
/// together by `covariance_ij`, in £². Without bounds that bind this is covariance⁻¹ profit / aversion.
/// The problem is concave, so maximizing one count after another ends at the optimum.
///
/// # Shapes
/// - `profit`, `most`: `[categories]`
/// - `covariance`: `[categories][categories]`, symmetric, with a positive diagonal
/// - returns: `[categories]`
///
/// # Errors
/// [`Error::Length`] and [`Error::Setting`] for arguments that do not fit or are out of range, and for a
/// covariance that some portfolio would make negative.
///
/// # Examples
/// ```
/// use portfolio_pursuit::portfolio::mean_variance;
/// // Two independent categories: profit over aversion times variance, as far as there are customers.
/// let counts =
///     mean_variance(&[10.0, 20.0], &[vec![4.0, 0.0], vec![0.0, 5.0]], 0.1, &[100.0, 30.0])?;
/// assert!((counts[0] - 25.0).abs() < 1e-9 && (counts[1] - 30.0).abs() < 1e-9);
/// # Ok::<(), portfolio_pursuit::Error>(())
/// ```
pub fn mean_variance(
    profit: &[f64],
    covariance: &[Vec<f64>],
    aversion: f64,
    most: &[f64],
) -> Result<Vec<f64>, Error> {
    check(profit, covariance, aversion, most)?;
    let mut counts = vec![0.0_f64; profit.len()];
    for _ in 0..ROUNDS {
        let (mut moved, mut largest) = (0.0_f64, 0.0_f64);
        for i in 0..counts.len() {
            let others: f64 =
                (0..counts.len()).filter(|&j| j != i).map(|j| covariance[i][j] * counts[j]).sum();
            let best = (profit[i] / aversion - others) / covariance[i][i];
            let now = best.clamp(0.0, most[i]);
            moved = moved.max((now - counts[i]).abs());
            counts[i] = now;
            largest = largest.max(now);
        }
        if moved <= STILL * largest {
            break;
        }
    }
    Ok(counts)
}

fn check(
    profit: &[f64],
    covariance: &[Vec<f64>],
    aversion: f64,
    most: &[f64],
) -> Result<(), Error> {
    let d = profit.len();
    in_range("aversion", aversion, f64::MIN_POSITIVE.., "a number above 0")?;
    for (name, found) in [("covariance", covariance.len()), ("most", most.len())] {
        if found != d {
            return Err(Error::Length { name, expected: d, found });
        }
    }
    for (i, row) in covariance.iter().enumerate() {
        if row.len() != d {
            return Err(Error::Length { name: "covariance", expected: d, found: row.len() });
        }
        in_range(&format!("profit of category {i}"), profit[i], .., "a finite number")?;
        in_range(&format!("most of category {i}"), most[i], 0.0.., "0 or a number above")?;
        let own = row[i];
        in_range(&format!("variance of {i}"), own, f64::MIN_POSITIVE.., "a number above 0")?;
        for (j, &value) in row.iter().enumerate() {
            let name = format!("covariance of {i} and {j}");
            in_range(&name, value, .., "a finite number")?;
            if (value - covariance[j].get(i).copied().unwrap_or(f64::NAN)).abs() > 1e-9 * own {
                return Err(Error::setting(name, "the same both ways", value));
            }
        }
    }
    if is_semidefinite(covariance) {
        return Ok(());
    }
    Err(Error::setting("covariance", "a variance of 0 or above for every portfolio", "less"))
}

/// Whether Cholesky's decomposition goes through, up to rounding.
fn is_semidefinite(matrix: &[Vec<f64>]) -> bool {
    let d = matrix.len();
    let mut lower = vec![vec![0.0; d]; d];
    for i in 0..d {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            let left: f64 = matrix[i][j] - known;
            let rounding = 1e-12 * matrix[i][i];
            if i == j {
                if left < -rounding {
                    return false;
                }
                lower[i][i] = left.max(0.0).sqrt();
            } else if lower[j][j] > rounding.sqrt() {
                lower[i][j] = left / lower[j][j];
            } else if left.abs() > (rounding * matrix[j][j]).sqrt() {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_correlated_categories_by_hand() {
        // [[4, 1], [1, 2]]⁻¹ [10, 6] = [(20 − 6)/7, (−10 + 24)/7] = [2, 2].
        let covariance = [vec![4.0, 1.0], vec![1.0, 2.0]];
        let counts = mean_variance(&[10.0, 6.0], &covariance, 0.5, &[100.0; 2]).unwrap();
        assert!(counts.iter().all(|n| (n - 4.0).abs() < 1e-9), "{counts:?}");
    }

    #[test]
    fn bad_arguments_are_named() {
        let said = |covariance: &[Vec<f64>], aversion| {
            mean_variance(&[1.0, 1.0], covariance, aversion, &[5.0; 2]).unwrap_err().to_string()
        };
        let fine = [vec![1.0, 0.0], vec![0.0, 1.0]];
        assert_eq!(said(&fine, 0.0), "aversion: expected a number above 0, found 0");
        assert!(said(&[vec![1.0, 2.0], vec![2.0, 1.0]], 1.0).starts_with("covariance: expected a"));
        assert!(said(&[vec![1.0, 0.5], vec![0.4, 1.0]], 1.0).contains("the same both ways"));
        assert!(said(&fine[..1], 1.0).contains("expected 2 values, found 1"));
    }

    proptest! {
        #[test]
        fn no_single_count_can_do_better(
            factors in proptest::collection::vec(proptest::collection::vec(-1.0..1.0_f64, 3), 4),
            profit in proptest::collection::vec(-5.0..20.0_f64, 4),
            most in proptest::collection::vec(0.0..30.0_f64, 4),
        ) {
            let covariance: Vec<Vec<f64>> = (0..4).map(|i| (0..4).map(|j| {
                let common: f64 = (0..3).map(|k| factors[i][k] * factors[j][k]).sum();
                common + if i == j { 0.1 } else { 0.0 }
            }).collect()).collect();
            let counts = mean_variance(&profit, &covariance, 0.3, &most).unwrap();
            for i in 0..4 {
                let risk: f64 = (0..4).map(|j| covariance[i][j] * counts[j]).sum();
                let slope = profit[i] - 0.3 * risk;
                // The slope is 0 inside, not above 0 at 0, not below 0 at the most.
                prop_assert!(counts[i] <= 1e-9 || slope > -1e-6);
                prop_assert!(counts[i] >= most[i] - 1e-9 || slope < 1e-6);
            }
        }
    }
}
