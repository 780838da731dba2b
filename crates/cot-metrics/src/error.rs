//! What can go wrong, each as one sentence.

use std::path::PathBuf;

/// Errors of this crate.
///
/// What is wrong with one example is no error: it is a failed [`crate::Outcome`], an
/// [`crate::Undefined`] score or a flag, so that the other examples are measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting out of its range.
    #[error("{name}: expected {expected}, found {found}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// Its range.
        expected: String,
        /// Its value.
        found: String,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A line that is not what it should be.
    #[error("{}: line {line}: {field}: expected {expected}, found {found}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The field, or `line` for the line as a whole.
        field: String,
        /// What would have been right.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A file with nothing to measure in it.
    #[error("{}: expected at least one {what}, found none", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// A codebook from whose codes the text could not be told.
    #[error(
        "codebook {book}: expected a code for each word, found {code:?} for both {first:?} and \
         {second:?}"
    )]
    NotInjective {
        /// Name of the codebook.
        book: String,
        /// The code.
        code: String,
        /// The word that has it.
        first: String,
        /// Another word that has it.
        second: String,
    },
    /// An entry that no codebook can hold.
    #[error("codebook {book}: {field}: expected {expected}, found {found:?}")]
    Codebook {
        /// Name of the codebook.
        book: String,
        /// `word` or `code`.
        field: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A tokenizer refuses a text or tokens.
    #[error("tokenizer {tokenizer}: {reason}")]
    Tokenizer {
        /// Its name.
        tokenizer: String,
        /// Why.
        reason: String,
    },
    /// What stands for an answer has no tokens, so there is nothing to score.
    #[error("{what}: expected at least one token, found none")]
    NoTokens {
        /// Which part of the text.
        what: &'static str,
    },
    /// The model that scores could not do it.
    #[error("{scorer}: {reason}")]
    Scorer {
        /// Its name.
        scorer: String,
        /// Why.
        reason: String,
    },
    /// A statistic that could not be computed.
    #[error(transparent)]
    Stats(#[from] rl_core::stats::Error),
    /// Tokens that cannot be scored.
    #[cfg(feature = "torch")]
    #[error("{what}: expected {expected}, found {found}")]
    Span {
        /// The example and its part.
        what: String,
        /// What could be scored.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The model refused.
    #[cfg(feature = "torch")]
    #[error(transparent)]
    Lm(#[from] causal_lm::Error),
}

#[cfg(feature = "torch")]
impl Error {
    /// An [`Error::Setting`].
    pub(crate) fn setting(
        name: &'static str,
        expected: impl Into<String>,
        found: impl ToString,
    ) -> Self {
        Self::Setting { name, expected: expected.into(), found: found.to_string() }
    }
}

/// An [`Error::Setting`] unless `ok`.
pub(crate) fn check(
    name: &'static str,
    ok: bool,
    expected: &str,
    found: impl std::fmt::Display,
) -> Result<(), Error> {
    if ok {
        return Ok(());
    }
    Err(Error::Setting { name, expected: expected.to_owned(), found: found.to_string() })
}

/// Foreign text, fit for one line of a message.
pub(crate) fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 120;
    let mut out: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        out.push('…');
    }
    out
}
