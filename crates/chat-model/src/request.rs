//! What a model is asked.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Error, Message, Tool, ToolChoice};

/// A conversation to be answered.
///
/// Fields left at their defaults are not serialized, so that recordings and caches stay valid when
/// a later version adds one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// The turns so far, oldest first.
    pub messages: Vec<Message>,
    /// Tools that may be called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Whether they are.
    #[serde(skip_serializing_if = "is_default")]
    pub tool_choice: ToolChoice,
    /// How to choose words.
    #[serde(skip_serializing_if = "is_default")]
    pub sampling: Sampling,
    /// Who asks: an agent, a sample. Never sent.
    ///
    /// Identical requests of different lanes are recorded and cached apart. Give each of many
    /// concurrent agents a lane of its own, and a replay gives each the answers that it had,
    /// whatever the order in which they come to ask.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lane: String,
}

/// How a model chooses words. What is none is left to the endpoint.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// At most so many tokens are generated; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 0 takes the likeliest word; finite, at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Only the likeliest words of this total probability; above 0, at most 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Seed, where the endpoint takes one; below 2⁶³.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Texts that end the answer and are not part of it; none empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Further fields that this endpoint knows, such as `response_format` or `reasoning_effort`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// Names that `extra` must leave to the fields of the request.
const OWN_FIELDS: &[&str] = &[
    "model",
    "messages",
    "tools",
    "tool_choice",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "seed",
    "stop",
    "stream",
    "n",
];

impl Request {
    /// A conversation of one user turn.
    pub fn from_user(text: impl Into<String>) -> Self {
        Self { messages: vec![Message::user(text)], ..Self::default() }
    }

    /// Checks what can be checked without a model.
    ///
    /// Tool results must answer calls of the turn before them, each once, and all of them before
    /// anybody else speaks.
    ///
    /// # Errors
    /// [`Error::Request`] naming the first field that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        self.validate_messages()?;
        self.validate_tools()?;
        self.sampling.validate()
    }

    fn validate_messages(&self) -> Result<(), Error> {
        if self.messages.is_empty() {
            return Err(wrong("messages", "at least one", "none"));
        }
        let mut open: Vec<&str> = Vec::new();
        for (i, message) in self.messages.iter().enumerate() {
            if let Message::Tool { call_id, .. } = message {
                let Some(at) = open.iter().position(|id| id == call_id) else {
                    let expected = "the id of an open call of the last assistant turn";
                    return Err(wrong(&format!("messages[{i}].call_id"), expected, call_id));
                };
                open.swap_remove(at);
                continue;
            }
            if let Some(id) = open.first() {
                let expected = format!("the result of call {id}");
                return Err(wrong(&format!("messages[{i}]"), &expected, "another turn"));
            }
            if let Message::Assistant { tool_calls, .. } = message {
                open.extend(tool_calls.iter().map(|c| c.id.as_str()));
                if open.iter().collect::<HashSet<_>>().len() < open.len() {
                    let field = format!("messages[{i}].tool_calls");
                    return Err(wrong(&field, "ids that differ", "one twice"));
                }
            }
        }
        match open.first() {
            Some(id) => Err(wrong("messages", &format!("the result of call {id}"), "the end")),
            None => Ok(()),
        }
    }

    fn validate_tools(&self) -> Result<(), Error> {
        let mut names = HashSet::new();
        for (i, tool) in self.tools.iter().enumerate() {
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if !(1..=64).contains(&tool.name.len()) || !tool.name.chars().all(legal) {
                let expected = "1 to 64 letters, digits, _ or -";
                return Err(wrong(&format!("tools[{i}].name"), expected, &tool.name));
            }
            if !names.insert(tool.name.as_str()) {
                return Err(wrong(&format!("tools[{i}].name"), "another name", &tool.name));
            }
            if !tool.parameters.is_object() {
                let found = tool.parameters.to_string();
                let field = format!("tools[{i}].parameters");
                return Err(wrong(&field, "a JSON schema, which is an object", &found));
            }
        }
        match &self.tool_choice {
            ToolChoice::Required if self.tools.is_empty() => {
                Err(wrong("tool_choice", "auto or none where there are no tools", "required"))
            }
            ToolChoice::Named(name) if !names.contains(name.as_str()) => {
                Err(wrong("tool_choice", "the name of one of the tools", name))
            }
            _ => Ok(()),
        }
    }
}

