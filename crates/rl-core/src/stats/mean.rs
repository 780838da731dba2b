//! The mean, of independent values and of values in clusters.

use std::collections::BTreeMap;

use super::{Error, Estimate, check, distribution::t_critical, moments};

/// Mean of independent values, with its standard error and Student's interval.
///
/// ```text
/// m = Σ x_i / n
/// s² = Σ (x_i − m)² / (n − 1)
/// SE = s / √n
/// interval = m ± t_{n−1} SE
/// ```
///
/// Source: Student, *The probable error of a mean*, Biometrika 6 (1908).
/// With zero variance the interval has no width; one value has no spread and is refused.
///
/// # Shapes
/// - `values`: `[n]`, n at least 2
///
/// # Errors
/// [`Error::Empty`], [`Error::TooFew`], [`Error::NotFinite`] for the values; [`Error::Range`] for
/// `confidence`.
///
/// # Examples
/// ```
/// let score = rl_core::stats::mean(&[1.0, 2.0, 3.0, 4.0], 0.95)?;
/// assert_eq!(score.value, 2.5);
/// assert!((score.interval[0] - 0.445739743239121).abs() < 1e-12);
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn mean(values: &[f64], confidence: f64) -> Result<Estimate, Error> {
    check::values("values", values)?;
    check::at_least("values", values.len(), 2)?;
    check::confidence(confidence)?;
    let n = values.len();
    let std_error = moments::std_dev(values) / (n as f64).sqrt();
    Ok(student(moments::mean(values), std_error, n, confidence))
}

/// Mean of values that come in clusters, with the cluster-robust standard error.
///
/// ```text
/// m = Σ x_i / n
/// u_g = Σ_{i in g} (x_i − m)
/// SE² = G/(G−1) Σ_g u_g² / n²
/// interval = m ± t_{G−1} SE
/// ```
///
/// G is the number of clusters; each value weighs the same, so a large cluster weighs more.
/// G/(G−1) is the usual small-sample factor G/(G−1) · (n−1)/(n−k) for the k = 1 coefficient of a
/// regression on a constant. With each value a cluster of its own this is [`mean`].
/// Source: Cameron and Miller, *A practitioner's guide to cluster-robust inference*, Journal of
/// Human Resources 50 (2015).
///
/// With zero variance the interval has no width; one cluster is refused. `n` of the result is G.
///
/// # Shapes
/// - `values`: `[n]`
/// - `clusters`: `[n]`, the cluster of each value, of which at least 2 differ
///
/// # Errors
/// [`Error::Empty`], [`Error::NotFinite`] for the values; [`Error::Length`] or [`Error::TooFew`]
/// for the clusters; [`Error::Range`] for `confidence`.
///
/// # Examples
/// ```
/// // Two questions, each answered twice.
/// let score = rl_core::stats::cluster_mean(&[1.0, 1.0, 0.0, 0.0], &[7, 7, 9, 9], 0.95)?;
/// assert_eq!((score.value, score.std_error, score.n), (0.5, 0.5, 2));
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn cluster_mean<C: Ord>(
    values: &[f64],
    clusters: &[C],
    confidence: f64,
) -> Result<Estimate, Error> {
    check::values("values", values)?;
    check::length("clusters", clusters.len(), values.len())?;
    check::confidence(confidence)?;
    let center = moments::mean(values);
    let mut sums: BTreeMap<&C, f64> = BTreeMap::new();
    for (value, cluster) in values.iter().zip(clusters) {
        *sums.entry(cluster).or_default() += value - center;
    }
    check::at_least("clusters", sums.len(), 2)?;
    let g = sums.len() as f64;
    let meat: f64 = sums.values().map(|u| u * u).sum();
    let std_error = (g / (g - 1.0) * meat).sqrt() / values.len() as f64;
    Ok(student(center, std_error, sums.len(), confidence))
}

fn student(value: f64, std_error: f64, n: usize, confidence: f64) -> Estimate {
    let reach = t_critical(confidence, n as f64 - 1.0) * std_error;
    Estimate { value, interval: [value - reach, value + reach], n, std_error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_refused() {
        assert_eq!(
            mean(&[1.0], 0.95),
            Err(Error::TooFew { argument: "values", found: 1, expected: 2 })
        );
        assert_eq!(
            cluster_mean(&[1.0, 2.0], &["a", "a"], 0.95),
            Err(Error::TooFew { argument: "clusters", found: 1, expected: 2 })
        );
        assert_eq!(
            cluster_mean(&[1.0, 2.0], &[1], 0.95),
            Err(Error::Length { argument: "clusters", found: 1, expected: 2 })
        );
    }
}
