//! Scores of many examples.

use std::collections::BTreeMap;

use rl_core::stats::bootstrap_percentile;
use serde::Serialize;

use super::Settings;
use crate::{Measured, Undefined};

/// How scores of many examples are spread, with those that have none counted by reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Distribution {
    /// The mean, with a bootstrap interval over examples.
    pub mean: Measured,
    /// Quantiles; none without a score.
    pub quantiles: Option<Quantiles>,
    /// Examples without a score, by kind of reason ([`Undefined::kind`]).
    pub undefined: BTreeMap<&'static str, usize>,
}

/// Five numbers of a sample, interpolated linearly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// The least.
    pub min: f64,
    /// A quarter is below.
    pub lower: f64,
    /// Half is below.
    pub median: f64,
    /// Three quarters are below.
    pub upper: f64,
    /// The largest.
    pub max: f64,
}

impl Distribution {
    /// Sums up scores, of which some may be undefined.
    pub fn of<'a>(
        scores: impl IntoIterator<Item = Result<f64, &'a Undefined>>,
        settings: &Settings,
    ) -> Self {
        let mut values = Vec::new();
        let mut undefined = BTreeMap::new();
        for score in scores {
            match score {
                Ok(value) => values.push(value),
                Err(reason) => *undefined.entry(reason.kind()).or_insert(0) += 1,
            }
        }
        Self { mean: mean(&values, settings), quantiles: Quantiles::of(&mut values), undefined }
    }

    /// Examples with a score.
    pub fn n(&self) -> usize {
        self.mean.n()
    }

    /// Examples without a score.
    pub fn without(&self) -> usize {
        self.undefined.values().sum()
    }
}

/// Mean of examples with a bootstrap interval.
pub(crate) fn mean(values: &[f64], settings: &Settings) -> Measured {
    // The first value and the distance to it, so that the mean of equal values is that value.
    let mean = |values: &[f64]| {
        let first = values[0];
        first + values.iter().map(|value| value - first).sum::<f64>() / values.len() as f64
    };
    Measured::of(bootstrap_percentile(values, mean, settings.bootstrap("mean")), values.len())
}

impl Quantiles {
    fn of(values: &mut [f64]) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |level: f64| {
            let place = level * last as f64;
            let (low, share) = (place as usize, place.fract());
            let high = (low + 1).min(last);
            values[low] + share * (values[high] - values[low])
        };
        Some(Self { min: at(0.0), lower: at(0.25), median: at(0.5), upper: at(0.75), max: at(1.0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Arm;

    #[test]
    fn undefined_scores_are_counted_and_change_nothing() {
        let settings = Settings::default();
        let reasons = [
            Undefined::BothCertain { arm: Arm::NoThink },
            Undefined::Missing { arm: Arm::NoThink },
        ];
        let values = [3.0, 1.0, 2.0, 5.0];
        let plain = Distribution::of(values.map(Ok), &settings);
        let mixed = [Ok(3.0), Err(&reasons[0]), Ok(1.0), Ok(2.0), Err(&reasons[1]), Ok(5.0)];
        let mixed = Distribution::of(mixed.into_iter().chain([Err(&reasons[0])]), &settings);
        assert_eq!((&mixed.mean, &mixed.quantiles), (&plain.mean, &plain.quantiles));
        assert_eq!(mixed.undefined, [("both certain", 2), ("missing", 1)].into());
        assert_eq!((mixed.n(), mixed.without()), (4, 3));
        let quantiles = Quantiles { min: 1.0, lower: 1.75, median: 2.5, upper: 3.5, max: 5.0 };
        assert_eq!(plain.quantiles, Some(quantiles));
        assert_eq!(plain.mean.value(), Some(2.75));
    }

    #[test]
    fn without_examples_there_is_a_reason() {
        let none = Distribution::of([], &Settings::default());
        assert_eq!((none.mean.value(), none.quantiles, none.n()), (None, None, 0));
        let one = Distribution::of([Ok(0.5)], &Settings::default());
        assert_eq!((one.mean.value(), one.n()), (None, 1));
        assert_eq!(one.quantiles.map(|q| q.median), Some(0.5));
    }
}