impl Sampling {
    fn validate(&self) -> Result<(), Error> {
        let wrong =
            |field, expected, found: &str| wrong(&format!("sampling.{field}"), expected, found);
        if self.max_tokens == Some(0) {
            return Err(wrong("max_tokens", "at least 1", "0"));
        }
        if let Some(t) = self.temperature.filter(|t| !t.is_finite() || *t < 0.0) {
            return Err(wrong("temperature", "a finite number, at least 0", &t.to_string()));
        }
        if let Some(p) = self.top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            return Err(wrong("top_p", "above 0, at most 1", &p.to_string()));
        }
        if let Some(seed) = self.seed.filter(|s| i64::try_from(*s).is_err()) {
            return Err(wrong("seed", "below 2^63", &seed.to_string()));
        }
        if self.stop.iter().any(String::is_empty) {
            return Err(wrong("stop", "no empty text", "one"));
        }
        match self.extra.keys().find(|k| OWN_FIELDS.contains(&k.as_str())) {
            Some(key) => Err(wrong("extra", "no field that the request or crate sets", key)),
            None => Ok(()),
        }
    }
}

fn wrong(field: &str, expected: &str, found: &str) -> Error {
    Error::Request {
        field: field.to_owned(),
        expected: expected.to_owned(),
        found: crate::text::snippet(found),
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ToolCall;

    fn call(ids: &[&str]) -> Message {
        let call = |id: &&str| ToolCall {
            id: (*id).to_owned(),
            name: "f".to_owned(),
            arguments: "{}".to_owned(),
        };
        Message::Assistant {
            text: String::new(),
            tool_calls: ids.iter().map(call).collect(),
            reasoning: None,
        }
    }

    fn field(request: &Request) -> Option<String> {
        match request.validate() {
            Ok(()) => None,
            Err(Error::Request { field, .. }) => Some(field),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn results_answer_calls() {
        let with = |messages: Vec<Message>| {
            field(&Request { messages, ..Request::default() }).unwrap_or_default()
        };
        assert_eq!(with(vec![]), "messages");
        let user = Message::user("u");
        let results = || vec![Message::tool("2", "x"), Message::tool("1", "y")];
        assert_eq!(with([vec![user.clone(), call(&["1", "2"])], results()].concat()), "");
        assert_eq!(with(vec![user.clone(), Message::tool("1", "")]), "messages[1].call_id");
        assert_eq!(with(vec![call(&["1"]), user.clone()]), "messages[1]");
        assert_eq!(with(vec![user.clone(), call(&["1"])]), "messages");
        assert_eq!(with(vec![call(&["1", "1"])]), "messages[0].tool_calls");
        let twice = vec![call(&["1"]), Message::tool("1", ""), Message::tool("1", "")];
        assert_eq!(with(twice), "messages[2].call_id");
        // Ids may come back in a later turn.
        let again =
            vec![call(&["1"]), Message::tool("1", ""), call(&["1"]), Message::tool("1", "")];
        assert_eq!(with(again), "");
    }

    #[test]
    fn tools_are_checked() {
        let tool = |name: &str, parameters| Tool {
            name: name.to_owned(),
            description: String::new(),
            parameters,
        };
        let with = |tools, tool_choice| {
            field(&Request { tools, tool_choice, ..Request::from_user("u") }).unwrap_or_default()
        };
        let good = || vec![tool("a-b_1", json!({}))];
        assert_eq!(with(good(), ToolChoice::Required), "");
        assert_eq!(with(good(), ToolChoice::Named("a-b_1".to_owned())), "");
        assert_eq!(with(good(), ToolChoice::Named("b".to_owned())), "tool_choice");
        assert_eq!(with(vec![], ToolChoice::Required), "tool_choice");
        assert_eq!(with(vec![tool("a b", json!({}))], ToolChoice::Auto), "tools[0].name");
        assert_eq!(with([good(), good()].concat(), ToolChoice::Auto), "tools[1].name");
        assert_eq!(with(vec![tool("a", json!([]))], ToolChoice::Auto), "tools[0].parameters");
    }

    #[test]
    fn sampling_is_checked() {
        let with = |sampling| field(&Request { sampling, ..Request::from_user("u") });
        let of = |name: &str| Some(format!("sampling.{name}"));
        let none = Sampling::default;
        assert_eq!(with(Sampling { max_tokens: Some(0), ..none() }), of("max_tokens"));
        assert_eq!(with(Sampling { temperature: Some(f64::NAN), ..none() }), of("temperature"));
        assert_eq!(with(Sampling { top_p: Some(0.0), ..none() }), of("top_p"));
        assert_eq!(with(Sampling { seed: Some(u64::MAX), ..none() }), of("seed"));
        assert_eq!(with(Sampling { stop: vec![String::new()], ..none() }), of("stop"));
        let extra = json!({ "stream": true }).as_object().unwrap().clone();
        assert_eq!(with(Sampling { extra, ..none() }), of("extra"));
        let extra = json!({ "reasoning_effort": "low" }).as_object().unwrap().clone();
        assert_eq!(with(Sampling { top_p: Some(1.0), extra, ..none() }), None);
    }
}
