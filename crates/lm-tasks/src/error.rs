//! What can go wrong, each as one sentence that says where.

use std::{fmt, path::PathBuf};

use serde::Serialize;

use crate::{Layout, Split};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// There is not a single row.
    #[error("{file}: expected at least one row, found none")]
    Empty {
        /// The file.
        file: String,
    },
    /// There are rows, and not one was kept.
    #[error(
        "{file}: expected at least one usable row, found {rows} rows of which {skipped} are bad \
         and {filtered} were filtered out"
    )]
    NoneKept {
        /// The file.
        file: String,
        /// Rows read.
        rows: usize,
        /// Rows passed over as bad.
        skipped: usize,
        /// Rows that the options leave out.
        filtered: usize,
    },
    /// The container is broken: a cut-off gzip stream, or a Parquet file that cannot be decoded.
    /// Never passed over, since nothing after such a place can be trusted.
    #[error("{file}: {}expected {expected}, found {found}", before(*place))]
    Container {
        /// The file.
        file: String,
        /// How far reading came; none if not a single row could be reached.
        place: Option<Place>,
        /// What would have been right.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// A row that is not what the layout demands; see [`crate::BadRows`] for passing over such.
    #[error(transparent)]
    Row(#[from] RowError),
    /// No layout fits the fields of the first row.
    #[error(
        "{file}: {place}: expected the fields of a known layout, found {found}; is another layout \
         to be named?"
    )]
    UnknownLayout {
        /// The file.
        file: String,
        /// The row.
        place: Place,
        /// Its fields.
        found: String,
    },
    /// Preference pairs are asked of a layout that holds none.
    #[error("{file}: expected a layout of preference pairs, found {}", found.name())]
    NoPairs {
        /// The file.
        file: String,
        /// The layout.
        found: Layout,
    },
    /// Problems with verifiable answers are asked of a layout that holds none.
    #[error("{file}: expected the layout gsm8k, found {}", found.name())]
    NoProblems {
        /// The file.
        file: String,
        /// The layout.
        found: Layout,
    },
    /// The settings of a task leave a side of it without content.
    #[error("{task}: expected content on the side of {split}, found none; allow for more?")]
    NoProblem {
        /// The task.
        task: &'static str,
        /// The side.
        split: Split,
    },
    /// The settings of a task do not leave enough content on a side.
    #[error(
        "{task}: expected {expected} different problems on the side of {split}, found {found}; allow \
         for more?"
    )]
    TooFewProblems {
        /// The task.
        task: &'static str,
        /// The side.
        split: Split,
        /// How many are asked for.
        expected: usize,
        /// How many were found.
        found: usize,
    },
    /// A setting out of its range.
    #[error("{name}: expected {expected}, found {found}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: String,
    },
    /// A split as published is asked for, and an item has none.
    #[error("{file}: {id}: expected a published split, found none")]
    NoSplit {
        /// Where the data set came from.
        file: String,
        /// The item.
        id: String,
    },
    /// One side of a split would have no items.
    #[error(
        "{file}: expected items for training and for evaluation, found {train} and {evaluation}"
    )]
    EmptySplit {
        /// Where the data set came from.
        file: String,
        /// Items for training.
        train: usize,
        /// Items for evaluation.
        evaluation: usize,
    },
}

/// A row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{file}: {place}: {field}: expected {expected}, found {found}")]
pub struct RowError {
    /// The file.
    pub file: String,
    /// The row.
    pub place: Place,
    /// Path of the field, such as `chosen[1].role`; `row` for the row as a whole.
    pub field: String,
    /// What would have been right.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// A place in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A line of text.
    Line(usize),
    /// A row of a Parquet file.
    Row {
        /// The row group.
        group: usize,
        /// The row in it.
        row: usize,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row { group, row } => write!(f, "row group {group}, row {row}"),
        }
    }
}

/// A place as it stands before the rest of a message.
fn before(place: Option<Place>) -> String {
    place.map(|place| format!("{place}: ")).unwrap_or_default()
}

/// What is wrong with a field, before it is known which row of which file it is in.
#[derive(Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) field: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl Fault {
    pub(crate) fn new(
        field: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), expected: expected.into(), found: found.into() }
    }

    pub(crate) fn at(self, file: &str, place: Place) -> RowError {
        RowError {
            file: file.to_owned(),
            place,
            field: shown(&self.field),
            expected: shown(&self.expected),
            found: shown(&self.found),
        }
    }
}

/// Text of a foreign file, fit for one line of a message.
pub(crate) fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    let mut out: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        out.push('…');
    }
    // Quotes are common in what is shown and do no harm.
    out.replace("\\\"", "\"").replace("\\'", "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_error_is_one_sentence_on_one_line() {
        let error = Fault::new("post", "text", "a\nb").at("x.jsonl", Place::Line(3));
        assert_eq!(error.to_string(), "x.jsonl: line 3: post: expected text, found a\\nb");
        let error = Fault::new("post", "text", "z".repeat(10_000))
            .at("x.parquet", Place::Row { group: 2, row: 7 });
        let text = error.to_string();
        assert!(text.starts_with("x.parquet: row group 2, row 7: post: "), "{text}");
        assert!(text.chars().count() < 300 && text.ends_with("zz…"), "{text}");
    }
}
