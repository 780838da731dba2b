//! What was left out, and why.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// A line that cannot be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The line, counted from 1.
    pub line: usize,
    /// The id on it.
    pub id: Option<String>,
    /// Why.
    pub flaw: Flaw,
}

/// Why a transcript cannot be measured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Another line has the same id.
    #[error("the id is that of line {first}")]
    DuplicateId {
        /// The first line with it.
        first: usize,
    },
    /// There is no answer.
    #[error("there is no answer")]
    NoAnswer,
    /// There is no chain of thought.
    #[error("there is no chain of thought")]
    NoChain,
    /// A thought was begun and not ended.
    #[error("the thought is never closed")]
    UnclosedThought,
    /// There are several thoughts, and it cannot be said which is the chain.
    #[error("there is more than one thought")]
    ManyThoughts,
    /// The answer has no tokens.
    #[error("the answer has no tokens")]
    NoTokens,
    /// Prompt, chain and answer do not fit into the model's context.
    #[error("expected at most {limit} tokens, found {found}")]
    TooLong {
        /// Tokens that fit.
        limit: usize,
        /// Tokens there are.
        found: usize,
    },
    /// The transcript was made with another tokenizer.
    #[error("expected the tokenizer {expected}{}, found {found}", of_line(*first))]
    Tokenizer {
        /// That of the other transcripts or of the model.
        expected: String,
        /// That of this one.
        found: String,
        /// The first line with the other one.
        first: Option<usize>,
    },
    /// The tokenizer refuses the text.
    #[error("{reason}")]
    Refused {
        /// What it says.
        reason: String,
    },
}

fn of_line(line: Option<usize>) -> String {
    line.map(|line| format!(" of line {line}")).unwrap_or_default()
}

impl Flaw {
    /// One word or two, by which flags are counted.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DuplicateId { .. } => "duplicate_id",
            Self::NoAnswer => "no_answer",
            Self::NoChain => "no_chain",
            Self::UnclosedThought => "unclosed_thought",
            Self::ManyThoughts => "many_thoughts",
            Self::NoTokens => "no_tokens",
            Self::TooLong { .. } => "too_long",
            Self::Tokenizer { .. } => "other_tokenizer",
            Self::Refused { .. } => "refused",
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(id) = &self.id {
            write!(f, "{}: ", crate::error::shown(id))?;
        }
        write!(f, "{}", self.flaw)
    }
}

impl Serialize for Flag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Flag", 4)?;
        out.serialize_field("line", &self.line)?;
        out.serialize_field("id", &self.id)?;
        out.serialize_field("kind", self.flaw.kind())?;
        out.serialize_field("says", &self.flaw.to_string())?;
        out.end()
    }
}
