//! How far what is done lies from what is said.

use rand_chacha::ChaCha8Rng;
use rl_core::{
    seed::Seed,
    stats::{Decision, Equivalence, equivalence},
};
use serde::Serialize;

use super::{
    Measured, Settings,
    split::{halves, shuffle},
    unit::{Reply, Unit, mean},
};

/// Gaps between a stated and an enacted arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gap {
    /// `mean (ā − q̄)` over units, in `[−1, 1]`: above 0 it acts worse than it says.
    pub signed: Measured,
    /// Whether the signed gap is there, or is too small to matter; none without an interval.
    pub equivalence: Option<Equivalence>,
    /// `mean |ā − q̄|`.
    pub absolute: Distance,
    /// `mean ½ Σ_o |p_Q(o) − p_A(o)|`: the total variation between distributions of outcomes.
    pub total_variation: Distance,
    /// Mean Jensen–Shannon divergence in bits, from 0 to 1; not corrected for noise. Smoothing is not
    /// needed: unlike Kullback–Leibler it is finite where a class is empty.
    pub jensen_shannon_bits: Option<f64>,
    /// Units of which only one arm, or none, came to something: left out.
    pub unpaired: usize,
}

/// A distance, which noise can only make larger.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distance {
    /// As it is.
    pub raw: Option<f64>,
    /// Without what noise adds: the distance of halves of both arms, minus that of halves of one arm,
    /// all of the same size. Its mean is 0 where both arms are the same, and it is the distance itself
    /// where answers do not vary; in between it errs on the small side.
    pub corrected: Option<f64>,
    /// Units with two answers in either arm, on which the correction rests.
    pub corrected_units: usize,
    /// How often answers that change arms at random lie as far apart: a permutation test within units.
    pub p_value: Option<f64>,
}

/// Signed gap: of the units that have both arms, in clusters of items.
pub fn signed_gap(units: &[Unit], settings: &Settings) -> Measured {
    let (mut values, mut clusters) = (Vec::new(), Vec::new());
    for unit in units.iter().filter(|u| u.is_paired()) {
        values.push(unit.difference());
        clusters.push((unit.scenario.as_str(), unit.cluster.as_str()));
    }
    settings.mean(&values, &clusters)
}

/// Whether a gap is there, or is too small to matter; none without an interval.
pub(super) fn decide(signed: &Measured, settings: &Settings) -> Option<Equivalence> {
    let estimate = signed.estimate()?;
    equivalence(estimate, settings.margin, 1.0 - settings.confidence).ok()
}

/// All gaps of some units.
///
/// The unit of the analysis is the pair of arms on one item as one persona; clusters are items.
pub fn gap(units: &[Unit], settings: &Settings) -> Gap {
    let paired: Vec<&Unit> = units.iter().filter(|u| u.is_paired()).collect();
    let signed = signed_gap(units, settings);
    let decided = decide(&signed, settings);
    let seed = Seed::new(settings.seed);
    let bits = paired.iter().map(|u| jensen_shannon(&u.stated, &u.enacted)).sum::<f64>();
    Gap {
        signed,
        equivalence: decided,
        absolute: distance(&paired, mean_distance, settings, seed.derive("absolute", 0)),
        total_variation: distance(&paired, variation, settings, seed.derive("variation", 0)),
        jensen_shannon_bits: (!paired.is_empty()).then(|| bits / paired.len() as f64),
        unpaired: units.len() - paired.len(),
    }
}

impl Gap {
    /// In a word.
    pub fn decision(&self) -> Decision {
        self.equivalence.map_or(Decision::Undecided, |e| e.decision)
    }
}

type Measure = fn(&[Reply], &[Reply]) -> f64;

fn mean_distance(a: &[Reply], b: &[Reply]) -> f64 {
    (mean(a) - mean(b)).abs()
}

/// Total variation between the distributions of outcomes.
pub(super) fn variation(a: &[Reply], b: &[Reply]) -> f64 {
    0.5 * shares(a, b).iter().map(|[p, q]| (p - q).abs()).sum::<f64>()
}

/// Jensen–Shannon divergence in bits.
pub(super) fn jensen_shannon(a: &[Reply], b: &[Reply]) -> f64 {
    let term = |p: f64, m: f64| if p > 0.0 { p * (p / m).log2() } else { 0.0 };
    let each = |&[p, q]: &[f64; 2]| {
        let m = f64::midpoint(p, q);
        0.5 * (term(p, m) + term(q, m))
    };
    shares(a, b).iter().map(each).sum::<f64>().clamp(0.0, 1.0)
}

/// Share of every class among both.
fn shares(a: &[Reply], b: &[Reply]) -> Vec<[f64; 2]> {
    let classes = a.iter().chain(b).map(|r| r.outcome + 1).max().unwrap_or(0);
    let mut out = vec![[0.0; 2]; classes];
    for (side, replies) in [a, b].into_iter().enumerate() {
        for reply in replies {
            out[reply.outcome][side] += 1.0 / replies.len() as f64;
        }
    }
    out
}

fn distance(units: &[&Unit], measure: Measure, settings: &Settings, seed: Seed) -> Distance {
    if units.is_empty() {
        return Distance { raw: None, corrected: None, corrected_units: 0, p_value: None };
    }
    let total: f64 = units.iter().map(|u| measure(&u.stated, &u.enacted)).sum();
    let mut rng = seed.derive("splits", 0).rng();
    let corrected: Vec<f64> =
        units.iter().filter_map(|u| without_noise(u, measure, settings.splits, &mut rng)).collect();
    Distance {
        raw: Some(total / units.len() as f64),
        corrected: (!corrected.is_empty())
            .then(|| corrected.iter().sum::<f64>() / corrected.len() as f64),
        corrected_units: corrected.len(),
        p_value: Some(permuted(units, measure, total, settings.resamples, seed)),
    }
}

