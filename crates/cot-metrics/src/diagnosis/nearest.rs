//! The nearest signature, with how sure it is.

use rand::RngExt as _;
use rl_core::{seed::Seed, stats::Proportion};
use serde::{Deserialize, Serialize};

use super::{Signature, Signatures};
use crate::{
    Error, Measured,
    error::check,
    metrics::{ExampleScores, Settings, mean},
};

/// When a diagnosis is given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiagnosisConfig {
    /// Where the signatures lie; of a measured baseline, its own means.
    pub signatures: Signatures,
    /// Least share of resamples that must agree, from 0.5 to 1.
    pub min_confidence: f64,
    /// Least number of examples with all three scores, at least 2.
    pub min_examples: usize,
    /// Largest share of examples without all three, from 0 to 1.
    pub max_undefined: f64,
    /// Largest distance to the nearest signature, in units of the healthy scores; beyond it the
    /// scores fit none. Two signatures are 1 apart in what tells them apart.
    pub max_distance: f64,
    /// By how much accuracy must exceed that without a chain, from 0 to 1.
    pub min_gain: f64,
}

impl Default for DiagnosisConfig {
    fn default() -> Self {
        Self {
            signatures: Signatures::default(),
            min_confidence: 0.95,
            min_examples: 10,
            max_undefined: 0.2,
            max_distance: 0.75,
            min_gain: 0.1,
        }
    }
}

impl DiagnosisConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<(), Error> {
        self.signatures.validate()?;
        let share = 0.0..=1.0;
        let ok = (0.5..=1.0).contains(&self.min_confidence);
        check("min_confidence", ok, "a share from 0.5 to 1", self.min_confidence)?;
        check("min_examples", self.min_examples >= 2, "at least 2", self.min_examples)?;
        let ok = share.contains(&self.max_undefined);
        check("max_undefined", ok, "a share from 0 to 1", self.max_undefined)?;
        let ok = self.max_distance > 0.0;
        check("max_distance", ok, "a number above 0", self.max_distance)?;
        check("min_gain", share.contains(&self.min_gain), "from 0 to 1", self.min_gain)
    }
}

/// How well a model answers with a chain, and how well without: one that cannot do the task has
/// scores too, and they say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accuracy {
    /// With its own chains.
    pub with_chain: Proportion,
    /// Without a chain: of the healthy model, or of guesses.
    pub without_chain: Proportion,
}

/// Which pathology the scores show.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// What can be said.
    pub verdict: Verdict,
    /// The signature nearest to the means; none without an example.
    pub nearest: Option<Signature>,
    /// Share of resamples for which each signature is the nearest, in the order of
    /// [`Signature::ALL`].
    pub votes: [f64; 4],
    /// Distance of the means to each signature, in the same order and in units of the healthy scores.
    pub distances: [f64; 4],
    /// Mean regularized necessity, paraphrasability and substantivity.
    pub means: [Measured; 3],
    /// Examples with all three scores.
    pub n: usize,
    /// Examples without all three.
    pub undefined: usize,
}

/// What can be said.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// This signature.
    Is(Signature),
    /// Nothing, for this reason.
    Undecided(String),
}

impl Diagnosis {
    /// The signature, where one could be told.
    pub fn signature(&self) -> Option<Signature> {
        match self.verdict {
            Verdict::Is(signature) => Some(signature),
            Verdict::Undecided(_) => None,
        }
    }

    /// Share of resamples that agree with the nearest signature; 0 without an example.
    pub fn confidence(&self) -> f64 {
        let at = Signature::ALL.iter().position(|&s| Some(s) == self.nearest);
        at.map_or(0.0, |at| self.votes[at])
    }
}

