//! The mean of values in few clusters, by flipping the signs of clusters.

use std::collections::BTreeMap;

use rand_chacha::rand_core::Rng as _;

use super::{Bootstrap, Error, Estimate, check, moments};

/// Up to this many clusters all sign patterns are tried.
const EXACT_CLUSTERS: usize = 12;
/// Halvings of the way from a value that is rejected to one that is not.
const HALVINGS: usize = 50;

/// Mean of values in clusters with the interval of the wild cluster bootstrap.
///
/// ```text
/// U_g(μ) = Σ_{i in g} (x_i − μ),  t(U) = Σ_g U_g / √(G/(G−1) Σ_g (U_g − n_g ΣU/n)²)
/// p(μ) = share of sign patterns s with |t(s U(μ))| ≥ |t(U(μ))|
/// interval = {μ : p(μ) > 1 − confidence}
/// ```
///
/// The null is imposed on what is flipped, weights are Rademacher's, and the interval inverts the
/// test; up to 12 clusters all 2^G patterns are enumerated, otherwise `resamples` are drawn once and
/// used for every μ. Source: Cameron, Gelbach and Miller, *Bootstrap-based improvements for inference
/// with clustered errors*, Review of Economics and Statistics 90 (2008). Meant for fewer than some
/// twenty clusters, where Student's interval of [`cluster_mean`](super::cluster_mean) is too narrow
/// when clusters differ in size or spread. The standard error is that of `cluster_mean`.
///
/// With zero variance the interval has no width. So few clusters that even the most extreme pattern
/// is not rare enough (5 and fewer at 95 %) are refused.
///
/// # Shapes
/// - `values`: `[n]`
/// - `clusters`: `[n]`, the cluster of each value
///
/// # Errors
/// As for [`cluster_mean`](super::cluster_mean); [`Error::TooFew`] for too few clusters;
/// [`Error::Range`] for the settings.
///
/// # Examples
/// ```
/// use rl_core::{seed::Seed, stats::{Bootstrap, wild_cluster_mean}};
///
/// let settings = Bootstrap { resamples: 1000, confidence: 0.95, seed: Seed::new(1) };
/// let gap = wild_cluster_mean(&[0.1, 0.4, 0.2, 0.3, 0.6, 0.2], &[1, 2, 3, 4, 5, 6], settings)?;
/// // With six clusters only means that all of them lie above, or below, are left out.
/// assert!(gap.interval[0] > 0.09 && gap.interval[1] < 0.61);
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn wild_cluster_mean<C: Ord>(
    values: &[f64],
    clusters: &[C],
    settings: Bootstrap,
) -> Result<Estimate, Error> {
    let plain = super::cluster_mean(values, clusters, settings.confidence)?;
    if settings.resamples < 2 {
        let found = settings.resamples as f64;
        return Err(Error::Range { argument: "resamples", found, expected: "at least 2" });
    }
    let alpha = 1.0 - settings.confidence;
    let mut rarest = 1;
    while 2_f64.powi(1 - rarest) > alpha {
        rarest += 1;
    }
    check::at_least("clusters", plain.n, rarest as usize)?;
    if moments::negligible(plain.std_error, &[values]) {
        return Ok(Estimate { interval: [plain.value; 2], ..plain });
    }
    let mut groups: BTreeMap<&C, (f64, f64)> = BTreeMap::new();
    for (value, cluster) in values.iter().zip(clusters) {
        let group = groups.entry(cluster).or_default();
        group.0 += value - plain.value;
        group.1 += 1.0;
    }
    let groups: Vec<(f64, f64)> = groups.into_values().collect();
    let signs = signs(groups.len(), settings);
    let rejected = |mu: f64| p_value(&groups, mu - plain.value, &signs) <= alpha;
    let end = |direction: f64| {
        let mut reach = plain.std_error;
        // The statistic grows to its largest as μ goes away, so that some μ is rejected.
        while !rejected(plain.value + direction * reach) && reach < 1e6 * plain.std_error {
            reach *= 2.0;
        }
        let (mut inside, mut outside) = (0.0, reach);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(inside, outside);
            if rejected(plain.value + direction * middle) {
                outside = middle;
            } else {
                inside = middle;
            }
        }
        plain.value + direction * outside
    };
    Ok(Estimate { interval: [end(-1.0), end(1.0)], ..plain })
}

