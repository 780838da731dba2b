//! What can go wrong, each as one sentence that says where.

use std::path::{Path, PathBuf};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "write", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file is not what its format demands, or asks for something that is not supported.
    #[error("{file}: {field}: expected {expected}, found {found}")]
    Format {
        /// File or folder.
        file: String,
        /// Key, tensor or place in the file.
        field: String,
        /// What would have been right.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The model needs a tensor that is not there.
    #[error("{file}: tensor {} is missing", shown(tensor))]
    MissingTensor {
        /// File or folder.
        file: String,
        /// Published name.
        tensor: String,
    },
    /// There is a tensor that the model has no use for.
    #[error(
        "{file}: tensor {} is not part of such a model; is its configuration right?",
        shown(tensor)
    )]
    UnexpectedTensor {
        /// File or folder.
        file: String,
        /// Published name.
        tensor: String,
    },
    /// Sizes that do not fit together.
    #[error("{}: expected {}, found {}", shown(what), shown(expected), shown(found))]
    Shape {
        /// Argument or tensor.
        what: String,
        /// Size that would fit.
        expected: String,
        /// Size that is there.
        found: String,
    },
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
    /// A prompt or span that cannot be computed.
    #[error("prompt {request}: expected {expected}, found {found}")]
    Prompt {
        /// Index of the prompt.
        request: usize,
        /// What would be possible.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A number that should be finite.
    #[error("{what} is {found}: expected a finite number; are the weights sound?")]
    NotFinite {
        /// Which number.
        what: String,
        /// NaN or an infinity.
        found: String,
    },
    /// A tokenizer that cannot be built or used.
    #[error("{file}: tokenizer: {}", shown(message))]
    Tokenizer {
        /// File the tokenizer comes from.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// A chat template that cannot be parsed or rendered.
    #[error("{file}: chat template: {}", shown(message))]
    Template {
        /// File the template comes from.
        file: String,
        /// Line and cause.
        message: String,
    },
    /// The optimizer refused a setting, a state or a gradient.
    #[error(transparent)]
    Optimizer(#[from] rl_core::optim::Error),
    /// libtorch refused an operation.
    #[error("{what}: {source}")]
    Torch {
        /// What was tried.
        what: String,
        /// libtorch's message.
        source: tch::TchError,
    },
}

impl Error {
    /// An [`Error::Io`] in the form that `map_err` wants.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// An [`Error::Format`].
    pub(crate) fn format(
        file: impl std::fmt::Display,
        field: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::Format {
            file: file.to_string(),
            field: shown(&field.into()),
            expected: shown(&expected.into()),
            found: shown(&found.into()),
        }
    }
}

/// Text of a foreign file, fit for one line of a message.
fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 300;
    let mut out: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().count() > MAX_CHARS {
        out.push('…');
    }
    // Quotes are common in what is shown and do no harm.
    out.replace("\\\"", "\"").replace("\\'", "'")
}
