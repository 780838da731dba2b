//! Whether the mean of paired differences is zero.

use rand_chacha::rand_core::Rng as _;

use super::{Error, Test, check, distribution::t_two_sided, moments};
use crate::seed::Seed;

/// Up to this many pairs all sign flips are tried: half a million sums.
const EXACT_PAIRS: usize = 20;

/// Student's paired t test.
///
/// ```text
/// d_i = a_i − b_i
/// t = mean(d) √n / s_d,  p = P(|T_{n−1}| ≥ |t|)
/// ```
///
/// Source: Student, *The probable error of a mean*, Biometrika 6 (1908). For the size of the
/// difference and its interval give d to [`super::mean`].
///
/// If all differences are 0, t is 0 and p is 1; if all are the same but not 0 (to rounding), t
/// would be infinite and they are refused. One pair is refused.
///
/// # Shapes
/// - `a`, `b`: `[n]`, n at least 2
///
/// # Errors
/// [`Error::Empty`], [`Error::Length`], [`Error::TooFew`], [`Error::NotFinite`],
/// [`Error::Constant`].
///
/// # Examples
/// ```
/// let test = rl_core::stats::paired_t(&[1.0, 2.0, 6.0], &[0.0, 0.0, 3.0])?;
/// assert!((test.statistic - 12_f64.sqrt()).abs() < 1e-12);
/// assert!((test.p_value - 0.0741799002274403).abs() < 1e-12);
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn paired_t(a: &[f64], b: &[f64]) -> Result<Test, Error> {
    check::pairs(a, b)?;
    check::at_least("a", a.len(), 2)?;
    let n = a.len();
    let differences = moments::differences(a, b);
    if differences.iter().all(|&d| d == 0.0) {
        return Ok(Test { statistic: 0.0, p_value: 1.0, n });
    }
    let (mean, std_dev) = (moments::mean(&differences), moments::std_dev(&differences));
    if moments::negligible(std_dev, &[a, b]) {
        return Err(Error::Constant { argument: "a - b", found: mean });
    }
    let statistic = mean * (n as f64).sqrt() / std_dev;
    Ok(Test { statistic, p_value: t_two_sided(statistic, n as f64 - 1.0), n })
}

/// Paired permutation test: how often random signs make the mean difference as large.
///
/// ```text
/// d_i = a_i − b_i,  T = mean(d),  T* = mean(± d_i)
/// exact, n ≤ 20:   p = #{T* : |T*| ≥ |T|} / 2^n
/// otherwise:       p = (1 + #{T* : |T*| ≥ |T|}) / (1 + resamples)
/// ```
///
/// It supposes that under the hypothesis each difference is as likely to have either sign. Sums
/// that differ by rounding count as equal. Source: Fisher, *The Design of Experiments* (1935),
/// chapter III; for the ones in the second form Phipson and Smyth, *Permutation p-values should
/// never be zero*, Statistical Applications in Genetics and Molecular Biology 9 (2010).
///
/// The statistic is T. If all differences are 0, and for one pair, p is 1; with zero variance
/// otherwise it is 2^(1−n) or an estimate of that.
///
/// # Shapes
/// - `a`, `b`: `[n]`
///
/// # Errors
/// [`Error::Empty`], [`Error::Length`], [`Error::NotFinite`]; [`Error::Range`] if `resamples` is 0,
/// even where it is not needed.
///
/// # Examples
/// ```
/// use rl_core::{seed::Seed, stats::permutation_paired};
///
/// let test = permutation_paired(&[1.0, 2.0, 6.0], &[0.0, 0.0, 3.0], 1000, Seed::new(1))?;
/// assert_eq!((test.statistic, test.p_value), (2.0, 0.25));
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn permutation_paired(
    a: &[f64],
    b: &[f64],
    resamples: usize,
    seed: Seed,
) -> Result<Test, Error> {
    check::pairs(a, b)?;
    if resamples == 0 {
        return Err(Error::Range { argument: "resamples", found: 0.0, expected: "at least 1" });
    }
    let n = a.len();
    let differences = moments::differences(a, b);
    // Rounding of n differences and their sum.
    let size: f64 = a.iter().chain(b).map(|x| x.abs()).sum();
    let rounding = n as f64 * f64::EPSILON * size;
    let observed: f64 = differences.iter().sum();
    let bound = observed.abs() - rounding;
    let p_value = if n <= EXACT_PAIRS {
        // Flipping all signs changes no size: the first may stay.
        let extreme = count_extreme(&differences[1..], differences[0], bound);
        extreme as f64 / (1_u64 << (n - 1)) as f64
    } else {
        let mut rng = seed.derive("permutation", 0).rng();
        let extreme =
            (0..resamples).filter(|_| flipped(&differences, &mut rng).abs() >= bound).count();
        (1 + extreme) as f64 / (1 + resamples) as f64
    };
    Ok(Test { statistic: observed / n as f64, p_value, n })
}

