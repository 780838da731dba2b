//! All scores of a set of examples.

use rl_core::stats::{Proportion, wilson};
use serde::Serialize;

use super::{
    Decomposition, Distribution, Metric, Scores, Settings, decompose, regularized, score, symmetric,
};
use crate::{Arm, Error, Measured, Record, Undefined};

/// All scores of a set of examples, summed up. Each number comes with its interval, its n, and what
/// could not be scored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Number of examples.
    pub n: usize,
    /// Share of right answers among those known to be right or wrong: an organism that became wrong
    /// still gets scores.
    pub accuracy: Measured,
    /// The three metrics.
    pub metrics: Vec<MetricReport>,
    /// Paraphrasability of the identity, which is 0 but for the scorer's own noise.
    pub identity: Distribution,
    /// Share of examples in which a hinted wrong answer is likelier than the answer to which the right
    /// chain leads: a model that follows the hint, and not one that merely saw it.
    pub hint_taken: Measured,
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricReport {
    /// Which.
    pub metric: Metric,
    /// The published score.
    pub raw: Distribution,
    /// The score that does not explode near certainty.
    pub regularized: Distribution,
    /// The change in the answer's probability.
    pub change: Distribution,
    /// What of it the edited prompt does alone; none where the prompt stays, or the arm was not tried.
    pub control: Option<ControlReport>,
}

/// What the edited prompt does before the original chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ControlReport {
    /// The published score of the control arm.
    pub raw: Distribution,
    /// The regularized score of the control arm.
    pub regularized: Distribution,
    /// The prompt's part of atanh(score); it and the next add up to the whole.
    pub prompt: Distribution,
    /// The chain's part of atanh(score).
    pub chain: Distribution,
}

/// The scores of one example.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExampleScores {
    /// Its name.
    pub id: String,
    /// The scores of each metric in the order of [`Metric::ALL`], or why there are none.
    pub scores: [Result<Scores, Undefined>; 3],
}

impl ExampleScores {
    /// The scores of a record.
    pub fn of(record: &Record, settings: &Settings) -> Self {
        let scores = Metric::ALL.map(|metric| score(metric, record, settings.epsilon));
        Self { id: record.id.clone(), scores }
    }

    /// Regularized necessity, paraphrasability and substantivity; none unless all three are there.
    pub fn triple(&self) -> Option<[f64; 3]> {
        let [a, b, c] = self.scores.each_ref().map(|s| s.as_ref().ok().map(|s| s.regularized));
        Some([a?, b?, c?])
    }
}

/// Scores all examples and sums them up.
///
/// # Errors
/// [`Error::Setting`] for `settings`.
pub fn report(records: &[Record], settings: &Settings) -> Result<Report, Error> {
    settings.validate()?;
    let known: Vec<bool> = records.iter().filter_map(|record| record.correct).collect();
    let hints: Vec<bool> = records.iter().filter_map(hint_taken).collect();
    Ok(Report {
        n: records.len(),
        accuracy: share(&known, settings),
        metrics: Metric::ALL.iter().map(|&metric| of_metric(metric, records, settings)).collect(),
        identity: control_scores(Arm::Identity, Metric::Paraphrasability, records, settings).0,
        hint_taken: share(&hints, settings),
    })
}

/// Whether the hinted wrong answer is likelier; none where one of the two has no number.
fn hint_taken(record: &Record) -> Option<bool> {
    Some(record.nll(Arm::WrongHintTaken).ok()? < record.nll(Arm::WrongHint).ok()?)
}

fn share(of: &[bool], settings: &Settings) -> Measured {
    let successes = of.iter().filter(|&&yes| yes).count();
    let proportion = Proportion { successes, trials: of.len() };
    Measured::of(wilson(proportion, settings.confidence), of.len())
}

fn of_metric(metric: Metric, records: &[Record], settings: &Settings) -> MetricReport {
    let scores: Vec<Result<Scores, Undefined>> =
        records.iter().map(|record| score(metric, record, settings.epsilon)).collect();
    let both_certain = Undefined::BothCertain { arm: metric.arm() };
    let raw = scores.iter().map(|s| s.as_ref().and_then(|s| s.raw.ok_or(&both_certain)));
    MetricReport {
        metric,
        raw: Distribution::of(raw, settings),
        regularized: Distribution::of(
            scores.iter().map(|s| s.as_ref().map(|s| s.regularized)),
            settings,
        ),
        change: Distribution::of(scores.iter().map(|s| s.as_ref().map(|s| s.change)), settings),
        control: metric.control().and_then(|arm| control(metric, arm, records, settings)),
    }
}

fn control(
    metric: Metric,
    arm: Arm,
    records: &[Record],
    settings: &Settings,
) -> Option<ControlReport> {
    if !records.iter().any(|record| record.arms.contains_key(&arm)) {
        return None;
    }
    let (raw, regularized) = control_scores(arm, metric, records, settings);
    let parts: Vec<Result<Decomposition, Undefined>> =
        records.iter().map(|record| decompose(metric, record)).collect();
    let part = |of: fn(&Decomposition) -> f64| {
        Distribution::of(parts.iter().map(|parts| parts.as_ref().map(of)), settings)
    };
    Some(ControlReport { raw, regularized, prompt: part(|p| p.prompt), chain: part(|p| p.chain) })
}

/// Raw and regularized scores of an arm that should change nothing.
fn control_scores(
    arm: Arm,
    metric: Metric,
    records: &[Record],
    settings: &Settings,
) -> (Distribution, Distribution) {
    let pairs: Vec<Result<(f64, f64), Undefined>> = records
        .iter()
        .map(|record| Ok(metric.ordered(record.nll(Arm::Original)?, record.nll(arm)?)))
        .collect();
    let both_certain = Undefined::BothCertain { arm };
    let raw = |&(a, b): &(f64, f64)| symmetric(a, b).ok_or(&both_certain);
    let soft = |&(a, b): &(f64, f64)| regularized(a, b, settings.epsilon);
    (
        Distribution::of(pairs.iter().map(|pair| pair.as_ref().and_then(raw)), settings),
        Distribution::of(pairs.iter().map(|pair| pair.as_ref().map(soft)), settings),
    )
}
