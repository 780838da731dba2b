//! The same questions, asked of a model in words and scored under every edit.

use causal_lm::{chat::ChatTemplate, tokenizer::Tokenizer};
use rl_core::seed::Seed;
use serde::Serialize;

use super::{Cut, Format, LocalScorer, Marker, RolloutConfig, ScoreConfig, Speaker, rollouts};
use crate::{Edits, Error, Prompts, Record, Transcript, measure, plan};

/// A question, and how its answers are verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its name, different from all others.
    pub id: String,
    /// What the user says.
    pub text: String,
    /// The right answer, where it is known.
    pub reference: Option<String>,
}

/// Why an answer has no score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unscored {
    /// Nothing marks an answer: the chain of thought was never closed.
    Unclosed,
    /// Nothing follows the mark, or the limit on the length cut it off.
    NoAnswer,
    /// A token holds the end of the mark and the beginning of the answer.
    Merged(String),
}

/// What a model said to all questions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Answers that can be scored.
    pub transcripts: Vec<Transcript>,
    /// Names of the others, and why.
    pub unscored: Vec<(String, Unscored)>,
}

/// How questions are asked, and what is made of the answers.
#[derive(Debug, Clone)]
pub struct Asking<'a> {
    /// Reads and writes text.
    pub tokenizer: &'a Tokenizer,
    /// The chat template, if there is one.
    pub template: Option<&'a ChatTemplate>,
    /// Name of the model, for reports.
    pub name: String,
    /// What stands around chains.
    pub format: Format,
    /// How it answers.
    pub rollout: RolloutConfig,
    /// How it is scored.
    pub score: ScoreConfig,
    /// What the edits add to prompts.
    pub prompts: Prompts,
}

impl Asking<'_> {
    fn scorer<'b>(&'b self, lm: &'b causal_lm::CausalLm) -> Result<LocalScorer<'b>, Error> {
        let speaker = Speaker { lm, tokenizer: self.tokenizer, template: self.template };
        LocalScorer::new(speaker, self.name.clone(), self.format.clone(), self.score.clone())
    }

    /// Has a model answer all questions.
    ///
    /// # Errors
    /// [`Error::Lm`] for a question that leaves no room for an answer; [`Error::Setting`] for a
    /// format that marks nothing.
    pub fn ask(&self, lm: &causal_lm::CausalLm, questions: &[Question]) -> Result<Said, Error> {
        let scorer = self.scorer(lm)?;
        let prompts: Vec<Vec<u32>> =
            questions.iter().map(|q| scorer.prompt(&q.text)).collect::<Result<_, _>>()?;
        let marker = Marker::Text(self.format.close.trim().to_owned());
        let made = rollouts(lm, Some(self.tokenizer), &prompts, &marker, &self.rollout)?;
        let mut said = Said::default();
        for (question, made) in questions.iter().zip(made) {
            let why = match made.cut {
                Cut::Whole { chain, answer, .. } if made.end.is_some() => {
                    said.transcripts.push(Transcript {
                        id: question.id.clone(),
                        question: question.text.clone(),
                        chain: self.tokenizer.decode_text(&chain)?,
                        answer: self.tokenizer.decode_text(&answer)?.trim().to_owned(),
                        reference: question.reference.clone(),
                        tokenizer: Some(self.name.clone()),
                    });
                    continue;
                }
                Cut::Unmarked => Unscored::Unclosed,
                Cut::Merged { token } => Unscored::Merged(token),
                Cut::Whole { .. } | Cut::NoAnswer => Unscored::NoAnswer,
            };
            said.unscored.push((question.id.clone(), why));
        }
        Ok(said)
    }

    /// Scores the answers of transcripts under every edit.
    ///
    /// # Errors
    /// As [`plan`] and [`measure`].
    pub fn records(
        &self,
        lm: &causal_lm::CausalLm,
        transcripts: &[Transcript],
        edits: Edits<'_>,
        seed: Seed,
    ) -> Result<Vec<Record>, Error> {
        let plans = plan(transcripts, &self.prompts, edits, seed)?;
        measure(&self.scorer(lm)?, &plans)
    }
}
