//! What can go wrong, each as one sentence that says where.

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter out of its range.
    #[error("{name}: expected {expected}, found {found}")]
    Setting {
        /// Name of the parameter.
        name: String,
        /// Its range.
        expected: String,
        /// Its value.
        found: String,
    },
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

impl Error {
    /// An [`Error::Setting`].
    pub(crate) fn setting(
        name: impl Into<String>,
        expected: impl Into<String>,
        found: impl ToString,
    ) -> Self {
        Self::Setting { name: name.into(), expected: expected.into(), found: found.to_string() }
    }
}
