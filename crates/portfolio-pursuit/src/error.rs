//! What can go wrong, each as one sentence.

use std::path::PathBuf;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting or an argument out of its range.
    #[error("{name}: expected {expected}, found {found}")]
    Setting {
        /// Its name.
        name: String,
        /// Its range.
        expected: String,
        /// Its value.
        found: String,
    },
    /// Two arguments that belong together differ in length.
    #[error("{name}: expected {expected} values, found {found}")]
    Length {
        /// The argument.
        name: &'static str,
        /// The length it should have.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// A column that is not there.
    #[error("column {name:?} is missing; there are {}", known.join(", "))]
    MissingColumn {
        /// Its name.
        name: String,
        /// The columns there are.
        known: Vec<String>,
    },
    /// A column that nobody declared.
    #[error("column {name:?} is unknown; declared are {}", known.join(", "))]
    UnknownColumn {
        /// Its name.
        name: String,
        /// The columns that were declared.
        known: Vec<String>,
    },
    /// Features of one model given to another.
    #[error(
        "features do not match: expected {}, found {}", expected.join(", "), found.join(", ")
    )]
    Features {
        /// Columns the model knows.
        expected: Vec<String>,
        /// Columns it was given.
        found: Vec<String>,
    },
    /// A row that cannot be used.
    #[error("row {row}: {reason}")]
    Row {
        /// Its number, counted from 1 without the header.
        row: u64,
        /// What is wrong.
        reason: String,
    },
    /// Bounds that cannot all hold.
    #[error("bounds cannot all hold: {}", .0.join("; "))]
    Bounds(Vec<String>),
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A table could not be read.
    #[error("cannot read the table: {0}")]
    Csv(String),
    /// A problem too large to be solved exactly.
    #[error("{states} states or more: an exact solution holds at most {limit}")]
    TooLarge {
        /// States of the problem, or of its largest layer alone.
        states: u128,
        /// States that are solved.
        limit: u128,
    },
    /// A model that could not be fitted.
    #[error("cannot fit: {what}")]
    Fit {
        /// What is in the way.
        what: String,
    },
    /// Statistics refused their input.
    #[error(transparent)]
    Stats(#[from] rl_core::stats::Error),
}

impl Error {
    pub(crate) fn setting(
        name: impl Into<String>,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Setting { name: name.into(), expected: expected.into(), found: found.to_string() }
    }

    /// [`Error::Setting`] unless `held`.
    pub(crate) fn check(
        name: &str,
        expected: &str,
        found: impl std::fmt::Display,
        held: bool,
    ) -> Result<(), Self> {
        if held { Ok(()) } else { Err(Self::setting(name, expected, found)) }
    }
}

/// Refuses a number that is not finite or not within `range`.
pub(crate) fn in_range(
    name: &str,
    value: f64,
    range: impl std::ops::RangeBounds<f64>,
    expected: &str,
) -> Result<(), Error> {
    if value.is_finite() && range.contains(&value) {
        Ok(())
    } else {
        Err(Error::setting(name, expected, value))
    }
}
