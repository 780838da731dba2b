//! What can go wrong, each as one sentence that says where.

/// Errors of the oracles.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
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
    /// A table or slice of another size.
    #[error("{argument}: expected {expected} entries, found {found}")]
    Length {
        /// Name of the argument.
        argument: &'static str,
        /// Entries that would fit.
        expected: usize,
        /// Entries that are there.
        found: usize,
    },
    /// A number that should be finite.
    #[error("{argument}[{index}]: expected a finite number, found {found}")]
    NotFinite {
        /// Name of the argument.
        argument: &'static str,
        /// Place in it.
        index: usize,
        /// NaN or an infinity.
        found: f64,
    },
    /// Probabilities that are none.
    #[error(
        "{argument} of state {state}: expected positive numbers that sum to 1, found {found:?}"
    )]
    Distribution {
        /// Name of the argument.
        argument: &'static str,
        /// Index of the state.
        state: usize,
        /// What is there.
        found: Vec<f64>,
    },
    /// Training left the finite numbers.
    #[error("the loss of batch {batch} is {loss}; try a smaller learning rate")]
    Diverged {
        /// Index of the batch.
        batch: usize,
        /// NaN or an infinity.
        loss: f64,
    },
}

impl Error {
    /// An [`Error::Setting`] unless `holds`.
    pub(crate) fn setting(
        name: &'static str,
        expected: &'static str,
        found: impl std::fmt::Display,
        holds: bool,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::Setting { name, expected, found: found.to_string() }) }
    }

    /// An [`Error::Length`] unless the two agree.
    pub(crate) fn length(
        argument: &'static str,
        found: usize,
        expected: usize,
    ) -> Result<(), Self> {
        if found == expected { Ok(()) } else { Err(Self::Length { argument, expected, found }) }
    }

    /// An [`Error::Length`] or [`Error::NotFinite`] unless `table` has `expected` finite entries.
    pub(crate) fn table(
        argument: &'static str,
        table: &[f64],
        expected: usize,
    ) -> Result<(), Self> {
        Self::length(argument, table.len(), expected)?;
        match table.iter().position(|x| !x.is_finite()) {
            Some(index) => Err(Self::NotFinite { argument, index, found: table[index] }),
            None => Ok(()),
        }
    }
}
