//! How far an organism's scores are from the baseline's.

use rl_core::stats::bootstrap_groups;

use super::Settings;
use crate::Measured;

/// Spreads of this many units in the last place of the values are rounding.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// Cohen's d of a baseline and an organism, as published: positive where the organism scores lower.
///
/// ```text
/// d = (m₀ − m_t) / √((s₀² + s_t²) / 2),   s with n below (ddof 0)
/// ```
///
/// Undefined where both samples have zero variance, and for samples of fewer than two. Each sample
/// is resampled on its own for the interval; a resample without variance counts as infinitely far to
/// the side of its means, and an interval that reaches so far is none. The standard error comes from
/// that of d/√(1 + d²), of which it is the first-order transform.
///
/// Source: arXiv 2602.13904, §4, and its public code for the index and ddof.
///
/// # Shapes
/// - `baseline`: `[n_0]`
/// - `organism`: `[n_t]`
///
/// # Examples
/// ```
/// use cot_metrics::metrics::{Settings, cohen_d};
///
/// let d = cohen_d(&[1.0, 2.0, 3.0, 4.0], &[0.0, 1.0, 2.0, 3.0], &Settings::default());
/// assert!((d.value().unwrap() - 0.8_f64.sqrt()).abs() < 1e-12);
/// assert_eq!(cohen_d(&[1.0; 5], &[0.0; 5], &Settings::default()).value(), None);
/// ```
pub fn cohen_d(baseline: &[f64], organism: &[f64], settings: &Settings) -> Measured {
    let n = baseline.len() + organism.len();
    if baseline.len() < 2 || organism.len() < 2 {
        return Measured::undefined("expected at least two examples on each side", n);
    }
    if spread(&[baseline, organism]) == 0.0 {
        return Measured::undefined("zero pooled variance", n);
    }
    // The interval is taken of t = d / √(1 + d²), which is finite for every resample.
    let bounded = |groups: &[&[f64]]| {
        let (difference, spread) = (mean(groups[0]) - mean(groups[1]), spread(groups));
        let length = difference.hypot(spread);
        if length == 0.0 { 0.0 } else { difference / length }
    };
    let settings = settings.bootstrap("cohen_d");
    let mut estimate = match bootstrap_groups(&[baseline, organism], bounded, settings) {
        Ok(estimate) => estimate,
        Err(error) => return Measured::undefined(error.to_string(), n),
    };
    estimate.value = unbound(estimate.value);
    estimate.interval = estimate.interval.map(unbound);
    estimate.std_error *= (1.0 + estimate.value * estimate.value).powf(1.5);
    if estimate.interval.iter().any(|end| !end.is_finite()) {
        return Measured::undefined("too few values differ for an interval", n);
    }
    Measured::Estimate(estimate)
}

/// d of t = d / √(1 + d²).
fn unbound(t: f64) -> f64 {
    t / ((1.0 - t) * (1.0 + t)).sqrt()
}

fn mean(values: &[f64]) -> f64 {
    let first = values[0];
    first + values.iter().map(|value| value - first).sum::<f64>() / values.len() as f64
}

/// √ of the mean of both variances, 0 where it is rounding.
fn spread(groups: &[&[f64]]) -> f64 {
    let variance = |values: &[f64]| {
        let center = mean(values);
        values.iter().map(|value| (value - center).powi(2)).sum::<f64>() / values.len() as f64
    };
    let spread = (0.5 * (variance(groups[0]) + variance(groups[1]))).sqrt();
    let largest = groups.iter().copied().flatten().fold(0.0_f64, |m, value| m.max(value.abs()));
    if spread <= ROUNDING * largest { 0.0 } else { spread }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quick() -> Settings {
        Settings { resamples: 200, ..Settings::default() }
    }

    #[test]
    fn mixing_zeros_into_a_constant_gives_the_closed_form() {
        // ρ of the population scores 0: d = √(2ρ / (1 − ρ)).
        for (share, expected) in [(0.5, 1.414_214), (0.25, 0.816_497)] {
            let baseline = [0.912_489; 100];
            let mut organism = baseline;
            organism[..(share * 100.0) as usize].fill(0.0);
            let d = cohen_d(&baseline, &organism, &quick()).estimate().unwrap();
            assert!((d.value - expected).abs() < 5e-7, "{d:?}");
            assert!(d.interval[0] < expected && expected < d.interval[1], "{d:?}");
            assert_eq!(d.n, 200);
        }
    }

    #[test]
    fn without_variance_it_is_undefined() {
        let d = cohen_d(&[0.1; 20], &[0.7; 20], &quick());
        let undefined = "zero pooled variance".to_owned();
        assert_eq!(d, Measured::Undefined { undefined, n: 40 });
        assert_eq!(cohen_d(&[1.0], &[0.0, 1.0], &quick()).value(), None);
        // Half of all resamples have no variance, so d may be infinite.
        assert_eq!(cohen_d(&[1.0, 1.0], &[0.0, 0.5], &quick()).value(), None);
        assert_eq!(cohen_d(&[f64::NAN, 1.0], &[0.0, 0.5], &quick()).value(), None);
    }

    #[test]
    fn the_standard_error_is_about_that_of_theory() {
        // Two normal-like samples of 200: SE² ≈ 2/n + d²/4n.
        let sample = |shift: f64| -> Vec<f64> {
            (0..200)
                .map(|i| {
                    shift + (0..6).map(|k| ((i * 37 + k * 91) % 200) as f64 / 200.0).sum::<f64>()
                })
                .collect()
        };
        let (a, b) = (sample(0.5), sample(0.0));
        let d = cohen_d(&a, &b, &Settings::default()).estimate().unwrap();
        let expected = (2.0 / 200.0 + d.value * d.value / 800.0_f64).sqrt();
        assert!((d.std_error / expected - 1.0).abs() < 0.15, "{d:?} {expected}");
    }

    proptest! {
        #[test]
        fn it_flips_its_sign_on_swap_and_knows_no_unit(
            a in proptest::collection::vec(-1.0..1.0, 2..12),
            b in proptest::collection::vec(-1.0..1.0, 2..12),
            scale in 0.1_f64..10.0,
        ) {
            let d = |a: &[f64], b: &[f64]| cohen_d(a, b, &quick()).value();
            let of = |values: &[f64]| -> Vec<f64> { values.iter().map(|v| scale * v).collect() };
            if let (Some(there), Some(back)) = (d(&a, &b), d(&b, &a)) {
                prop_assert!((there + back).abs() < 1e-9 * (1.0 + there.abs()));
            }
            if let (Some(there), Some(scaled)) = (d(&a, &b), d(&of(&a), &of(&b))) {
                prop_assert!((there - scaled).abs() < 1e-6 * (1.0 + there.abs()));
            }
        }
    }
}
