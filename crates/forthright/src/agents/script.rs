//! Models that follow a script, to try scenarios without one that costs.

use chat_model::{Error as ChatError, Message, Request, Response, Scripted, ToolCall, Usage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Parts for samples, of which the first that fits is played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    /// At least one.
    pub(super) parts: Vec<Part>,
}

/// What is said in the samples that it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Which samples: SCENARIO/AGENT/PERSONA/SAMPLE#EPOCH, where `*` stands for anything.
    #[serde(default = "everything", rename = "for")]
    pub(super) samples: String,
    /// Turn by turn; at least one.
    pub(super) replies: Vec<Reply>,
    /// Whether the last is repeated for ever; otherwise a further turn is an error.
    #[serde(default)]
    pub(super) repeat: bool,
}

/// One turn.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Reply {
    /// What is said.
    pub(super) text: String,
    /// What is thought before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning: Option<String>,
    /// The turn fails, with this as the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// Tools that are called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) calls: Vec<Call>,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    /// Name of the tool.
    pub(super) name: String,
    /// What it is given, by name.
    #[serde(default)]
    pub(super) arguments: Map<String, Value>,
}

fn everything() -> String {
    "*".to_owned()
}

impl Script {
    /// Checks what the types do not.
    pub(super) fn validate(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.parts.is_empty(), "script: expected at least one part, found none");
        for (i, part) in self.parts.iter().enumerate() {
            anyhow::ensure!(
                !part.replies.is_empty(),
                "script: parts[{i}].replies: expected at least one, found none"
            );
        }
        Ok(())
    }

    /// The model that follows it.
    ///
    /// Which turn it is, is read off the conversation: so any number of samples can be played at a
    /// time, and one that goes on after a kill is in the turn that it was in.
    pub(super) fn model(self, name: &str) -> Scripted {
        let model = name.to_owned();
        Scripted::function(name, move |request, _| {
            let part = self.parts.iter().find(|part| fits(&part.samples, &request.lane));
            let Some(part) = part else {
                let reason = format!("the script has no part for {}", request.lane);
                return Err(ChatError::Model { model: model.clone(), reason });
            };
            let turn = part.turn(&request.messages);
            match part.reply(turn) {
                None => Err(ChatError::ScriptEnded {
                    model: model.clone(),
                    replies: part.replies.len(),
                }),
                Some(Reply { error: Some(reason), .. }) => {
                    Err(ChatError::Model { model: model.clone(), reason: reason.clone() })
                }
                Some(reply) => Ok(reply.response(&model, turn, request)),
            }
        })
    }
}

impl Part {
    /// What is said in a turn, counted from 0.
    fn reply(&self, turn: usize) -> Option<&Reply> {
        let last = self.repeat.then(|| self.replies.last()).flatten();
        self.replies.get(turn).or(last)
    }

    /// The most turns at the end of a conversation that are the script's first. What the model said
    /// before, in a history that the scenario made up, is none of them.
    fn turn(&self, conversation: &[Message]) -> usize {
        let said: Vec<&Message> =
            conversation.iter().filter(|m| matches!(m, Message::Assistant { .. })).collect();
        let follows = |turns: &usize| {
            let last = &said[said.len() - turns..];
            last.iter().enumerate().all(|(i, said)| self.reply(i).is_some_and(|r| r.is(said)))
        };
        (0..=said.len()).rev().find(follows).unwrap_or(0)
    }
}

impl Reply {
    fn is(&self, message: &Message) -> bool {
        let Message::Assistant { text, tool_calls, .. } = message else { return false };
        *text == self.text
            && tool_calls.len() == self.calls.len()
            && tool_calls
                .iter()
                .zip(&self.calls)
                .all(|(made, call)| made.name == call.name && made.arguments == call.written())
    }

    fn response(&self, model: &str, turn: usize, request: &Request) -> Response {
        let call = |(i, call): (usize, &Call)| ToolCall {
            id: format!("call-{turn}-{i}"),
            name: call.name.clone(),
            arguments: call.written(),
        };
        let mut response = Response::from_text(model, &self.text);
        response.tool_calls = self.calls.iter().enumerate().map(call).collect();
        response.reasoning.clone_from(&self.reasoning);
        if !self.calls.is_empty() {
            response.stop = chat_model::StopReason::ToolCalls;
        }
        // Words stand for tokens.
        let words = |text: &str| text.split_whitespace().count() as u64;
        response.usage = Some(Usage {
            prompt_tokens: request.messages.iter().map(|m| words(m.text())).sum(),
            completion_tokens: words(&self.text),
            ..Usage::default()
        });
        response
    }
}

impl Call {
    fn written(&self) -> String {
        Value::Object(self.arguments.clone()).to_string()
    }
}

/// Whether a text fits a pattern in which `*` stands for any text, none included.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use chat_model::Blocking;

    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fit) in [
            ("*", "", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b*d", "abcd", true),
            ("*b*d", "abdc", false),
            ("ab*bc", "abc", false),
            ("logs/*/none/*#1", "logs/m/none/s#1", true),
            ("logs/*/none/*#1", "logs/m/none/s#2", false),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
        }
    }

    fn script() -> Script {
        let text = r#"
            [[parts]]
            for = "odd/*"
            replies = [{ text = "odd" }]
            [[parts]]
            repeat = true
            [[parts.replies]]
            text = "look"
            calls = [{ name = "bash", arguments = { command = "ls" } }]
            [[parts.replies]]
            text = "done"
        "#;
        toml::from_str(text).unwrap()
    }

    #[test]
    fn turns_are_read_off_the_conversation() {
        let model = Blocking::new(script().model("m")).unwrap();
        let mut request = Request::from_user("Hello");
        request.lane = "even/m/none/s#1".to_owned();
        // A history that happens to hold the script's last words.
        request.messages.push(Message::assistant("done"));
        request.messages.push(Message::user("Go."));
        for expected in ["look", "done", "done"] {
            let response = model.answer(&request).unwrap();
            assert_eq!(response.text, expected);
            request.messages.push(response.to_message());
            for call in &response.tool_calls {
                assert_eq!(call.arguments, r#"{"command":"ls"}"#);
                request.messages.push(Message::tool(&call.id, "files"));
            }
            request.messages.push(Message::user("On."));
        }
        let mut odd = Request::from_user("Hello");
        odd.lane = "odd/m/none/s#1".to_owned();
        let response = model.answer(&odd).unwrap();
        odd.messages.push(response.to_message());
        odd.messages.push(Message::user("On."));
        let error = model.answer(&odd).unwrap_err();
        assert_eq!(error, ChatError::ScriptEnded { model: "m".to_owned(), replies: 1 });
    }
}
