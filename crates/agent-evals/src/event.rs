//! What happens in a sample, in order.

use chat_model::{Message, Response, ToolCall};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Next, Reached, ToolOutcome};

/// One thing that happened, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Microseconds since the sample began.
    pub at_us: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The sample began.
    Begin(Box<Begin>),
    /// The agent's model answered, or failed to.
    Model {
        /// First 16 digits of the digest of what it was asked: settings, tools and conversation.
        asked: String,
        /// How long it took, in microseconds.
        took_us: u64,
        /// Its answer.
        reply: Reply,
    },
    /// A tool was called.
    Tool {
        /// The call as the model made it.
        call: ToolCall,
        /// How long it took, in microseconds.
        took_us: u64,
        /// What came of it.
        outcome: ToolOutcome,
    },
    /// The surroundings reacted to a turn.
    Reaction(Next),
    /// The state in the end.
    Observed(Value),
    /// The sample ended; the last event.
    End(Ending),
}

impl What {
    /// In a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Begin(_) => "begin",
            Self::Model { .. } => "model",
            Self::Tool { .. } => "tool",
            Self::Reaction(_) => "reaction",
            Self::Observed(_) => "observed",
            Self::End(_) => "end",
        }
    }
}

/// With what a sample began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// Its seed.
    pub seed: u64,
    /// The conversation at its beginning, the persona included.
    pub opening: Vec<Message>,
    /// The tools that it may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<chat_model::Tool>,
}

/// An answer of the model's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It answered.
    Answer(Box<Response>),
    /// It failed, and retrying was of no use.
    Failed(chat_model::Error),
}

/// Why a sample ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The agent was done.
    Done,
    /// The scenario ended it, and why.
    Scenario(String),
    /// A limit was reached.
    Limit(Reached),
    /// Something failed that is not the agent's doing, and how: there is nothing to score.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_form_never_changes() {
        let event = |what| serde_json::to_string(&Event { at_us: 7, what }).unwrap();
        assert_eq!(
            event(What::Reaction(Next::user("go"))),
            r#"{"at_us":7,"what":{"reaction":{"say":{"by":"user","text":"go"}}}}"#
        );
        assert_eq!(event(What::End(Ending::Done)), r#"{"at_us":7,"what":{"end":"done"}}"#);
        let reply = Reply::Answer(Box::new(Response::from_text("m", "yes")));
        assert_eq!(
            event(What::Model { asked: "ab".to_owned(), took_us: 1, reply }),
            r#"{"at_us":7,"what":{"model":{"asked":"ab","took_us":1,"reply":{"answer":{"text":"yes","stop":"end_of_turn","model":"m"}}}}}"#
        );
    }
}
