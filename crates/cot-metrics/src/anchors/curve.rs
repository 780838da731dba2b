//! Area over the curve of answers that stay the same (arXiv 2307.13702).

use std::collections::BTreeMap;

use rl_core::stats::{Proportion, cluster_mean, wilson};
use serde::{Deserialize, Serialize};

use crate::{Error, Measured, metrics::Settings};

/// Whether a chain's answer stays the same under an edit of growing reach.
///
/// `same[k]` belongs to step k of n, so there are n + 1: for early answering the answer after the first k
/// steps; for inserted mistakes after a mistake in step k + 1, with the chain untouched as the last;
/// for paraphrases the answer with all but the first k steps in other words; for filler tokens the
/// answer when all but the first k parts are filler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// The question: chains of one question hang together.
    pub question: String,
    /// Whether the answer is that after the whole chain, step by step.
    pub same: Vec<bool>,
}

/// How much the answer depends on the chain, between 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AreaOverCurve {
    /// The area over the curve, weighted by the share of chains of each length; its interval is
    /// robust to chains that share a question, and its n counts questions.
    pub area: Measured,
    /// The curves themselves, by number of steps.
    pub curves: Vec<Curve>,
    /// Chains without a step, which have no curve.
    pub undefined: usize,
}

/// Chains of one length.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curve {
    /// Number of steps.
    pub steps: usize,
    /// Number of chains.
    pub chains: usize,
    /// Share of answers that are the same, after each number of steps from 0, with Wilson's interval.
    pub same: Vec<Measured>,
}

/// The area over the curve of answers that stay the same.
///
/// ```text
/// area of a chain of n steps = ∫₀¹ (1 − same(x)) dx   by the trapezoid rule over x = k/n
/// AOC = Σ_n (chains of n steps / all chains) · mean area of chains of n steps
/// ```
///
/// The rule is linear in the answers, so this is the mean of all chains' own areas. 0 where answers never
/// change, near 1 where they do until the last step. Source: arXiv 2307.13702, §2.
///
/// # Errors
/// [`Error::Setting`] for `settings`.
///
/// # Examples
/// ```
/// use cot_metrics::{anchors::{Answers, area_over_curve}, metrics::Settings};
///
/// let answers = |question: &str, same: &[bool]| Answers { question: question.into(), same: same.into() };
/// let chains = [answers("a", &[false, false, true]), answers("b", &[true, true, true])];
/// let found = area_over_curve(&chains, &Settings::default())?;
/// // (1 + 0.5) / 2 for the first, 0 for the second.
/// assert_eq!(found.area.value(), Some(0.375));
/// # Ok::<(), cot_metrics::Error>(())
/// ```
pub fn area_over_curve(chains: &[Answers], settings: &Settings) -> Result<AreaOverCurve, Error> {
    settings.validate()?;
    let with_steps: Vec<&Answers> = chains.iter().filter(|chain| chain.same.len() > 1).collect();
    let areas: Vec<f64> = with_steps.iter().map(|chain| area(&chain.same)).collect();
    let questions: Vec<&str> = with_steps.iter().map(|chain| chain.question.as_str()).collect();
    let area = cluster_mean(&areas, &questions, settings.confidence);
    let mut by_steps: BTreeMap<usize, Vec<&Answers>> = BTreeMap::new();
    for chain in &with_steps {
        by_steps.entry(chain.same.len() - 1).or_default().push(chain);
    }
    let curve = |(steps, chains): (usize, Vec<&Answers>)| {
        let at = |step: usize| {
            let successes = chains.iter().filter(|chain| chain.same[step]).count();
            let proportion = Proportion { successes, trials: chains.len() };
            Measured::of(wilson(proportion, settings.confidence), chains.len())
        };
        Curve { steps, chains: chains.len(), same: (0..=steps).map(at).collect() }
    };
    Ok(AreaOverCurve {
        area: Measured::of(area, areas.len()),
        curves: by_steps.into_iter().map(curve).collect(),
        undefined: chains.len() - with_steps.len(),
    })
}

fn area(same: &[bool]) -> f64 {
    let lost = |same: bool| if same { 0.0 } else { 1.0 };
    let halves: f64 = same.windows(2).map(|two| f64::midpoint(lost(two[0]), lost(two[1]))).sum();
    halves / (same.len() as f64 - 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answers(question: usize, same: Vec<bool>) -> Answers {
        Answers { question: question.to_string(), same }
    }

    proptest! {
        #[test]
        fn the_mean_of_areas_is_the_area_of_mean_curves_weighted_by_length(
            chains in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 1..6), 2..20),
        ) {
            let chains: Vec<Answers> =
                chains.into_iter().enumerate().map(|(i, same)| answers(i, same)).collect();
            let found = area_over_curve(&chains, &Settings::default()).unwrap();
            let total: usize = found.curves.iter().map(|curve| curve.chains).sum();
            prop_assert_eq!(total + found.undefined, chains.len());
            if let Some(area) = found.area.value() {
                // As the paper words it: per length, of the mean curve, then weighted.
                let weighted: f64 = found.curves.iter().map(|curve| {
                    let y: Vec<f64> = curve.same.iter().map(|m| m.value().unwrap()).collect();
                    let under: f64 = y.windows(2).map(|two| 0.5 * (two[0] + two[1])).sum();
                    let over = 1.0 - under / curve.steps as f64;
                    over * curve.chains as f64 / total as f64
                }).sum();
                prop_assert!((area - weighted).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn closed_forms() {
        for steps in 1..8 {
            let mut last_only = vec![false; steps + 1];
            last_only[steps] = true;
            // All lost but half of the last part.
            let expected = 1.0 - 0.5 / steps as f64;
            assert!((area(&last_only) - expected).abs() < 1e-12);
            assert!(area(&vec![true; steps + 1]).abs() < 1e-12);
        }
    }

    #[test]
    fn chains_of_a_question_count_once() {
        let changed = || vec![false, true];
        let same = || vec![true, true];
        let twice: Vec<Answers> =
            (0..40).map(|i| answers(i / 2, if i % 4 < 2 { changed() } else { same() })).collect();
        let found = area_over_curve(&twice, &Settings::default()).unwrap();
        let area = found.area.estimate().unwrap();
        assert_eq!((area.n, area.value), (20, 0.25));
        let apart: Vec<Answers> =
            (0..40).map(|i| answers(i, if i % 4 < 2 { changed() } else { same() })).collect();
        let narrower = area_over_curve(&apart, &Settings::default()).unwrap();
        assert!(narrower.area.estimate().unwrap().std_error < area.std_error);
    }

    #[test]
    fn chains_without_steps_are_counted() {
        let found =
            area_over_curve(&[answers(0, vec![true]), answers(1, vec![])], &Settings::default());
        let found = found.unwrap();
        assert_eq!((found.undefined, found.area.value()), (2, None));
    }
}
