//! What a model answers.

use serde::{Deserialize, Serialize};

use crate::{Message, ToolCall};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// Its text; may be empty beside tool calls.
    pub text: String,
    /// Tools that the model calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// What it thought before, where the endpoint tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Why it does not answer, where the endpoint tells refusals apart from text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Why it ends.
    pub stop: StopReason,
    /// Tokens used, where the endpoint tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The model that answered, by its own account.
    pub model: String,
    /// The endpoint's name for its exact configuration: with another one, a seed may mean other
    /// words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

impl Response {
    /// An answer that is text alone and ended by itself; its usage is unknown.
    pub fn from_text(model: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tool_calls: Vec::new(),
            reasoning: None,
            refusal: None,
            stop: StopReason::EndOfTurn,
            usage: None,
            model: model.into(),
            fingerprint: None,
        }
    }

    /// An answer that calls tools and says nothing; its usage is unknown.
    pub fn from_calls(model: impl Into<String>, tool_calls: Vec<ToolCall>) -> Self {
        Self { tool_calls, stop: StopReason::ToolCalls, ..Self::from_text(model, "") }
    }

    /// The turn to go on with: what was said, called and thought. A refusal counts as said if
    /// nothing else was.
    pub fn to_message(&self) -> Message {
        let said = if self.text.is_empty() { self.refusal.as_ref() } else { None };
        Message::Assistant {
            text: said.unwrap_or(&self.text).clone(),
            tool_calls: self.tool_calls.clone(),
            reasoning: self.reasoning.clone(),
        }
    }
}

/// Why an answer ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model was done, or said a stop text.
    EndOfTurn,
    /// The limit on tokens was reached: the text is cut off.
    Length,
    /// It waits for results of tools.
    ToolCalls,
    /// The endpoint holds some of it back.
    ContentFilter,
    /// The endpoint gives no reason.
    Unreported,
    /// A reason that only this endpoint knows.
    Other(String),
}

/// Tokens that an answer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Tokens of the request.
    pub prompt_tokens: u64,
    /// Tokens of the answer, thoughts included.
    pub completion_tokens: u64,
    /// Of the answer's, those of thoughts, where told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// Of the request's, those that the endpoint had ready, where told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_form_never_changes() {
        let response = Response {
            reasoning: Some("hm".to_owned()),
            stop: StopReason::Other("odd".to_owned()),
            usage: Some(Usage { prompt_tokens: 3, completion_tokens: 1, ..Usage::default() }),
            ..Response::from_text("m", "yes")
        };
        let text = serde_json::to_string(&response).unwrap();
        assert_eq!(
            text,
            r#"{"text":"yes","reasoning":"hm","stop":{"other":"odd"},"usage":{"prompt_tokens":3,"completion_tokens":1},"model":"m"}"#
        );
        assert_eq!(serde_json::from_str::<Response>(&text).unwrap(), response);
    }

    #[test]
    fn a_refusal_is_said_when_nothing_else_is() {
        let mut response = Response::from_text("m", "");
        response.refusal = Some("no".to_owned());
        assert_eq!(response.to_message().text(), "no");
        response.text = "well".to_owned();
        assert_eq!(response.to_message().text(), "well");
    }
}