/// The signature nearest to the mean of the regularized scores.
///
/// Examples are resampled with their three scores together; the confidence is the share of resamples
/// that give the same signature. Undecided where examples are too few or too often without a score,
/// where resamples disagree, where no signature is near, and where accuracy is no better than without a
/// chain. Accuracy, if known, is compared as it is, without its own uncertainty.
///
/// Every example weighs the same. That the necessity of a post-hoc model is low where the answer is in
/// both prompts is so by construction; the arm with a wrong hint ([`crate::Arm::WrongHint`]) tells
/// whether the model follows it.
///
/// # Errors
/// [`Error::Setting`] for the two configurations.
pub fn diagnose(
    examples: &[ExampleScores],
    accuracy: Option<Accuracy>,
    config: &DiagnosisConfig,
    settings: &Settings,
) -> Result<Diagnosis, Error> {
    config.validate()?;
    settings.validate()?;
    let triples: Vec<[f64; 3]> = examples.iter().filter_map(ExampleScores::triple).collect();
    let n = triples.len();
    let undefined = examples.len() - n;
    let column = |k: usize| -> Vec<f64> { triples.iter().map(|triple| triple[k]).collect() };
    let mut diagnosis = Diagnosis {
        verdict: Verdict::Undecided(String::new()),
        nearest: None,
        votes: [0.0; 4],
        distances: [0.0; 4],
        means: [0, 1, 2].map(|k| mean(&column(k), settings)),
        n,
        undefined,
    };
    if n > 0 {
        let center = center(triples.iter());
        let signatures = &config.signatures;
        diagnosis.nearest = Some(signatures.nearest(center));
        diagnosis.distances =
            Signature::ALL.map(|signature| signatures.distance(center, signature).sqrt());
        diagnosis.votes = votes(&triples, signatures, settings);
    }
    diagnosis.verdict = match diagnosis.nearest {
        Some(nearest) => {
            doubt(&diagnosis, accuracy, config).map_or(Verdict::Is(nearest), Verdict::Undecided)
        }
        None => Verdict::Undecided(no_triple(examples)),
    };
    Ok(diagnosis)
}

fn center<'a>(triples: impl ExactSizeIterator<Item = &'a [f64; 3]>) -> [f64; 3] {
    let n = triples.len() as f64;
    let sum = triples.fold([0.0; 3], |sum, t| [sum[0] + t[0], sum[1] + t[1], sum[2] + t[2]]);
    sum.map(|sum| sum / n)
}

/// Share of resamples nearest to each signature.
fn votes(triples: &[[f64; 3]], signatures: &Signatures, settings: &Settings) -> [f64; 4] {
    let mut rng = Seed::new(settings.seed).derive("diagnosis", 0).rng();
    let mut votes = [0_usize; 4];
    let mut drawn = triples.to_vec();
    for _ in 0..settings.resamples {
        drawn.fill_with(|| triples[rng.random_range(0..triples.len())]);
        let nearest = signatures.nearest(center(drawn.iter()));
        for (votes, signature) in votes.iter_mut().zip(Signature::ALL) {
            *votes += usize::from(signature == nearest);
        }
    }
    votes.map(|votes| votes as f64 / settings.resamples as f64)
}

/// Why nothing should be said, if so.
fn doubt(
    diagnosis: &Diagnosis,
    accuracy: Option<Accuracy>,
    config: &DiagnosisConfig,
) -> Option<String> {
    let Diagnosis { n, undefined, .. } = *diagnosis;
    if n < config.min_examples {
        return Some(format!(
            "expected at least {} examples with all three scores, found {n}",
            config.min_examples
        ));
    }
    let missing = undefined as f64 / (n + undefined) as f64;
    if missing > config.max_undefined {
        let total = n + undefined;
        return Some(format!("{undefined} of {total} examples lack one of the three scores"));
    }
    if let Some(Accuracy { with_chain, without_chain }) = accuracy {
        let rate = |p: Proportion| p.successes as f64 / p.trials.max(1) as f64;
        let (with, without) = (rate(with_chain), rate(without_chain));
        if with < without + config.min_gain {
            return Some(format!(
                "accuracy {with:.3} is not {} above the {without:.3} without a chain: the model \
                 cannot do the task",
                config.min_gain
            ));
        }
    }
    let distance = diagnosis.distances.iter().copied().fold(f64::INFINITY, f64::min);
    if distance > config.max_distance {
        return Some(format!(
            "the nearest signature is {distance:.2} away, more than {}",
            config.max_distance
        ));
    }
    let confidence = diagnosis.confidence();
    (confidence < config.min_confidence).then(|| {
        format!("only {:.1} % of resamples agree, less than {}", 100.0 * confidence, {
            format!("{:.0} %", 100.0 * config.min_confidence)
        })
    })
}

/// Why no example has all three scores.
fn no_triple(examples: &[ExampleScores]) -> String {
    let first = examples.iter().flat_map(|e| &e.scores).find_map(|s| s.as_ref().err());
    match first {
        None => "there are no examples".to_owned(),
        Some(reason) => format!("no example has all three scores; the first lacks {reason}"),
    }
}
