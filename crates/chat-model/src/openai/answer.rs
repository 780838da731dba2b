//! An answer in OpenAI's words, as strict as needed and as lenient as its many speakers.

use serde_json::{Map, Value};

use super::refusal::{self, Refusal};
use crate::{Request, Response, StopReason, ToolCall, Usage};

/// Why an answer cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is a refusal, though the status says success.
    Refused(Refusal),
    /// A field is not what it should be.
    Field { field: String, expected: &'static str, found: String },
}

/// Reads a body. Of several choices the first counts.
pub(super) fn parse(body: &[u8], request: &Request) -> Result<Response, Wrong> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| {
        let shown = String::from_utf8_lossy(&body[..body.len().min(1000)]);
        let shown = if body.is_empty() { "nothing".into() } else { shown };
        field("body", "JSON", format!("{shown} ({error})"))
    })?;
    let Some(choice) = answer.get("choices").and_then(|c| c.get(0)) else {
        if answer.get("error").is_some_and(|e| !e.is_null()) {
            return Err(Wrong::Refused(refusal::of_json(&answer)));
        }
        return Err(field("choices", "at least one", shown(answer.get("choices"))));
    };
    let place = "choices[0].message";
    let message = match choice.get("message") {
        Some(Value::Object(message)) => message,
        other => return Err(field(place, "an object", shown(other))),
    };
    let tool_calls = tool_calls(message, request)?;
    Ok(Response {
        text: content(message)?,
        stop: stop(choice, !tool_calls.is_empty())?,
        tool_calls,
        reasoning: reasoning(message),
        refusal: string(message, "refusal"),
        usage: answer.get("usage").and_then(usage),
        model: answer.get("model").and_then(Value::as_str).unwrap_or_default().to_owned(),
        fingerprint: answer.get("system_fingerprint").and_then(Value::as_str).map(str::to_owned),
    })
}

/// A text, nothing, or a list of parts of which those that are text count.
fn content(message: &Map<String, Value>) -> Result<String, Wrong> {
    match message.get("content") {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            Ok(parts.iter().filter_map(|p| p.get("text").and_then(Value::as_str)).collect())
        }
        other => Err(field("choices[0].message.content", "text", shown(other))),
    }
}

fn tool_calls(message: &Map<String, Value>, request: &Request) -> Result<Vec<ToolCall>, Wrong> {
    let calls = match message.get("tool_calls") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(calls)) => calls,
        other => return Err(field("choices[0].message.tool_calls", "a list", shown(other))),
    };
    let mut out: Vec<ToolCall> = Vec::with_capacity(calls.len());
    for (i, call) in calls.iter().enumerate() {
        let place = |name: &str| format!("choices[0].message.tool_calls[{i}].{name}");
        let function = call.get("function");
        let Some(name) = function.and_then(|f| f.get("name")).and_then(Value::as_str) else {
            let found = shown(function.and_then(|f| f.get("name")));
            return Err(field(&place("function.name"), "a name", found));
        };
        let arguments = match function.and_then(|f| f.get("arguments")) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            // Some servers send the object itself.
            Some(object @ Value::Object(_)) => object.to_string(),
            other => return Err(field(&place("function.arguments"), "text", shown(other))),
        };
        // Some servers give no ids, or one twice; results need one to refer to.
        let id = call
            .get("id")
            .and_then(Value::as_str)
            .filter(|id| !id.is_empty() && out.iter().all(|c| c.id != *id))
            .map_or_else(|| format!("call-{}-{i}", request.messages.len()), str::to_owned);
        out.push(ToolCall { id, name: name.to_owned(), arguments });
    }
    Ok(out)
}

fn stop(choice: &Value, calls: bool) -> Result<StopReason, Wrong> {
    let reason = match choice.get("finish_reason") {
        None | Some(Value::Null) => StopReason::Unreported,
        Some(Value::String(reason)) => match reason.as_str() {
            "stop" => StopReason::EndOfTurn,
            "length" => StopReason::Length,
            "tool_calls" | "function_call" => StopReason::ToolCalls,
            "content_filter" => StopReason::ContentFilter,
            other => StopReason::Other(other.to_owned()),
        },
        other => return Err(field("choices[0].finish_reason", "text", shown(other))),
    };
    // Some servers say `stop` after calls too.
    let waits = calls && matches!(reason, StopReason::EndOfTurn | StopReason::Unreported);
    Ok(if waits { StopReason::ToolCalls } else { reason })
}

/// Thoughts, under either of the names that are in use.
fn reasoning(message: &Map<String, Value>) -> Option<String> {
    string(message, "reasoning_content").or_else(|| string(message, "reasoning"))
}

/// A text that is there and not empty.
fn string(message: &Map<String, Value>, name: &str) -> Option<String> {
    message.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn usage(usage: &Value) -> Option<Usage> {
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64);
    Some(Usage {
        prompt_tokens: count("/prompt_tokens")?,
        // Absent where nothing was generated.
        completion_tokens: count("/completion_tokens").unwrap_or(0),
        reasoning_tokens: count("/completion_tokens_details/reasoning_tokens"),
        cached_tokens: count("/prompt_tokens_details/cached_tokens"),
    })
}