/// Sign patterns, one bit for each cluster; the last cluster keeps its sign where all are tried,
/// since turning all of them changes no statistic.
fn signs(clusters: usize, settings: Bootstrap) -> Vec<Vec<bool>> {
    if clusters <= EXACT_CLUSTERS {
        return (0..1_u32 << (clusters - 1))
            .map(|bits| (0..clusters).map(|g| bits >> g & 1 == 1).collect())
            .collect();
    }
    let mut rng = settings.seed.derive("wild bootstrap", 0).rng();
    (0..settings.resamples)
        .map(|_| (0..clusters).map(|_| rng.next_u32() & 1 == 1).collect())
        .collect()
}

/// p of the mean being `shift` above the sample's, given sums of distances to the latter and sizes.
fn p_value(groups: &[(f64, f64)], shift: f64, signs: &[Vec<bool>]) -> f64 {
    // Rounding of sums of a few values.
    const ROUNDING: f64 = 1e-9;
    let own = square(groups, shift, None);
    let extreme = signs
        .iter()
        .filter(|pattern| square(groups, shift, Some(pattern)) >= own * (1.0 - ROUNDING))
        .count();
    extreme as f64 / signs.len() as f64
}

/// t² of cluster sums, some of them turned round, but for a factor that all patterns share.
fn square(groups: &[(f64, f64)], shift: f64, pattern: Option<&Vec<bool>>) -> f64 {
    let sum_of = |g: usize| {
        let (sum, size) = groups[g];
        let own = sum - size * shift;
        if pattern.is_some_and(|p| p[g]) { -own } else { own }
    };
    let total: f64 = (0..groups.len()).map(sum_of).sum();
    let size: f64 = groups.iter().map(|(_, size)| size).sum();
    let center = total / size;
    let meat: f64 = (0..groups.len()).map(|g| (sum_of(g) - groups[g].1 * center).powi(2)).sum();
    if total == 0.0 { 0.0 } else { total * total / meat }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    const SETTINGS: Bootstrap = Bootstrap { resamples: 999, confidence: 0.95, seed: Seed::new(3) };

    /// With clusters of one the test is the one of permuted signs, whose p is known by enumeration.
    #[test]
    fn the_interval_inverts_the_test_of_signs() {
        let values = [0.3, -0.1, 0.5, 0.2, 0.4, 0.1, -0.2, 0.6];
        let clusters: Vec<usize> = (0..values.len()).collect();
        let found = wild_cluster_mean(&values, &clusters, SETTINGS).unwrap();
        let p = |mu: f64| {
            let shifted: Vec<f64> = values.iter().map(|v| v - mu).collect();
            super::super::permutation_paired(&shifted, &[0.0; 8], 1, Seed::new(1)).unwrap().p_value
        };
        for (end, direction) in found.interval.into_iter().zip([-1.0, 1.0]) {
            assert!(p(end + direction * 1e-6) <= 0.05, "{found:?}");
            assert!(p(end - direction * 1e-6) > 0.05, "{found:?}");
        }
    }

    #[test]
    fn few_clusters_are_refused_and_equal_values_have_no_width() {
        let five = [0, 1, 2, 3, 4];
        assert_eq!(
            wild_cluster_mean(&[0.0, 1.0, 0.5, 0.2, 0.1], &five, SETTINGS),
            Err(Error::TooFew { argument: "clusters", found: 5, expected: 6 })
        );
        let same = wild_cluster_mean(&[0.25; 6], &[0, 1, 2, 3, 4, 5], SETTINGS).unwrap();
        assert_eq!(same.interval.map(f64::to_bits), [0.25_f64.to_bits(); 2]);
    }

    /// Eight skewed clusters of unequal size: Student's interval misses more often.
    #[test]
    fn it_holds_where_there_are_few_clusters() {
        let mut rng = Seed::new(5).rng();
        let mut unit = || (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0;
        let mut normal = || (0..12).map(|_| unit()).sum::<f64>() - 6.0;
        let (trials, mut wild, mut student) = (400, 0, 0);
        for _ in 0..trials {
            let (mut values, mut clusters) = (Vec::new(), Vec::new());
            for g in 0..8_usize {
                let shift = normal();
                for _ in 0..=(g * g / 4) {
                    values.push(shift + 0.5 * normal());
                    clusters.push(g);
                }
            }
            let holds = |e: Estimate| usize::from(e.interval[0] <= 0.0 && 0.0 <= e.interval[1]);
            wild += holds(wild_cluster_mean(&values, &clusters, SETTINGS).unwrap());
            student += holds(super::super::cluster_mean(&values, &clusters, 0.95).unwrap());
        }
        assert!(wild > student && wild >= trials * 90 / 100, "{wild} {student} of {trials}");
    }
}
