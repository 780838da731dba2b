//! What holds of `stats` for any numbers.

use proptest::prelude::*;
use rl_core::{
    seed::Seed,
    stats::{self, Bootstrap, Estimate, Proportion},
};

/// Rounding of sums of tens of values, relative to the larger of them.
const TOLERANCE: f64 = 1e-9;

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(1.0)
}

fn alike(a: Estimate, b: Estimate) -> bool {
    close(a.value, b.value)
        && close(a.interval[0], b.interval[0])
        && close(a.interval[1], b.interval[1])
        && close(a.std_error, b.std_error)
        && a.n == b.n
}

fn values(n: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-100.0..100.0, n)
}

/// Pairs, on a coarse grid so that there are ties.
fn pairs(n: std::ops::Range<usize>) -> impl Strategy<Value = Vec<(f64, f64)>> {
    let value = (-12..12_i32).prop_map(|x| f64::from(x) * 0.3);
    prop::collection::vec((value.clone(), value), n)
}

fn settings(seed: u64) -> Bootstrap {
    Bootstrap { resamples: 50, confidence: 0.9, seed: Seed::new(seed) }
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

proptest! {
    #[test]
    fn clusters_of_one_are_no_clusters(values in values(2..40), confidence in 0.5..0.999) {
        let clusters: Vec<usize> = (0..values.len()).rev().collect();
        let clustered = stats::cluster_mean(&values, &clusters, confidence)?;
        prop_assert!(alike(clustered, stats::mean(&values, confidence)?));
    }

    #[test]
    fn clusters_of_one_size_are_their_means(values in values(2..20), confidence in 0.5..0.999) {
        // Around each value three that average to it.
        let (spread, clusters): (Vec<f64>, Vec<usize>) = values
            .iter()
            .enumerate()
            .flat_map(|(i, v)| [(v - 1.0, i), (*v, i), (v + 1.0, i)])
            .unzip();
        let clustered = stats::cluster_mean(&spread, &clusters, confidence)?;
        prop_assert!(alike(clustered, stats::mean(&values, confidence)?));
    }

    #[test]
    fn wider_with_confidence(values in values(2..20), low in 0.05..0.5, more in 0.01..0.49) {
        let [narrow, wide] = [low, low + more].map(|c| stats::mean(&values, c).unwrap().interval);
        prop_assert!(wide[0] <= narrow[0] && narrow[1] <= wide[1]);
    }

    #[test]
    fn constants_have_no_width(value in -1e6..1e6, n in 2..30_usize, seed: u64) {
        let values = vec![value; n];
        let settings = settings(seed);
        for estimate in [
            stats::mean(&values, 0.95)?,
            stats::cluster_mean(&values, &(0..n).collect::<Vec<_>>(), 0.95)?,
            stats::bootstrap_percentile(&values, |v| v[0], settings)?,
            stats::bootstrap_bca(&values, |v| v[0], settings)?,
        ] {
            prop_assert_eq!(estimate, Estimate { value, interval: [value; 2], n, std_error: 0.0 });
        }
    }

    #[test]
    fn a_mean_resampled_stays_within_the_values(values in values(3..20), seed: u64) {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min) - TOLERANCE;
        let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) + TOLERANCE;
        let percentile = stats::bootstrap_percentile(&values, average, settings(seed))?;
        for [low, high] in [percentile.interval]
            .into_iter()
            .chain(stats::bootstrap_bca(&values, average, settings(seed)).map(|e| e.interval))
        {
            prop_assert!(least <= low && low <= high && high <= greatest);
        }
    }

    #[test]
    fn indices_resample_as_values_do(values in values(2..20), seed: u64) {
        let indices: Vec<usize> = (0..values.len()).collect();
        let at = |at: &[usize]| average(&at.iter().map(|&i| values[i]).collect::<Vec<_>>());
        prop_assert_eq!(
            stats::bootstrap_percentile(&values, average, settings(seed))?,
            stats::bootstrap_percentile(&indices, at, settings(seed))?
        );
    }

    #[test]
    fn wilson_stays_within_0_and_1(trials in 1..5000_usize, part in 0.0..=1.0, c in 0.01..0.9999) {
        let successes = (part * trials as f64) as usize;
        let of = |successes| stats::wilson(Proportion { successes, trials }, c);
        let (found, other) = (of(successes)?, of(trials - successes)?);
        let [low, high] = found.interval;
        prop_assert!(0.0 <= low && low <= found.value && found.value <= high && high <= 1.0);
        prop_assert!(close(low, 1.0 - other.interval[1]) && close(high, 1.0 - other.interval[0]));
    }

    #[test]
    fn newcombe_turns_around(
        [m, n] in [1..500_usize, 1..500_usize], [p, q] in [0.0..=1.0, 0.0..=1.0], c in 0.01..0.9999
    ) {
        let a = Proportion { successes: (p * m as f64) as usize, trials: m };
        let b = Proportion { successes: (q * n as f64) as usize, trials: n };
        let (there, back) = (stats::newcombe(a, b, c)?, stats::newcombe(b, a, c)?);
        prop_assert!(close(there.interval[0], -back.interval[1]));
        prop_assert!(-1.0 - TOLERANCE <= there.interval[0] && there.interval[1] <= 1.0 + TOLERANCE);
        prop_assert!(there.interval[0] <= there.value && there.value <= there.interval[1]);
    }

    #[test]
    fn tests_of_pairs_ignore_order_and_direction(
        (pairs, shuffled) in pairs(2..16)
            .prop_flat_map(|p| (Just(p.clone()), Just(p).prop_shuffle())),
    ) {
        let seed = Seed::new(0);
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let (c, d): (Vec<f64>, Vec<f64>) = shuffled.into_iter().unzip();
        let exact = stats::permutation_paired(&a, &b, 1, seed)?.p_value;
        prop_assert!(close(exact, stats::permutation_paired(&c, &d, 1, seed)?.p_value));
        prop_assert!(close(exact, stats::permutation_paired(&b, &a, 1, seed)?.p_value));
        prop_assert!(exact > 0.0 && exact <= 1.0);
        let ranked = stats::wilcoxon_signed_rank(&a, &b)?;
        prop_assert_eq!(ranked, stats::wilcoxon_signed_rank(&c, &d)?);
        prop_assert_eq!(ranked, stats::wilcoxon_signed_rank(&b, &a)?);
        if let Ok(test) = stats::paired_t(&a, &b) {
            prop_assert!(close(test.p_value, stats::paired_t(&c, &d)?.p_value));
            prop_assert!(close(test.statistic, -stats::paired_t(&b, &a)?.statistic));
        }
    }

    #[test]
    fn mcnemar_is_the_sign_flip_of_ones_and_zeros(
        pairs in prop::collection::vec(any::<(bool, bool)>(), 1..16)
    ) {
        let (a, b): (Vec<bool>, Vec<bool>) = pairs.into_iter().unzip();
        let number = |&bit: &bool| f64::from(u8::from(bit));
        let [x, y] = [&a, &b].map(|bits| bits.iter().map(number).collect::<Vec<_>>());
        let flipped = stats::permutation_paired(&x, &y, 1, Seed::new(0))?;
        prop_assert!(close(stats::mcnemar(&a, &b)?.p_value, flipped.p_value));
    }

    #[test]
    fn effects_have_no_unit(
        a in values(2..20), b in values(2..20), scale in 0.01..100.0, shift in -10.0..10.0
    ) {
        let moved = |v: &[f64]| v.iter().map(|x| scale * x + shift).collect::<Vec<_>>();
        if let Ok(d) = stats::cohen_d(&a, &b, 0.95) && d.value.abs() < 100.0 {
            prop_assert!(alike(d, stats::cohen_d(&moved(&a), &moved(&b), 0.95)?));
            let g = stats::hedges_g(&a, &b, 0.95)?;
            prop_assert!(g.value.abs() <= d.value.abs() && g.value * d.value >= 0.0);
        }
    }

    #[test]
    fn a_paired_effect_is_t_over_root_n(pairs in pairs(2..20)) {
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        if let Ok(d) = stats::cohen_dz(&a, &b, 0.95) {
            let t = stats::paired_t(&a, &b)?.statistic;
            prop_assert!(close(d.value * (a.len() as f64).sqrt(), t));
        }
    }

    #[test]
    fn ranks_only_see_order(
        noisy in prop::collection::vec((-100.0..100.0, -50.0..50.0), 4..30)
    ) {
        let (x, y): (Vec<f64>, Vec<f64>) = noisy.into_iter().map(|(x, e)| (x, x + e)).unzip();
        let cubed: Vec<f64> = x.iter().map(|x| x.powi(3)).collect();
        if let Ok(r) = stats::spearman(&x, &y, 0.95) {
            prop_assert!(alike(r, stats::spearman(&cubed, &y, 0.95)?));
            prop_assert!(alike(r, stats::spearman(&y, &x, 0.95)?));
        }
        if let Ok(r) = stats::pearson(&x, &y, 0.95) {
            prop_assert!(r.interval[0] <= r.value && r.value <= r.interval[1]);
            prop_assert!((-1.0..=1.0).contains(&r.interval[0]) && r.interval[1] <= 1.0);
        }
    }

    #[test]
    fn holm_lies_between_none_and_bonferroni(p in prop::collection::vec(0.0..=1.0, 1..20)) {
        let corrected = stats::holm(&p)?;
        for (&before, &after) in p.iter().zip(&corrected) {
            prop_assert!(before <= after && after <= (before * p.len() as f64).min(1.0));
        }
        for (i, j) in (0..p.len()).flat_map(|i| (0..p.len()).map(move |j| (i, j))) {
            prop_assert!(p[i] > p[j] || corrected[i] <= corrected[j]);
        }
    }

    #[test]
    fn pass_at_k_is_a_mean_at_1_and_grows(n in 1..200_usize, c in 0.0..=1.0, k in 0.0..1.0) {
        let correct = (c * n as f64) as usize;
        prop_assert!(close(stats::pass_at_k(n, correct, 1)?, correct as f64 / n as f64));
        let k = 1 + (k * (n - 1) as f64) as usize;
        let value = stats::pass_at_k(n, correct, k)?;
        prop_assert!((0.0..=1.0).contains(&value));
        if k < n {
            prop_assert!(value <= stats::pass_at_k(n, correct, k + 1)? + TOLERANCE);
        }
    }
}