fn field(field: &str, expected: &'static str, found: String) -> Wrong {
    Wrong::Field { field: field.to_owned(), expected, found }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<Response, Wrong> {
        parse(body.to_string().as_bytes(), &Request::from_user("u"))
    }

    fn of_message(message: &Value) -> Result<Response, Wrong> {
        read(&json!({ "choices": [{ "message": message, "finish_reason": "stop" }] }))
    }

    fn wrong_field(result: Result<Response, Wrong>) -> String {
        match result {
            Err(Wrong::Field { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_full_answer() {
        let response = read(&json!({
            "id": "x", "object": "chat.completion", "model": "m-1", "system_fingerprint": "fp",
            "choices": [
                { "index": 0, "finish_reason": "tool_calls", "message": {
                    "role": "assistant", "content": null, "reasoning_content": "hm",
                    "tool_calls": [{ "id": "a", "type": "function",
                        "function": { "name": "f", "arguments": "{\"x\": 1}" } }],
                } },
                { "index": 1, "finish_reason": "stop", "message": { "content": "unused" } },
            ],
            "usage": { "prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13,
                "prompt_tokens_details": { "cached_tokens": 8 },
                "completion_tokens_details": { "reasoning_tokens": 3 } },
        }))
        .unwrap();
        let call = ToolCall {
            id: "a".to_owned(),
            name: "f".to_owned(),
            arguments: "{\"x\": 1}".to_owned(),
        };
        let expected = Response {
            reasoning: Some("hm".to_owned()),
            usage: Some(Usage {
                prompt_tokens: 9,
                completion_tokens: 4,
                reasoning_tokens: Some(3),
                cached_tokens: Some(8),
            }),
            fingerprint: Some("fp".to_owned()),
            ..Response::from_calls("m-1", vec![call])
        };
        assert_eq!(response, expected);
    }

    #[test]
    fn dialects_are_understood() {
        let parts = json!({ "content": [{ "type": "text", "text": "a" }, { "type": "x" }, { "text": "b" }] });
        assert_eq!(of_message(&parts).unwrap().text, "ab");
        let thought = json!({ "content": "a", "reasoning": "b", "refusal": "" });
        let thought = of_message(&thought).unwrap();
        assert_eq!((thought.reasoning.as_deref(), thought.refusal), (Some("b"), None));
        let call = json!({ "function": { "name": "f", "arguments": { "x": 1 } } });
        let calls = of_message(&json!({ "tool_calls": [call.clone(), call] })).unwrap();
        let ids: Vec<&str> = calls.tool_calls.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(ids, ["call-1-0", "call-1-1"]);
        assert_eq!(calls.tool_calls[0].arguments, r#"{"x":1}"#);
        assert_eq!(calls.stop, StopReason::ToolCalls);
        let twice = json!({ "id": "a", "function": { "name": "f" } });
        let twice = of_message(&json!({ "tool_calls": [twice.clone(), twice] })).unwrap();
        let ids: Vec<&str> = twice.tool_calls.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(ids, ["a", "call-1-1"]);
        let odd = read(&json!({ "choices": [{ "message": {}, "finish_reason": "eos" }] })).unwrap();
        assert_eq!(odd.stop, StopReason::Other("eos".to_owned()));
        let none = read(&json!({ "choices": [{ "message": {} }], "usage": null })).unwrap();
        assert_eq!((none.stop, none.usage), (StopReason::Unreported, None));
    }

    #[test]
    fn the_first_wrong_field_is_named() {
        assert_eq!(wrong_field(parse(b"{\"choices\": [", &Request::default())), "body");
        assert_eq!(wrong_field(parse(b"", &Request::default())), "body");
        assert_eq!(wrong_field(read(&json!([]))), "choices");
        assert_eq!(wrong_field(read(&json!({ "choices": [], "error": null }))), "choices");
        assert_eq!(wrong_field(read(&json!({ "choices": [{}] }))), "choices[0].message");
        assert_eq!(wrong_field(of_message(&json!({ "content": 1 }))), "choices[0].message.content");
        let calls = "choices[0].message.tool_calls";
        assert_eq!(wrong_field(of_message(&json!({ "tool_calls": {} }))), calls);
        let nameless = json!({ "tool_calls": [{ "id": "a" }] });
        assert_eq!(wrong_field(of_message(&nameless)), format!("{calls}[0].function.name"));
        let listed = json!({ "tool_calls": [{ "function": { "name": "f", "arguments": [] } }] });
        assert_eq!(wrong_field(of_message(&listed)), format!("{calls}[0].function.arguments"));
    }

    #[test]
    fn a_refusal_with_success_is_one() {
        let refused = read(&json!({ "error": { "code": 502, "message": "upstream" } }));
        let expected = Refusal { status: Some(502), code: None, message: "upstream".to_owned() };
        assert_eq!(refused, Err(Wrong::Refused(expected)));
    }

    proptest! {
        /// Bytes exchanged, cut off or added anywhere: an answer or an error, never a panic.
        #[test]
        fn garbled_answers_do_no_harm(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
            tail in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let mut body = br#"{"model": "m", "choices": [{"message": {"content": ["x"], "tool_calls":
                [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2}, "error": {"code": 500}}"#
                .to_vec();
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = byte;
            }
            body.truncate(body.len() / 2 + cut.index(body.len() / 2 + 2));
            body.extend(tail);
            if let Err(Wrong::Field { found, .. }) = parse(&body, &Request::default()) {
                prop_assert!(!found.is_empty());
            }
        }
    }

    #[test]
    fn nesting_ends_somewhere() {
        let deep = "[".repeat(100_000);
        assert_eq!(wrong_field(parse(deep.as_bytes(), &Request::default())), "body");
    }
}
