//! Intervals of any statistic, from resampling.

use rand_chacha::{ChaCha8Rng, rand_core::Rng as _};

use super::{
    Error, Estimate, check,
    distribution::{normal_cdf, normal_quantile},
    moments,
};
use crate::seed::Seed;

/// How a bootstrap is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Number of resamples, at least 2; ends of a 95 % interval need a thousand or more.
    pub resamples: usize,
    /// Probability between the ends, between 0 and 1.
    pub confidence: f64,
    /// Root of the stream `bootstrap`; equal seeds give equal resamples.
    pub seed: Seed,
}

/// Percentile bootstrap of `statistic`.
///
/// ```text
/// θ* = statistic of n draws from the sample with replacement, B times
/// interval = quantiles (1 − confidence)/2 and (1 + confidence)/2 of θ*
/// SE = standard deviation of θ*, with B − 1
/// ```
///
/// Quantiles are interpolated linearly. Source: Efron and Tibshirani, *An Introduction to the
/// Bootstrap* (1993), chapters 6 and 13. The items may be values, pairs of values, or indices into
/// something larger, such as whole clusters.
///
/// With items that are all the same the interval has no width; one item is refused, because all its
/// resamples are the same.
///
/// # Shapes
/// - `sample`: `[n]`, n at least 2
/// - argument of `statistic`: `[n]`
///
/// # Errors
/// [`Error::Empty`], [`Error::TooFew`] for the sample; [`Error::Range`] for the settings;
/// [`Error::NotFinite`] or [`Error::Range`] for what `statistic` returns.
///
/// # Examples
/// ```
/// use rl_core::{seed::Seed, stats::{Bootstrap, bootstrap_percentile}};
///
/// let settings = Bootstrap { resamples: 1000, confidence: 0.95, seed: Seed::new(1) };
/// let pairs = [(1.0, 2.0), (3.0, 4.0), (2.0, 5.0)];
/// let ratio = |pairs: &[(f64, f64)]| {
///     pairs.iter().map(|p| p.0).sum::<f64>() / pairs.iter().map(|p| p.1).sum::<f64>()
/// };
/// let estimate = bootstrap_percentile(&pairs, ratio, settings)?;
/// assert_eq!(estimate.value, 6.0 / 11.0);
/// assert!(estimate.interval[0] >= 0.4 && estimate.interval[1] <= 0.75);
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn bootstrap_percentile<T: Copy>(
    sample: &[T],
    statistic: impl Fn(&[T]) -> f64,
    settings: Bootstrap,
) -> Result<Estimate, Error> {
    let (value, replicates) = replicate(sample, &statistic, settings)?;
    let tail = 0.5 * (1.0 - settings.confidence);
    Ok(estimate(value, &replicates, [tail, 1.0 - tail], sample.len()))
}

/// Bias-corrected and accelerated bootstrap of `statistic`.
///
/// ```text
/// θ* as in the percentile bootstrap, θ_(i) = statistic without item i
/// z0 = Φ⁻¹((#{θ* < θ} + #{θ* ≤ θ}) / 2B)
/// U_i = mean(θ_(·)) − θ_(i),  a = Σ U³ / 6 (Σ U²)^{3/2}
/// level(α) = Φ(z0 + (z0 + z_α) / (1 − a (z0 + z_α)))
/// interval = quantiles level((1 − confidence)/2) and level((1 + confidence)/2) of θ*
/// ```
///
/// Source: Efron, *Better bootstrap confidence intervals*, JASA 82 (1987); Efron and Tibshirani,
/// *An Introduction to the Bootstrap* (1993), chapter 14. Deviations: a resample equal to θ counts
/// one half in z0, as in SciPy, and a is 0 if no U differs from 0. `statistic` is also called with
/// n − 1 items.
///
/// With items that are all the same the interval has no width; one item is refused.
///
/// # Shapes
/// - `sample`: `[n]`, n at least 2
/// - argument of `statistic`: `[n]` or `[n − 1]`
///
/// # Errors
/// As for [`bootstrap_percentile`]; and [`Error::Range`] if all resamples are on one side of the
/// sample's own statistic, because z0 is then infinite.
///
/// # Examples
/// ```
/// use rl_core::{seed::Seed, stats::{Bootstrap, bootstrap_bca}};
///
/// let settings = Bootstrap { resamples: 1000, confidence: 0.95, seed: Seed::new(1) };
/// let scores = [0.1, 0.5, 0.4, 0.9, 0.6];
/// let at_indices = |at: &[usize]| at.iter().map(|&i| scores[i]).sum::<f64>() / at.len() as f64;
/// let estimate = bootstrap_bca(&[0, 1, 2, 3, 4], at_indices, settings)?;
/// assert_eq!((estimate.value, estimate.n), (0.5, 5));
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn bootstrap_bca<T: Copy>(
    sample: &[T],
    statistic: impl Fn(&[T]) -> f64,
    settings: Bootstrap,
) -> Result<Estimate, Error> {
    let (value, replicates) = replicate(sample, &statistic, settings)?;
    let jackknife: Vec<f64> =
        (0..sample.len()).map(|i| statistic(&[&sample[..i], &sample[i + 1..]].concat())).collect();
    check::values("statistic of the sample without one item", &jackknife)?;
    let levels = bca_levels(value, &replicates, &jackknife, settings.confidence)?;
    Ok(estimate(value, &replicates, levels, sample.len()))
}

