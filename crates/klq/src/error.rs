//! What can go wrong, each as one sentence.

/// Errors of the language-model half of this crate.
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
    /// Two models that must share a vocabulary do not.
    #[error("{what}: expected the policy's vocabulary of {policy} tokens, found {found}")]
    Vocabulary {
        /// The other model.
        what: &'static str,
        /// Tokens of the policy.
        policy: usize,
        /// Tokens of the other.
        found: usize,
    },
    /// Two models that must share a vocabulary mean different things by a token.
    #[error("{what}: token {id}: expected {expected}, as the policy has it, found {found}")]
    Token {
        /// The other model.
        what: &'static str,
        /// The token.
        id: u32,
        /// Its spelling for the policy.
        expected: String,
        /// Its spelling for the other.
        found: String,
    },
    /// More answers than allowed could not be scored.
    #[error(
        "{failed} of {of} answers could not be scored, more than the allowed {allowed}; the first: \
         {reason}"
    )]
    Rewards {
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
        path: std::path::PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {message}", path.display())]
    Format {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The model could not be computed or read.
    #[error(transparent)]
    Lm(#[from] causal_lm::Error),
    /// A conversation could not be had.
    #[error(transparent)]
    Chat(#[from] chat_model::Error),
    /// The optimizer could not make its step.
    #[error(transparent)]
    Optimizer(#[from] rl_core::optim::Error),
    /// Arguments that do not fit together.
    #[error(transparent)]
    Math(#[from] rl_core::MathError),
}