/// Distance between halves of both arms, minus the mean distance between halves of one.
///
/// All halves are of the size of the smaller arm's, so that where both arms are the same all three
/// distances have the same expectation, whatever the measure and however few answers there are.
fn without_noise(
    unit: &Unit,
    measure: Measure,
    splits: usize,
    rng: &mut ChaCha8Rng,
) -> Option<f64> {
    let size = unit.stated.len().min(unit.enacted.len()) / 2;
    if size == 0 {
        return None;
    }
    let mut sum = 0.0;
    let (mut stated, mut enacted) = (unit.stated.clone(), unit.enacted.clone());
    for _ in 0..splits {
        let [q, q_other] = halves(&mut stated, size, rng);
        let [a, a_other] = halves(&mut enacted, size, rng);
        sum += measure(q, a) - 0.5 * (measure(q, q_other) + measure(a, a_other));
    }
    Some(sum / splits as f64)
}

/// Share of random reassignments within units that lie at least as far apart, the data included.
fn permuted(units: &[&Unit], measure: Measure, total: f64, resamples: usize, seed: Seed) -> f64 {
    // Rounding of sums of some thousand distances.
    const ROUNDING: f64 = 1e-9;
    let mut rng = seed.derive("permutation", 0).rng();
    let mut pools: Vec<(Vec<Reply>, usize)> = units
        .iter()
        .map(|u| ([u.stated.as_slice(), u.enacted.as_slice()].concat(), u.stated.len()))
        .collect();
    let mut extreme = 0;
    for _ in 0..resamples {
        let mut again = 0.0;
        for (pool, stated) in &mut pools {
            shuffle(pool, &mut rng);
            again += measure(&pool[..*stated], &pool[*stated..]);
        }
        extreme += usize::from(again >= total - ROUNDING);
    }
    (1 + extreme) as f64 / (1 + resamples) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(of: &[(usize, f64)]) -> Vec<Reply> {
        of.iter().map(|&(outcome, value)| Reply { outcome, value }).collect()
    }

    fn unit(name: usize, stated: &[(usize, f64)], enacted: &[(usize, f64)]) -> Unit {
        Unit {
            scenario: "s".to_owned(),
            cluster: name.to_string(),
            item: name.to_string(),
            stated: replies(stated),
            enacted: replies(enacted),
            ..Unit::default()
        }
    }

    #[test]
    fn distances_between_distributions() {
        let (a, b) = (replies(&[(0, 0.0), (0, 0.0)]), replies(&[(0, 0.0), (2, 1.0)]));
        approx::assert_relative_eq!(variation(&a, &b), 0.5);
        // H(3/4, 1/4) − H(1/2)/2 = 0.811278 − 0.5.
        approx::assert_abs_diff_eq!(jensen_shannon(&a, &b), 0.311_278, epsilon = 1e-6);
        let c = replies(&[(1, 0.5)]);
        approx::assert_relative_eq!(variation(&a, &c), 1.0);
        approx::assert_relative_eq!(jensen_shannon(&a, &c), 1.0);
        approx::assert_relative_eq!(jensen_shannon(&b, &b), 0.0);
    }

    #[test]
    fn signs_may_cancel_where_distances_do_not() {
        let units =
            [unit(0, &[(0, 0.0); 2], &[(2, 1.0); 2]), unit(1, &[(2, 1.0); 2], &[(0, 0.0); 2])];
        let found = gap(&units, &Settings::default());
        assert_eq!(found.signed.value, Some(0.0));
        assert_eq!((found.absolute.raw, found.absolute.corrected), (Some(1.0), Some(1.0)));
        assert_eq!(found.total_variation.corrected, Some(1.0));
        // Of the six ways to deal each unit's answers two are as far apart: 1/9 for both.
        let p = found.absolute.p_value.unwrap();
        assert!((p - 1.0 / 9.0).abs() < 0.03, "{p}");
    }

    #[test]
    fn units_without_a_partner_are_left_out_and_counted() {
        let units = [unit(0, &[], &[(2, 1.0)]), unit(1, &[(0, 0.0)], &[(0, 0.0)])];
        let found = gap(&units, &Settings::default());
        assert_eq!((found.unpaired, found.signed.value), (1, Some(0.0)));
        // One answer in an arm cannot be split.
        assert_eq!((found.absolute.corrected, found.absolute.corrected_units), (None, 0));
        assert!(found.equivalence.is_none() && found.decision() == Decision::Undecided);
        assert_eq!(gap(&[], &Settings::default()).absolute.raw, None);
    }

    #[test]
    fn what_noise_alone_makes_is_taken_off() {
        // Halves of one answer: a distance of 1/2 on average between the arms, 0 within the one and 1
        // within the other.
        let units: Vec<Unit> =
            (0..20).map(|i| unit(i, &[(0, 0.0); 6], &[(0, 0.0), (2, 1.0)])).collect();
        let found = gap(&units, &Settings::default());
        for distance in [found.absolute, found.total_variation] {
            assert_eq!(distance.corrected_units, 20);
            assert!(distance.corrected.unwrap().abs() < 0.1, "{distance:?}");
        }
    }
}
