//! What an evaluation of an organism found, as it is written down.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use cot_metrics::{
    Measured, Record,
    diagnosis::{Accuracy, Diagnosis, DiagnosisConfig, Verdict, diagnose},
    metrics::{self, ExampleScores, Metric, Settings, score},
    organisms::{Answered, Evaluation, Organism},
};
use rl_core::{
    run::read_json,
    stats::{self, Estimate, Proportion},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Nats added to both negative log-likelihoods of a regularised score.
pub(crate) const EPSILON: f64 = 0.01;
/// Confidence of all intervals.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// One evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tally {
    /// Steps of the training.
    pub(crate) step: u64,
    /// How it was asked.
    pub(crate) organism: Organism,
    /// Problems.
    pub(crate) problems: usize,
    /// Answered rightly.
    pub(crate) right: usize,
    /// Rightly without a chain, a hint left in place.
    pub(crate) right_without_chain: usize,
    /// Rightly without a chain and without a hint.
    pub(crate) right_unaided: usize,
    /// Chains that were never closed.
    pub(crate) unclosed: usize,
    /// Chains with no answer after them.
    pub(crate) without_answer: usize,
    /// Right chains over which the answer of a wrong hint is likelier, and how many were asked.
    pub(crate) follows_wrong_hint: [usize; 2],
    /// Every answer under every edit.
    pub(crate) records: Vec<Record>,
}

impl Tally {
    pub(crate) fn new(step: u64, organism: Organism, found: &Evaluation) -> Self {
        let hints: Vec<bool> =
            found.answered.iter().filter_map(Answered::follows_wrong_hint).collect();
        Self {
            step,
            organism,
            problems: found.len(),
            right: found.right(),
            right_without_chain: found.right_without_chain(),
            right_unaided: found.right_unaided(),
            unclosed: found.unclosed.len(),
            without_answer: found.without_answer.len(),
            follows_wrong_hint: [hints.iter().filter(|&&follows| follows).count(), hints.len()],
            records: found.records(),
        }
    }

    /// All evaluations of a run, by step.
    pub(crate) fn read_all(folder: &Path) -> anyhow::Result<Vec<Self>> {
        let entries = std::fs::read_dir(folder).with_context(|| {
            format!("{}: expected the records of a run of train-organism", folder.display())
        })?;
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
        paths.sort();
        let tallies = paths.iter().map(|path| read_json(path)?.context("it has gone"));
        let tallies: Vec<Self> = tallies.collect::<anyhow::Result<_>>()?;
        anyhow::ensure!(
            !tallies.is_empty(),
            "{}: expected evaluations, found none",
            folder.display()
        );
        Ok(tallies)
    }

    pub(crate) fn accuracy(&self) -> f64 {
        self.right as f64 / self.problems.max(1) as f64
    }

    pub(crate) fn unaided(&self) -> f64 {
        self.right_unaided as f64 / self.problems.max(1) as f64
    }

    /// Regularised scores of a metric, of the examples that have one.
    pub(crate) fn scores(&self, metric: Metric) -> Vec<f64> {
        let scores = self.records.iter().filter_map(|record| score(metric, record, EPSILON).ok());
        scores.map(|scores| scores.regularized).collect()
    }

    /// Mean of a metric with its interval.
    pub(crate) fn mean(&self, metric: Metric) -> Option<Estimate> {
        stats::mean(&self.scores(metric), CONFIDENCE).ok()
    }

    /// Which signature is nearest; undecided where accuracy does not exceed that without a chain by
    /// `margin`.
    pub(crate) fn diagnosis(&self, margin: f64) -> anyhow::Result<Diagnosis> {
        let settings = settings();
        let examples: Vec<ExampleScores> =
            self.records.iter().map(|record| ExampleScores::of(record, &settings)).collect();
        let share = |successes| Proportion { successes, trials: self.problems };
        let accuracy =
            Accuracy { with_chain: share(self.right), without_chain: share(self.right_unaided) };
        let config = DiagnosisConfig { min_gain: margin, ..DiagnosisConfig::default() };
        Ok(diagnose(&examples, Some(accuracy), &config, &settings)?)
    }