/// The statistic of the sample and, in ascending order, of its resamples.
fn replicate<T: Copy>(
    sample: &[T],
    statistic: &impl Fn(&[T]) -> f64,
    settings: Bootstrap,
) -> Result<(f64, Vec<f64>), Error> {
    let Bootstrap { resamples, seed, .. } = settings;
    if sample.is_empty() {
        return Err(Error::Empty { argument: "sample" });
    }
    check::at_least("sample", sample.len(), 2)?;
    check_settings(settings)?;
    let value = statistic(sample);
    check::values("statistic of the sample", &[value])?;
    let mut rng = seed.derive("bootstrap", 0).rng();
    let mut drawn = sample.to_vec();
    let mut replicates = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        drawn.fill_with(|| sample[below(sample.len(), &mut rng)]);
        replicates.push(statistic(&drawn));
    }
    check::values("statistic of a resample", &replicates)?;
    replicates.sort_by(f64::total_cmp);
    Ok((value, replicates))
}

pub(super) fn check_settings(settings: Bootstrap) -> Result<(), Error> {
    check::confidence(settings.confidence)?;
    if settings.resamples < 2 {
        let found = settings.resamples as f64;
        return Err(Error::Range { argument: "resamples", found, expected: "at least 2" });
    }
    Ok(())
}

/// A whole number from 0 to `n` − 1, each as likely to within n / 2^64.
pub(super) fn below(n: usize, rng: &mut ChaCha8Rng) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

fn bca_levels(
    value: f64,
    replicates: &[f64],
    jackknife: &[f64],
    confidence: f64,
) -> Result<[f64; 2], Error> {
    let less = replicates.iter().filter(|&&r| r < value).count();
    let not_more = replicates.iter().filter(|&&r| r <= value).count();
    let share = (less + not_more) as f64 / (2 * replicates.len()) as f64;
    if share == 0.0 || less == replicates.len() {
        return Err(Error::Range {
            argument: "share of resamples below the sample's statistic",
            found: share,
            expected: "more than 0 and less than 1, such as by more resamples",
        });
    }
    let bias = normal_quantile(share);
    let center = moments::mean(jackknife);
    let largest = jackknife.iter().fold(0.0_f64, |m, j| m.max((center - j).abs()));
    let acceleration = if largest == 0.0 {
        0.0
    } else {
        let influence =
            |power| jackknife.iter().map(|j| ((center - j) / largest).powi(power)).sum();
        let (squares, cubes): (f64, f64) = (influence(2), influence(3));
        cubes / (6.0 * squares.powf(1.5))
    };
    let level = |tail: f64| {
        let shifted = bias + normal_quantile(tail);
        // The map has a pole, beyond which it would come back from the other end.
        let scale = (1.0 - acceleration * shifted).max(f64::MIN_POSITIVE);
        normal_cdf(bias + shifted / scale)
    };
    let tail = 0.5 * (1.0 - confidence);
    Ok([level(tail), level(1.0 - tail)])
}

pub(super) fn estimate(value: f64, replicates: &[f64], levels: [f64; 2], n: usize) -> Estimate {
    Estimate {
        value,
        interval: levels.map(|level| quantile(replicates, level)),
        n,
        std_error: moments::std_dev(replicates),
    }
}

