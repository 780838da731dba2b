//! What can go wrong, each as one sentence that says where.

use std::path::PathBuf;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A setting out of its range.
    #[error("{field}: expected {expected}, found {found}")]
    Config {
        /// The setting.
        field: String,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A name that nothing has.
    #[error("expected the name of a {what}, found {name:?}; {hint}")]
    Unknown {
        /// Kind of thing that was named.
        what: &'static str,
        /// The name.
        name: String,
        /// The names nearest to it.
        hint: String,
    },
    /// A scenario could not make a sample's surroundings or look at them.
    #[error("scenario {scenario}: sample {sample}: {reason}")]
    Scenario {
        /// Its name.
        scenario: String,
        /// The sample.
        sample: String,
        /// Why.
        reason: String,
    },
    /// A tool failed in a way that is not the agent's doing.
    #[error("tool {tool}: {reason}")]
    Tool {
        /// Its name.
        tool: String,
        /// Why.
        reason: String,
    },
    /// A model failed where its answer was needed.
    #[error(transparent)]
    Model(#[from] chat_model::Error),
    /// A journal that cannot be used.
    #[error("{}{}: expected {expected}, found {found}", path.display(), at_line(*line))]
    Journal {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1, if one line is to blame.
        line: Option<u64>,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A sample that does not run again as it was recorded.
    #[error("event {event}: expected {expected}, as recorded, found {found}")]
    Diverged {
        /// Place in the event stream, counted from 0.
        event: usize,
        /// What the recording holds.
        expected: String,
        /// What happened this time.
        found: String,
    },
    /// A sandbox that cannot be made as it is asked for.
    #[error("sandbox: {layer}: {reason}; {remedy}")]
    Sandbox {
        /// The layer that is missing.
        layer: &'static str,
        /// What was seen.
        reason: String,
        /// What to install or to switch on.
        remedy: String,
    },
    /// A file that defines something and is wrong.
    #[error("{}{}{}: {reason}", path.display(), at_line(*line), of_field(field))]
    File {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1, where it is known.
        line: Option<u64>,
        /// The field, as a path; empty where there is none to blame.
        field: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// A log that Inspect would not read.
    #[error("{file}: {field}: expected {expected}, found {found}")]
    Log {
        /// The file, or the entry in it.
        file: String,
        /// Place in it.
        field: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.into(), source }
    }

    pub(crate) fn config(
        field: impl Into<String>,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Config { field: field.into(), expected: expected.into(), found: found.to_string() }
    }
}

fn at_line(line: Option<u64>) -> String {
    line.map(|l| format!(": line {l}")).unwrap_or_default()
}

fn of_field(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!(": {field}") }
}

/// The beginning of a foreign text, on one line, in quotes.
pub(crate) fn snippet(text: &str) -> String {
    format!("`{}`", beginning(text, 200).trim())
}

/// What the parser of a foreign file says, which may quote the file, on one line.
pub(crate) fn parsed(error: impl std::fmt::Display) -> String {
    beginning(&error.to_string(), 600)
}

/// So many characters of a text, on one line.
fn beginning(text: &str, most: usize) -> String {
    let mut shown: String =
        text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_where_and_what() {
        let error = Error::Journal {
            path: "run/journal.jsonl".into(),
            line: Some(3),
            expected: "version 1".to_owned(),
            found: "2".to_owned(),
        };
        assert_eq!(error.to_string(), "run/journal.jsonl: line 3: expected version 1, found 2");
        assert_eq!(snippet("a\nb\x1b[31m"), "`a b [31m`");
        assert_eq!(parsed("unknown field `a\nb`"), "unknown field `a b`");
        assert_eq!(parsed("é".repeat(1_000)).chars().count(), 601);
    }
}
