//! What an agent may call.

mod function;
mod memory;
#[cfg(target_os = "linux")]
mod sandboxed;
mod schema;

use chat_model::ToolCall;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use function::FunctionTool;
pub use memory::Memory;
#[cfg(target_os = "linux")]
pub use sandboxed::sandboxed;
pub(crate) use schema::check as check_arguments;

use crate::Error;

/// Something that an agent may call.
pub trait Tool: Send + Sync {
    /// Name, description and schema of the arguments, as the model is told.
    fn spec(&self) -> &chat_model::Tool;

    /// Does what is asked. The arguments have been checked against the schema.
    ///
    /// What the agent did wrong is a [`ToolOutcome::Refused`], which it is told; an error is what
    /// the agent cannot help, and ends the sample without a score.
    fn call<'a>(
        &'a self,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<ToolOutcome, Error>>;

    /// Whether calls of one turn may run at the same time, as those of a tool that changes nothing
    /// may. By default they run one after the other.
    fn concurrent(&self) -> bool {
        false
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolOutcome {
    /// It was done.
    Output {
        /// What the model is told.
        text: String,
        /// What scorers are told besides: exit status, whether something was cut.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        facts: Map<String, Value>,
    },
    /// It was not, by the agent's doing.
    Refused {
        /// What kind of mistake.
        kind: Refusal,
        /// What the model is told.
        message: String,
    },
}

impl ToolOutcome {
    /// An output that is text alone.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Output { text: text.into(), facts: Map::new() }
    }

    /// A refusal.
    pub fn refused(kind: Refusal, message: impl Into<String>) -> Self {
        Self::Refused { kind, message: message.into() }
    }

    /// What the model is told.
    pub fn to_text(&self) -> String {
        match self {
            Self::Output { text, .. } => text.clone(),
            Self::Refused { message, .. } => format!("error: {message}"),
        }
    }

    /// The same with a text of at most `bytes`, its middle left out and marked.
    #[must_use]
    pub fn cut(self, bytes: usize) -> Self {
        match self {
            Self::Output { text, mut facts } if text.len() > bytes => {
                facts.insert("uncut_bytes".to_owned(), text.len().into());
                Self::Output { text: cut(&text, bytes), facts }
            }
            Self::Refused { kind, message } if message.len() > bytes => {
                Self::Refused { kind, message: cut(&message, bytes) }
            }
            whole => whole,
        }
    }
}

/// What an agent did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is no such tool.
    UnknownTool,
    /// The call cannot be read, or its arguments are not what the schema asks for.
    Arguments,
    /// What it asks for is not there.
    NotFound,
    /// It may not.
    Permission,
    /// It took too long.
    Timeout,
    /// It asks for more than there is: bytes, processes.
    Limit,
    /// Anything else.
    Failed,
}

/// The first and last part of a text, at most `bytes` of it, with a mark between them.
pub(crate) fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(bytes / 2);
    let tail = text.ceil_char_boundary(text.len() - (bytes - bytes / 2));
    format!("{}\n[… {} bytes left out …]\n{}", &text[..head], tail - head, &text[tail..])
}

/// Reads the arguments of a call and checks them; the refusal otherwise.
pub(crate) fn arguments(
    spec: &chat_model::Tool,
    call: &ToolCall,
) -> Result<Map<String, Value>, ToolOutcome> {
    let refused = |message: String| ToolOutcome::refused(Refusal::Arguments, message);
    let arguments = call.parse_arguments().map_err(|error| refused(error.to_string()))?;
    match check_arguments(&spec.parameters, &arguments) {
        Ok(()) => Ok(arguments),
        Err(wrong) => Err(refused(format!("call of {}: {wrong}", call.name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_lose_their_middle() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefgh", 4), "ab\n[… 4 bytes left out …]\ngh");
        // Never in the middle of a character: é takes two bytes.
        assert_eq!(cut("aéééa", 4), "a\n[… 6 bytes left out …]\na");
        let outcome = ToolOutcome::text("x".repeat(10)).cut(4);
        let ToolOutcome::Output { facts, .. } = &outcome else { panic!("{outcome:?}") };
        assert_eq!(facts["uncut_bytes"], 10);
    }
}