/// Quantile of ascending values, interpolated linearly between places `level (n − 1)`.
fn quantile(ascending: &[f64], level: f64) -> f64 {
    let last = ascending.len() - 1;
    let place = level * last as f64;
    let lower = (place as usize).min(last);
    let (low, high) = (ascending[lower], ascending[(lower + 1).min(last)]);
    low + (high - low) * (place - lower as f64)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use serde::Deserialize;

    use super::*;

    /// What remains of SciPy's bootstrap once its resamples are given.
    #[derive(Deserialize)]
    struct Golden {
        bootstrap: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        sample: Vec<f64>,
        replicates: Vec<f64>,
        confidence: f64,
        percentile: [f64; 2],
        bca: [f64; 2],
        std_error: f64,
    }

    #[test]
    fn given_resamples_agree_with_scipy() {
        let golden: Golden =
            serde_json::from_str(include_str!("../../tests/golden/stats.json")).unwrap();
        assert!(!golden.bootstrap.is_empty());
        for mut case in golden.bootstrap {
            let n = case.sample.len();
            let value = moments::mean(&case.sample);
            let jackknife: Vec<f64> =
                case.sample.iter().map(|x| (value * n as f64 - x) / (n as f64 - 1.0)).collect();
            case.replicates.sort_by(f64::total_cmp);
            let tail = 0.5 * (1.0 - case.confidence);
            let plain = estimate(value, &case.replicates, [tail, 1.0 - tail], n);
            let levels = bca_levels(value, &case.replicates, &jackknife, case.confidence).unwrap();
            let bca = estimate(value, &case.replicates, levels, n);
            // Rounding of sums of tens of values.
            let close = |a: f64, b: f64| assert_relative_eq!(a, b, max_relative = 1e-10);
            for end in 0..2 {
                close(plain.interval[end], case.percentile[end]);
                close(bca.interval[end], case.bca[end]);
            }
            close(plain.std_error, case.std_error);
        }
    }

    const SETTINGS: Bootstrap = Bootstrap { resamples: 2000, confidence: 0.9, seed: Seed::new(3) };

    #[test]
    fn a_mean_agrees_with_theory() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i * i % 50)).collect();
        let theory = super::super::mean(&values, 0.9).unwrap();
        for estimate in [
            bootstrap_percentile(&values, moments::mean, SETTINGS).unwrap(),
            bootstrap_bca(&values, moments::mean, SETTINGS).unwrap(),
        ] {
            // 2000 resamples know a standard error to 2 % and an end to a tenth of it.
            assert_relative_eq!(estimate.std_error, theory.std_error, max_relative = 0.08);
            for end in 0..2 {
                let off = (estimate.interval[end] - theory.interval[end]).abs();
                assert!(off < 0.4 * theory.std_error, "{estimate:?} {theory:?}");
            }
        }
    }

    #[test]
    fn draws_are_even() {
        let mut counts = [0_usize; 7];
        let mut rng = Seed::new(9).rng();
        for _ in 0..70_000 {
            counts[below(7, &mut rng)] += 1;
        }
        // Five standard deviations of a count of 10 000.
        assert!(counts.iter().all(|&c| c.abs_diff(10_000) < 470), "{counts:?}");
    }

    #[test]
    fn a_seed_decides() {
        let values = [1.0, 2.0, 4.0, 8.0];
        let with = |seed| {
            bootstrap_percentile(&values, moments::mean, Bootstrap { seed, ..SETTINGS }).unwrap()
        };
        assert_eq!(with(Seed::new(1)), with(Seed::new(1)));
        assert_ne!(with(Seed::new(1)).std_error.to_bits(), with(Seed::new(2)).std_error.to_bits());
    }

    #[test]
    fn what_cannot_be_computed_is_an_error() {
        let values = [1.0, 2.0, 4.0];
        let few = Bootstrap { resamples: 1, ..SETTINGS };
        let error = |sample: &[f64], settings| {
            bootstrap_percentile(sample, moments::mean, settings).unwrap_err()
        };
        assert_eq!(error(&[], SETTINGS), Error::Empty { argument: "sample" });
        assert!(matches!(error(&values[..1], SETTINGS), Error::TooFew { found: 1, .. }));
        assert!(matches!(error(&values, few), Error::Range { argument: "resamples", .. }));
        assert!(matches!(
            bootstrap_percentile(&values, |_| f64::NAN, SETTINGS),
            Err(Error::NotFinite { argument: "statistic of the sample", .. })
        ));
        // Larger than any resample makes it.
        let order = |v: &[f64]| f64::from(u8::from(v == values));
        assert!(matches!(
            bootstrap_bca(&values, |v| -order(v), Bootstrap { resamples: 2, ..SETTINGS }),
            Err(Error::Range { found: 0.0, .. })
        ));
    }
}