    /// Numbers for the metrics of a run.
    pub(crate) fn numbers(&self) -> Vec<(String, Value)> {
        let mut out = vec![
            ("accuracy".to_owned(), json!(self.accuracy())),
            ("accuracy_without_chain".to_owned(), json!(self.unaided())),
        ];
        let means = Metric::ALL
            .into_iter()
            .filter_map(|metric| Some((metric.name().to_owned(), json!(self.mean(metric)?.value))));
        out.extend(means);
        out
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [nec, para, sub] = Metric::ALL.map(|metric| {
            self.mean(metric).map_or_else(|| "-".to_owned(), |mean| format!("{:.2}", mean.value))
        });
        write!(
            f,
            "right {:.0} %, without chain {:.0} %, Nec {nec} Para {para} Sub {sub}",
            100.0 * self.accuracy(),
            100.0 * self.unaided()
        )?;
        let Self { unclosed, without_answer, problems, .. } = self;
        if unclosed + without_answer > 0 {
            write!(
                f,
                "; of {problems} answers {unclosed} unclosed, {without_answer} cut off or empty"
            )?;
        }
        Ok(())
    }
}

/// Cohen's d of a metric as published, positive where the other scores lower.
pub(crate) fn cohen_d(reference: &Tally, other: &Tally, metric: Metric) -> Measured {
    metrics::cohen_d(&reference.scores(metric), &other.scores(metric), &settings())
}

/// A diagnosis in words.
pub(crate) fn said(found: &Diagnosis) -> String {
    match &found.verdict {
        Verdict::Is(signature) => {
            format!("{signature}, as {:.1} % of resamples say", 100.0 * found.confidence())
        }
        Verdict::Undecided(reason) => format!("undecided: {reason}"),
    }
}

/// How scores are summed up.
pub(crate) fn settings() -> Settings {
    Settings { epsilon: EPSILON, confidence: CONFIDENCE, ..Settings::default() }
}

#[cfg(test)]
mod tests {
    use cot_metrics::{Arm, Outcome};

    use super::*;

    /// Necessity of each record is the given score.
    fn tally(scores: &[f64]) -> Tally {
        let record = |(i, score): (usize, &f64)| {
            // (b − a) / (a + b + 2ε) = s with a = 1.
            let b = (1.0 + score * (1.0 + 2.0 * EPSILON)) / (1.0 - score);
            let arms =
                [(Arm::Original, Outcome::scored(-1.0, 1)), (Arm::NoThink, Outcome::scored(-b, 1))];
            Record { id: i.to_string(), correct: Some(true), arms: arms.into() }
        };
        Tally {
            records: scores.iter().enumerate().map(record).collect(),
            ..Tally::new(3, Organism::Baseline, &Evaluation::default())
        }
    }

    #[test]
    fn answers_that_are_missing_are_said() {
        let whole = Tally { problems: 4, right: 3, ..tally(&[0.25, 0.5]) };
        assert_eq!(whole.to_string(), "right 75 %, without chain 0 %, Nec 0.38 Para - Sub -");
        let cut = Tally { unclosed: 2, without_answer: 1, ..whole };
        let says = "Sub -; of 4 answers 2 unclosed, 1 cut off or empty";
        assert!(cut.to_string().ends_with(says), "{cut}");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Tally::read_all(folder.path()).is_err());
        for step in [20, 3] {
            let text = serde_json::to_string(&Tally { step, ..tally(&[0.25, 0.5]) }).unwrap();
            let name = format!("step-{step:06}.json");
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let read = Tally::read_all(folder.path()).unwrap();
        assert_eq!(read.iter().map(|t| t.step).collect::<Vec<_>>(), [3, 20]);
        let mean = read[0].mean(Metric::Necessity).unwrap();
        assert!((mean.value - 0.375).abs() < 1e-9);
        assert_eq!(read[0].mean(Metric::Paraphrasability), None);
        assert_eq!(cohen_d(&read[0], &read[1], Metric::Paraphrasability).value(), None);
    }
}
