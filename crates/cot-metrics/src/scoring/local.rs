//! A local model as a scorer of texts.

use causal_lm::{
    CausalLm, Pretrained,
    chat::{ChatTemplate, Message, Prompt},
    tokenizer::Tokenizer,
};
use serde::{Deserialize, Serialize};

use super::{Before, Case, ScoreConfig, score};
use crate::{ArmText, Error, Outcome, Scorer, tokens::Tokenize};

/// What stands around a chain of thought in a model's turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Format {
    /// Between prompt and chain, such as `<think>\n` where the chat template does not say it.
    pub open: String,
    /// Between chain and answer, such as `</think>\n\n`: what a model's own words are cut at, space at
    /// its ends aside.
    pub close: String,
    /// Whether the token that ends a turn counts as the answer's last, so that 1 is not also the
    /// beginning of 12.
    pub end: bool,
}

impl Default for Format {
    /// A chain, then a line that marks the answer, as tasks ask for it.
    fn default() -> Self {
        Self { open: String::new(), close: "Answer: ".into(), end: true }
    }
}

impl Format {
    /// Tags around the chain, as models that were trained to think write them.
    pub fn thinking() -> Self {
        Self { open: "<think>\n".into(), close: "\n</think>\n\n".into(), end: true }
    }
}

/// A model, and how it reads text.
#[derive(Debug, Clone, Copy)]
pub struct Speaker<'a> {
    /// The model, which is used with the adapter that it has.
    pub lm: &'a CausalLm,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Its chat template; without one, questions are read as they are.
    pub template: Option<&'a ChatTemplate>,
}

impl<'a> From<&'a Pretrained> for Speaker<'a> {
    fn from(model: &'a Pretrained) -> Self {
        let template = model.chat_template.as_ref();
        Self { lm: &model.lm, tokenizer: &model.tokenizer, template }
    }
}

/// A tokenizer by name, for edits that count tokens.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// The name.
    pub name: &'a str,
    /// The tokenizer.
    pub tokenizer: &'a Tokenizer,
}

impl Tokenize for Named<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        Ok(self.tokenizer.encode(text)?)
    }

    fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        Ok(self.tokenizer.decode(ids)?)
    }
}

/// A local model that scores the texts of a plan.
///
/// Each part of a text is tokenized by itself, so that the answer begins on a token of its own
/// whatever stands before it.
#[derive(Debug)]
pub struct LocalScorer<'a> {
    speaker: Speaker<'a>,
    name: String,
    format: Format,
    config: ScoreConfig,
}

impl<'a> LocalScorer<'a> {
    /// A scorer of a name for reports.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn new(
        speaker: Speaker<'a>,
        name: impl Into<String>,
        format: Format,
        config: ScoreConfig,
    ) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self { speaker, name: name.into(), format, config })
    }

    /// The prompt as the model reads it, up to the first token of the chain: a user's turn in the
    /// chat template, or the text itself where there is none.
    ///
    /// # Errors
    /// [`Error::Lm`] from template or tokenizer.
    pub fn prompt(&self, question: &str) -> Result<Vec<u32>, Error> {
        let Speaker { tokenizer, template, .. } = self.speaker;
        let text = match template {
            Some(template) => template.render(&[Message::user(question)], Prompt::Open)?,
            None => question.to_owned(),
        };
        let mut ids = tokenizer.encode(&text)?;
        ids.extend(tokenizer.encode(&self.format.open)?);
        Ok(ids)
    }

    /// A text as tokens: what comes before the answer, and the answer with the end of the turn if that
    /// counts.
    ///
    /// # Errors
    /// As [`LocalScorer::prompt`].
    pub fn case(&self, id: String, text: &ArmText) -> Result<Case, Error> {
        let Speaker { lm, tokenizer, .. } = self.speaker;
        let arm = Before {
            prompt: self.prompt(&text.prompt)?,
            chain: tokenizer.encode(&text.chain)?,
            bridge: tokenizer.encode(&self.format.close)?,
        };
        let mut answer = tokenizer.encode(&text.answer)?;
        if self.format.end && !answer.is_empty() {
            answer.extend(lm.config().eos.first());
        }
        Ok(Case { id, arms: vec![arm], answer })
    }
}

impl Scorer for LocalScorer<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&self, texts: &[ArmText]) -> Result<Vec<Outcome>, Error> {
        let cases: Vec<Case> = texts
            .iter()
            .enumerate()
            .map(|(i, text)| self.case(format!("text {i}"), text))
            .collect::<Result<_, _>>()?;
        let whole: Vec<Case> =
            cases.iter().filter(|case| !case.answer.is_empty()).cloned().collect();
        let mut scores = score(self.speaker.lm, &whole, &self.config)?.into_iter().flatten();
        let outcome = |case: &Case| {
            let score = if case.answer.is_empty() { None } else { scores.next() };
            let none = || Outcome::Failed("answer: expected at least one token, found none".into());
            score.map_or_else(none, Outcome::from)
        };
        Ok(cases.iter().map(outcome).collect())
    }
}