/// In how many of the ways to sign `differences` their sum and `sum` together reach `bound`.
fn count_extreme(differences: &[f64], sum: f64, bound: f64) -> u64 {
    match differences {
        [] => u64::from(sum.abs() >= bound),
        [first, rest @ ..] => {
            count_extreme(rest, sum + first, bound) + count_extreme(rest, sum - first, bound)
        }
    }
}

/// Sum with random signs, one bit each.
fn flipped(differences: &[f64], rng: &mut rand_chacha::ChaCha8Rng) -> f64 {
    let mut sum = 0.0;
    for chunk in differences.chunks(64) {
        let bits = rng.next_u64();
        for (i, d) in chunk.iter().enumerate() {
            sum += if bits >> i & 1 == 1 { *d } else { -d };
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn no_difference_is_no_evidence() {
        let values = [0.1, 0.2, 0.3];
        let seed = Seed::new(0);
        for test in [paired_t(&values, &values), permutation_paired(&values, &values, 10, seed)] {
            assert_eq!(test, Ok(Test { statistic: 0.0, p_value: 1.0, n: 3 }));
        }
        let many = vec![0.5; 30];
        assert_relative_eq!(permutation_paired(&many, &many, 10, seed).unwrap().p_value, 1.0);
    }

    #[test]
    fn equal_differences_have_no_t() {
        let [a, b] = [[0.4, 0.5, 0.6], [0.3, 0.4, 0.5]];
        assert!(matches!(paired_t(&a, &b), Err(Error::Constant { .. })));
        let test = permutation_paired(&a, &b, 10, Seed::new(0)).unwrap();
        assert_relative_eq!(test.p_value, 0.25);
        assert!(matches!(paired_t(&a[..1], &b[..1]), Err(Error::TooFew { .. })));
        assert_relative_eq!(
            permutation_paired(&a[..1], &b[..1], 1, Seed::new(0)).unwrap().p_value,
            1.0
        );
    }

    #[test]
    fn chance_comes_near_enumeration() {
        // Twenty pairs exactly, and with one more pair that says nothing by chance.
        let mut rng = Seed::new(5).rng();
        let a: Vec<f64> =
            (0..20).map(|_| (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64).collect();
        let b = vec![0.4; 20];
        let exact = permutation_paired(&a, &b, 1, Seed::new(0)).unwrap().p_value;
        let (more_a, more_b) = ([a, vec![0.4]].concat(), vec![0.4; 21]);
        let sampled = permutation_paired(&more_a, &more_b, 40_000, Seed::new(0)).unwrap().p_value;
        // Four standard errors of a proportion of 40 000.
        let tolerance = 4.0 * (exact * (1.0 - exact) / 40_000.0).sqrt();
        assert!((exact - sampled).abs() < tolerance, "{exact} {sampled}");
    }
}
