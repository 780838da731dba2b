//! Ranks, and the signed-rank test.

use super::{Error, Test, check, distribution::normal_two_sided, moments};

/// Up to this many pairs the distribution is counted; 2^50 is an exact f64.
const EXACT_PAIRS: usize = 50;

/// Rank of each value from 1; equal values share the mean of their ranks.
pub(super) struct Ranks {
    /// In the order of the values.
    pub(super) ranks: Vec<f64>,
    /// Σ (t³ − t) over groups of t equal values; 0 without ties.
    pub(super) ties: f64,
}

pub(super) fn ranks(values: &[f64]) -> Ranks {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut result = Ranks { ranks: vec![0.0; values.len()], ties: 0.0 };
    let mut before = 0;
    // In ascending order, not less is equal.
    for group in order.chunk_by(|&i, &j| values[i] >= values[j]) {
        let t = group.len() as f64;
        for &i in group {
            result.ranks[i] = before as f64 + f64::midpoint(t, 1.0);
        }
        result.ties += t.powi(3) - t;
        before += group.len();
    }
    result
}

/// Wilcoxon's signed-rank test of whether paired differences lie symmetrically about zero.
///
/// ```text
/// d_i = a_i − b_i ≠ 0, r_i = rank of |d_i|, n = their number
/// W = min(Σ_{d_i > 0} r_i, Σ_{d_i < 0} r_i)
/// exact (n ≤ 50, no ties):  p = min(1, 2 P(W⁺ ≤ W)),  each sign pattern 2^−n
/// otherwise:  z = (W − n(n+1)/4) / √(n(n+1)(2n+1)/24 − Σ(t³ − t)/48),  p = P(|Z| ≥ |z|)
/// ```
///
/// t are the sizes of groups of equal |d|. Differences of zero are left out first, as Wilcoxon did,
/// and the approximation has no continuity correction. Ties are exact: differences that are equal
/// but for rounding are apart. Source: Wilcoxon, *Individual comparisons by ranking methods*,
/// Biometrics Bulletin 1 (1945); ties as in Hollander, Wolfe and Chicken, *Nonparametric
/// Statistical Methods*, 3rd ed. (2014), chapter 3.
///
/// The statistic is W. If all differences are 0, and for one pair, p is 1; with zero variance
/// otherwise all are tied and the approximation is used.
///
/// # Shapes
/// - `a`, `b`: `[pairs]`
///
/// # Errors
/// [`Error::Empty`], [`Error::Length`], [`Error::NotFinite`].
///
/// # Examples
/// ```
/// let test = rl_core::stats::wilcoxon_signed_rank(&[1.0, 2.0, 6.0], &[0.0, 0.0, 3.0])?;
/// assert_eq!((test.statistic, test.p_value), (0.0, 0.25));
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn wilcoxon_signed_rank(a: &[f64], b: &[f64]) -> Result<Test, Error> {
    check::pairs(a, b)?;
    let mut differences = moments::differences(a, b);
    differences.retain(|&d| d != 0.0);
    let sizes: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
    let Ranks { ranks, ties } = ranks(&sizes);
    let sum = |sign: f64| -> f64 {
        let side = ranks.iter().zip(&differences).filter(|(_, d)| *d * sign > 0.0);
        side.fold(0.0, |sum, (rank, _)| sum + rank)
    };
    let statistic = sum(1.0).min(sum(-1.0));
    let n = differences.len() as f64;
    let p_value = if ties == 0.0 && differences.len() <= EXACT_PAIRS {
        (2.0 * exact_at_most(statistic as usize, differences.len())).min(1.0)
    } else {
        let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0;
        normal_two_sided((statistic - n * (n + 1.0) / 4.0) / variance.sqrt())
    };
    Ok(Test { statistic, p_value, n: a.len() })
}

/// Probability that the ranks 1 to `n`, each taken with probability one half, sum to at most `w`.
fn exact_at_most(w: usize, n: usize) -> f64 {
    let mut ways = vec![0.0; w + 1];
    ways[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..=w).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    ways.iter().sum::<f64>() / 2_f64.powi(n as i32)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn equal_values_share_ranks() {
        let Ranks { ranks, ties } = ranks(&[3.0, -0.0, 3.0, 0.0, 1.0, 3.0]);
        assert_eq!(ranks, [5.0, 1.5, 5.0, 1.5, 3.0, 5.0]);
        assert_relative_eq!(ties, 24.0 + 6.0);
    }

    #[test]
    fn counting_agrees_with_enumeration() {
        for n in 1..=10_usize {
            for w in 0..=n * (n + 1) / 2 {
                let few = (0_u32..1 << n)
                    .filter(|set| {
                        (0..n).filter(|i| set >> i & 1 == 1).map(|i| i + 1).sum::<usize>() <= w
                    })
                    .count();
                assert_relative_eq!(exact_at_most(w, n), few as f64 / 2_f64.powi(n as i32));
            }
        }
    }

    #[test]
    fn no_difference_is_no_evidence() {
        for n in 1..4 {
            let values = vec![0.5; n];
            let test = wilcoxon_signed_rank(&values, &values).unwrap();
            assert_eq!(test, Test { statistic: 0.0, p_value: 1.0, n });
        }
        assert_relative_eq!(wilcoxon_signed_rank(&[1.0], &[0.0]).unwrap().p_value, 1.0);
        // All tied: W = 0, mean 2.5, variance 7.5 - 60 / 48.
        let tied = wilcoxon_signed_rank(&[1.0; 4], &[0.0; 4]).unwrap();
        assert_relative_eq!(tied.p_value, normal_two_sided(5.0 / 6.25_f64.sqrt()));
    }
}
