//! What an answer is worth.

mod bradley_terry;
mod lexicon;
mod model;
mod process;
mod program;
mod reconstruction;

pub use bradley_terry::{
    Pair, RewardModelConfig, RewardModelStep, preferences, train_reward_model,
};
pub use lexicon::{Lexicon, Sentiment};
pub use model::{RewardModel, Scale};
pub use program::{Program, ProgramConfig};
pub use reconstruction::{Reconstruction, ReconstructionConfig};
use serde::{Deserialize, Serialize};

use crate::{Error, algorithm::check};

/// A prompt of the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Its name in the data.
    pub id: String,
    /// What the user asked, as text.
    pub text: String,
    /// The whole prompt as the model reads it, template and all.
    pub ids: Vec<u32>,
    /// The text that a summary is to be of.
    pub source: Option<String>,
}

/// An answer to be scored.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// What it answers.
    pub prompt: &'a Prompt,
    /// Its tokens, the end-of-turn token among them if it has one.
    pub ids: &'a [u32],
    /// Its text, without special tokens.
    pub text: &'a str,
    /// Whether the model ended it, rather than the limit on its length.
    pub ended: bool,
}

/// Something that scores answers.
pub trait Reward {
    /// A short name.
    fn name(&self) -> &str;

    /// One score an answer, in their order; or why there is none. A score that is not finite counts
    /// as none.
    fn score(&mut self, answers: &[Answer<'_>]) -> Vec<Result<f64, String>>;
}

impl<R: Reward + ?Sized> Reward for &mut R {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn score(&mut self, answers: &[Answer<'_>]) -> Vec<Result<f64, String>> {
        (**self).score(answers)
    }
}

/// A function of one answer as a reward: a rule.
pub struct Rule<F> {
    name: String,
    rule: F,
}

impl<F: FnMut(&Answer<'_>) -> Result<f64, String>> Rule<F> {
    /// A reward that is `rule`.
    pub fn new(name: impl Into<String>, rule: F) -> Self {
        Self { name: name.into(), rule }
    }
}

impl<F: FnMut(&Answer<'_>) -> Result<f64, String>> Reward for Rule<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, answers: &[Answer<'_>]) -> Vec<Result<f64, String>> {
        answers.iter().map(&mut self.rule).collect()
    }
}

/// What happens to the score of an answer that the length limit cut off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MissingEnd {
    /// Nothing.
    Keep,
    /// This is taken from it (TRL: 1).
    Subtract(f64),
    /// It becomes this (arXiv 2403.17031: −1).
    Replace(f64),
}

impl Default for MissingEnd {
    fn default() -> Self {
        Self::Subtract(1.0)
    }
}

impl MissingEnd {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(self) -> Result<(), Error> {
        let (Self::Subtract(x) | Self::Replace(x)) = self else { return Ok(()) };
        check("missing_end", x.is_finite(), "a finite number", x)
    }

    /// The reward of an answer.
    pub fn apply(self, score: f64, ended: bool) -> f64 {
        match self {
            _ if ended => score,
            Self::Keep => score,
            Self::Subtract(penalty) => score - penalty,
            Self::Replace(reward) => reward,
        }
    }
}

/// Scores, those that are not finite turned into what is wrong with them.
pub(crate) fn score_all(
    reward: &mut dyn Reward,
    answers: &[Answer<'_>],
) -> Vec<Result<f64, String>> {
    let name = reward.name().to_owned();
    let mut scores = reward.score(answers);
    scores.resize(answers.len(), Err(format!("reward {name} gave fewer scores than answers")));
    let finite = |score: f64| {
        if score.is_finite() { Ok(score) } else { Err(format!("reward {name} gave {score}")) }
    };
    scores.into_iter().map(|score| score.and_then(finite)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_end_costs_what_it_should() {
        for (rule, cut_off) in [
            (MissingEnd::Keep, 2.0),
            (MissingEnd::Subtract(1.0), 1.0),
            (MissingEnd::Replace(-1.0), -1.0),
        ] {
            approx::assert_abs_diff_eq!(rule.apply(2.0, true), 2.0);
            approx::assert_abs_diff_eq!(rule.apply(2.0, false), cut_off);
        }
        assert!(MissingEnd::Subtract(f64::NAN).validate().is_err());
    }

    #[test]
    fn what_is_no_number_is_no_score() {
        let prompt = Prompt { id: "a".into(), text: "b".into(), ids: vec![1], source: None };
        let answer = |text| Answer { prompt: &prompt, ids: &[2], text, ended: true };
        let mut length = Rule::new("length", |a: &Answer<'_>| match a.text {
            "" => Err("empty".to_owned()),
            "nan" => Ok(f64::NAN),
            text => Ok(text.len() as f64),
        });
        let scores = score_all(&mut length, &[answer("four"), answer(""), answer("nan")]);
        assert_eq!(scores[0], Ok(4.0));
        assert_eq!(scores[1], Err("empty".into()));
        assert_eq!(scores[2], Err("reward length gave NaN".into()));
    }
}
