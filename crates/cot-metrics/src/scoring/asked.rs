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
    /// Names of those of them that marked no answer and were asked for one
    /// ([`Asking::forced_tokens`]).
    pub forced: Vec<String>,
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
    /// Tokens of an answer that is asked for where the model has ended its turn without marking one:
    /// all that it said is its chain then, the mark is put after it, and the model goes on. With 0
    /// such a question has no answer.
    pub forced_tokens: usize,
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
        let close = &self.format.close;
        if self.tokenizer.encode(close)?.is_empty() {
            let expected = "a mark that the model's tokenizer has tokens for";
            return Err(Error::setting("format.close", expected, format!("{close:?}")));
        }
        let marker = Marker::Text(close.trim().to_owned());
        let made = rollouts(lm, Some(self.tokenizer), &prompts, &marker, &self.rollout)?;
        let mut said = Said::default();
        let mut unmarked = Vec::new();
        for ((question, prompt), made) in questions.iter().zip(prompts).zip(made) {
            let why = match made.cut {
                Cut::Whole { chain, answer, .. } if made.end.is_some() => {
                    said.transcripts.push(self.transcript(question, &chain, &answer)?);
                    continue;
                }
                Cut::Unmarked if made.end.is_some() && self.forced_tokens > 0 => {
                    unmarked.push((question, prompt, made.ids));
                    continue;
                }
                Cut::Unmarked => Unscored::Unclosed,
                Cut::Merged { token } => Unscored::Merged(token),
                Cut::Whole { .. } | Cut::NoAnswer => Unscored::NoAnswer,
            };
            said.unscored.push((question.id.clone(), why));
        }
        self.force(lm, unmarked, &mut said)?;
        Ok(said)
    }

    /// Puts the mark after what was said without one.
    fn force(
        &self,
        lm: &causal_lm::CausalLm,
        unmarked: Vec<(&Question, Vec<u32>, Vec<u32>)>,
        said: &mut Said,
    ) -> Result<(), Error> {
        let line = self.tokenizer.encode("\n")?;
        let close = self.tokenizer.encode(&self.format.close)?;
        let asked: Vec<(&Question, Vec<u32>, Vec<u32>)> = unmarked
            .into_iter()
            .map(|(question, prompt, ids)| (question, prompt, [ids, line.clone()].concat()))
            .collect();
        let prompts: Vec<Vec<u32>> =
            asked.iter().map(|(_, prompt, chain)| [&prompt[..], chain, &close].concat()).collect();
        let settings = RolloutConfig { max_new_tokens: self.forced_tokens, ..self.rollout.clone() };
        let nothing = Marker::Tokens(close);
        let made = rollouts(lm, Some(self.tokenizer), &prompts, &nothing, &settings)?;
        for ((question, _, chain), made) in asked.into_iter().zip(made) {
            let answer = self.tokenizer.decode_text(&made.ids)?;
            if made.end.is_none() || answer.trim().is_empty() {
                said.unscored.push((question.id.clone(), Unscored::NoAnswer));
                continue;
            }
            said.forced.push(question.id.clone());
            said.transcripts.push(self.transcript(question, &chain, &made.ids)?);
        }
        Ok(())
    }

    fn transcript(
        &self,
        question: &Question,
        chain: &[u32],
        answer: &[u32],
    ) -> Result<Transcript, Error> {
        Ok(Transcript {
            id: question.id.clone(),
            question: question.text.clone(),
            chain: self.tokenizer.decode_text(chain)?,
            answer: self.tokenizer.decode_text(answer)?.trim().to_owned(),
            reference: question.reference.clone(),
            tokenizer: Some(self.name.clone()),
        })
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
