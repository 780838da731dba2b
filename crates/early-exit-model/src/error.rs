//! What can go wrong, each as one sentence.

use std::path::PathBuf;

/// Errors of this crate.
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
    /// Exits that the model cannot have.
    #[error("exit sites: expected {expected}, found {found}")]
    Sites {
        /// What would do.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A saved model that belongs to another one.
    #[error("{}: {what}: expected {expected}, found {found}", path.display())]
    Mismatch {
        /// The saved model's folder.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What it was saved for.
        expected: String,
        /// What it is to be used with.
        found: String,
    },
    /// A number that should be finite.
    #[error("{what} is {found}: expected a finite number; was the learning rate too high?")]
    NotFinite {
        /// Which number.
        what: String,
        /// NaN or an infinity.
        found: String,
    },
    /// Arguments whose sizes do not fit together.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// The argument.
        what: &'static str,
        /// The size that would fit.
        expected: String,
        /// Its size.
        found: String,
    },
    /// The sampler's log-probabilities are not the scorer's.
    #[error(
        "sampler and scorer differ by {gap:.3e} nats a token: expected at most {allowed:.1e}; the \
         policy that is trained would not be the one that acted"
    )]
    Disagreement {
        /// Root mean square over tokens.
        gap: f64,
        /// What rounding explains.
        allowed: f64,
    },
    /// More answers than allowed could not be scored.
    #[error(
        "{failed} of {of} answers could not be scored, more than the allowed {allowed}; the first: \
         {reason}"
    )]
    Verifier {
        /// Answers without a score.
        failed: usize,
        /// Answers in all.
        of: usize,
        /// Answers that may fail.
        allowed: usize,
        /// What was wrong with the first.
        reason: String,
    },
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
    /// A file is not what it should be.
    #[error("{}: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The model could not be computed or read.
    #[error(transparent)]
    Lm(#[from] causal_lm::Error),
    /// The optimizer could not make its step.
    #[error(transparent)]
    Optimizer(#[from] rl_core::optim::Error),
    /// Arguments that do not fit together.
    #[error(transparent)]
    Math(#[from] rl_core::MathError),
}

/// An [`Error::Setting`] unless `ok`.
#[expect(clippy::needless_pass_by_value, reason = "numbers and words alike")]
pub(crate) fn check(
    name: &'static str,
    ok: bool,
    expected: &str,
    found: impl ToString,
) -> Result<(), Error> {
    if ok {
        return Ok(());
    }
    Err(Error::Setting { name, expected: expected.into(), found: found.to_string() })
}
