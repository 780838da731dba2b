//! The turns of a conversation.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;

/// One turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case", deny_unknown_fields)]
pub enum Message {
    /// What the operator says.
    System {
        /// Its text.
        text: String,
    },
    /// What the user says.
    User {
        /// Its text.
        text: String,
    },
    /// What the model said.
    Assistant {
        /// Its text; may be empty beside tool calls.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// Tools it called.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
        /// What it thought before, kept for whoever reads the transcript.
        /// Endpoints are sent it only if so configured.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reasoning: Option<String>,
    },
    /// What a tool returned.
    Tool {
        /// [`ToolCall::id`] of the call.
        call_id: String,
        /// The result.
        text: String,
    },
}

impl Message {
    /// A system turn.
    pub fn system(text: impl Into<String>) -> Self {
        Self::System { text: text.into() }
    }

    /// A user turn.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { text: text.into() }
    }

    /// An assistant turn that is text alone.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::Assistant { text: text.into(), tool_calls: Vec::new(), reasoning: None }
    }

    /// The result of a call.
    pub fn tool(call_id: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Tool { call_id: call_id.into(), text: text.into() }
    }

    /// The text of any turn.
    pub fn text(&self) -> &str {
        match self {
            Self::System { text }
            | Self::User { text }
            | Self::Assistant { text, .. }
            | Self::Tool { text, .. } => text,
        }
    }
}

/// A tool that the model called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// Names the call; its result repeats it.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// Arguments as the model wrote them: JSON if it did well.
    pub arguments: String,
}

impl ToolCall {
    /// The arguments as an object; no arguments at all are an empty one.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the model wrote anything but a JSON object: a message to give back to
    /// it as the call's result.
    pub fn parse_arguments(&self) -> Result<serde_json::Map<String, Value>, Error> {
        if self.arguments.trim().is_empty() {
            return Ok(serde_json::Map::new());
        }
        let malformed = |found: String| Error::Malformed {
            endpoint: format!("call of {}", self.name),
            field: "arguments".to_owned(),
            expected: "a JSON object".to_owned(),
            found,
        };
        match serde_json::from_str(&self.arguments) {
            Ok(Value::Object(arguments)) => Ok(arguments),
            Ok(other) => Err(malformed(crate::text::snippet(&other.to_string()))),
            Err(error) => {
                Err(malformed(format!("{} ({error})", crate::text::snippet(&self.arguments))))
            }
        }
    }
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// 1 to 64 letters, digits, `_` or `-`.
    pub name: String,
    /// What it does and when to use it, for the model to read.
    pub description: String,
    /// JSON schema of its arguments: an object.
    pub parameters: Value,
}

/// Whether the model calls tools.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// It calls none.
    None,
    /// It calls at least one.
    Required,
    /// It calls this one.
    Named(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_an_object_or_an_error() {
        let call = |arguments: &str| ToolCall {
            id: "c".to_owned(),
            name: "look".to_owned(),
            arguments: arguments.to_owned(),
        };
        assert_eq!(call(r#"{"at": 1}"#).parse_arguments().unwrap()["at"], 1);
        assert!(call(" ").parse_arguments().unwrap().is_empty());
        for bad in ["[1]", "{\"at\": ", "look there"] {
            let error = call(bad).parse_arguments().unwrap_err().to_string();
            assert!(
                error.starts_with("call of look: arguments: expected a JSON object"),
                "{error}"
            );
        }
    }

    #[test]
    fn turns_read_back_as_they_were() {
        let turns = [
            Message::system("s"),
            Message::user("u"),
            Message::assistant(""),
            Message::Assistant {
                text: String::new(),
                tool_calls: vec![ToolCall {
                    id: "1".to_owned(),
                    name: "f".to_owned(),
                    arguments: "{}".to_owned(),
                }],
                reasoning: Some("hm".to_owned()),
            },
            Message::tool("1", "t"),
        ];
        let text = serde_json::to_string(&turns).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Message>>(&text).unwrap(), turns);
        let odd = r#"{"role": "user", "text": "u", "image": "…"}"#;
        assert!(serde_json::from_str::<Message>(odd).is_err());
    }
}
