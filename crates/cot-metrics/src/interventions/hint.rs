//! Wrong answers to hint at.

use rand::seq::SliceRandom as _;
use rl_core::seed::Seed;

use super::{Edited, Failure};
use crate::Transcript;

/// For each transcript an answer that another one gave and that is not its own, nor the right one.
///
/// Where a task knows mistakes that are made, their answers are better hints.
///
/// ```
/// use cot_metrics::{Transcript, interventions::other_answers};
/// use rl_core::seed::Seed;
///
/// let of = |answer: &str| Transcript { answer: answer.into(), ..Transcript::default() };
/// let hints = other_answers(&[of("3"), of("4"), of("4")], Seed::new(1));
/// let hints: Vec<String> = hints.into_iter().flatten().collect();
/// assert_eq!(hints, ["4", "3", "3"]);
/// ```
pub fn other_answers(transcripts: &[Transcript], seed: Seed) -> Vec<Edited> {
    let mut answers: Vec<&str> = transcripts.iter().map(|t| t.answer.trim()).collect();
    answers.sort_unstable();
    answers.dedup();
    let one = |(i, transcript): (usize, &Transcript)| {
        let same = |other: &str| transcript.answer.trim().eq_ignore_ascii_case(other);
        let right = |other: &str| {
            transcript.reference.as_ref().is_some_and(|r| r.trim().eq_ignore_ascii_case(other))
        };
        let mut others: Vec<&str> = answers
            .iter()
            .copied()
            .filter(|other| !other.is_empty() && !same(other) && !right(other))
            .collect();
        let mut rng = seed.derive("hint", i as u64).rng();
        let (first, _) = others.partial_shuffle(&mut rng, 1);
        first.first().map(|&hint| hint.to_owned()).ok_or(Failure::NoDonor)
    };
    transcripts.iter().enumerate().map(one).collect()
}
