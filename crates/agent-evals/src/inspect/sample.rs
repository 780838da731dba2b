//! One sample in Inspect's form.

use std::collections::HashMap;

use chat_model::{Message, Response, StopReason, ToolCall, Usage};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::json;
use crate::{Ending, Finished, LimitKind, Reached, Refusal, Reply, ToolOutcome, What, trace::Talk};

/// The sample as JSON text, and its summary as well.
pub(super) fn write(finished: &Finished, id: &str) -> (String, String) {
    let (start, finish, trace) = (&finished.start, &finished.finish, &finished.trace);
    let began: Timestamp = start.started.parse().unwrap_or_default();
    let (messages, events) = events(finished, began);
    let last = trace.answers().next_back();
    let usage = usage(finished);
    let mut metadata = start.sample.metadata.clone();
    for (key, value) in [
        ("scenario", start.key.scenario.as_str()),
        ("persona", start.key.persona.as_str()),
        ("sample", start.key.sample.as_str()),
        ("cluster", start.sample.cluster()),
    ] {
        metadata.insert(key.to_owned(), value.into());
    }
    metadata.insert("evidence".to_owned(), trace.evidence().clone());
    let (mut error, mut limit) = (Value::Null, Value::Null);
    match trace.ending() {
        Some(Ending::Failed(reason)) => error = self::error(reason),
        Some(Ending::Limit(reached)) => limit = self::limit(reached),
        _ => {}
    }
    let common = json!({
        "id": id,
        "epoch": start.key.epoch,
        "input": start.sample.input,
        "target": start.sample.target,
        "metadata": metadata,
        "model_usage": { (start.key.agent.as_str()): usage },
        "started_at": time(began),
        "completed_at": finish.finished.parse().map_or(Value::Null, time),
        "total_time": finish.spent.wall_s,
        "working_time": finish.spent.working_s.min(finish.spent.wall_s),
    });
    let mut whole = common.clone();
    whole["messages"] = Value::from(messages.clone());
    whole["output"] = last.map_or_else(|| json!({ "model": start.key.agent }), output);
    whole["store"] = json!({});
    whole["events"] = events.into();
    whole["events_data"] = json!({ "messages": messages, "calls": [] });
    whole["error"] = error;
    whole["limit"] = limit.clone();
    whole["turn_count"] = finish.spent.turns.into();
    let mut summary = common;
    summary["error"] = whole["error"]["message"].clone();
    summary["limit"] = limit["type"].clone();
    summary["completed"] = true.into();
    summary["message_count"] = finish.spent.messages.into();
    let scores = json::scores(finish.scores.iter());
    let with_scores = |value: &Value| {
        let text = value.to_string();
        format!("{},\"scores\":{scores}}}", &text[..text.len() - 1])
    };
    (with_scores(&whole), with_scores(&summary))
}

/// The conversation, and the events with references into it.
fn events(finished: &Finished, began: Timestamp) -> (Vec<Value>, Vec<Value>) {
    let (start, mut talk) = (&finished.start, Talk::default());
    let mut out = Vec::new();
    let mut native = HashMap::new();
    let tools: Vec<Value> = Vec::new();
    let mut specs = tools;
    for (i, event) in finished.trace.events.iter().enumerate() {
        let shown = talk.push(&event.what);
        // No clock shows a time beyond the calendar; a journal that was touched may.
        let passed = SignedDuration::from_micros(i64::try_from(event.at_us).unwrap_or(0));
        let at = began.checked_add(passed).unwrap_or(began);
        let mut add = |kind: &str, fields: Value| {
            let mut one = json!({
                "event": kind,
                "uuid": format!("{}-{i}", start.run),
                "timestamp": time(at),
                "working_start": event.at_us as f64 / 1e6,
            });
            if let (Value::Object(one), Value::Object(fields)) = (&mut one, fields) {
                one.extend(fields);
            }
            out.push(one);
        };
        match &event.what {
            What::Begin(begin) => {
                specs = begin
                    .tools
                    .iter()
                    .map(|t| {
                        json!({
                            "name": t.name,
                            "description": t.description,
                            "parameters": parameters(&t.parameters),
                        })
                    })
                    .collect();
                let sample = json!({
                    "id": start.sample.id,
                    "input": start.sample.input,
                    "target": start.sample.target,
                    "metadata": start.sample.metadata,
                });
                add("sample_init", json!({ "sample": sample, "state": { "seed": begin.seed } }));
            }
            What::Model { took_us, reply, .. } => {
                let mut fields = json!({
                    "model": start.key.agent,
                    "input": [],
                    "input_refs": [[0, shown]],
                    "tools": specs,
                    "tool_choice": "auto",
                    "config": {},
                    "working_time": *took_us as f64 / 1e6,
                });
                match reply {
                    Reply::Answer(response) => {
                        for call in &response.tool_calls {
                            native.insert(call.id.clone(), call.name.clone());
                        }
                        fields["output"] = output(response);
                    }
                    Reply::Failed(error) => {
                        fields["output"] = json!({ "model": start.key.agent });
                        fields["error"] = error.to_string().into();
                    }
                }
                add("model", fields);
            }
            What::Tool { call, took_us, outcome } => {
                let (arguments, _) = arguments(call);
                let mut fields = json!({
                    "id": call.id,
                    "function": call.name,
                    "arguments": arguments,
                    "working_time": *took_us as f64 / 1e6,
                });
                match outcome {
                    ToolOutcome::Output { text, facts } => {
                        fields["result"] = text.as_str().into();
                        fields["metadata"] = facts.clone().into();
                    }
                    ToolOutcome::Refused { kind, message } => {
                        fields["result"] = "".into();
                        fields["error"] = json!({ "type": refusal(*kind), "message": message });
                    }
                }
                add("tool", fields);
            }
            What::Reaction(next) => add("info", json!({ "source": "reaction", "data": next })),
            What::Observed(evidence) => {
                add("info", json!({ "source": "evidence", "data": evidence }));
            }
            What::End(ending) => add("info", json!({ "source": "end", "data": ending })),
        }
    }
    let messages = talk.finish().iter().map(|m| message(m, &native)).collect();
    (messages, out)
}

/// Inspect takes only schemas of objects that say so.
fn parameters(schema: &Value) -> Value {
    let or = |value: &Value, default: Value| if value.is_null() { default } else { value.clone() };
    json!({
        "type": "object",
        "properties": or(&schema["properties"], json!({})),
        "required": or(&schema["required"], json!([])),
    })
}

fn message(message: &Message, functions: &HashMap<String, String>) -> Value {
    match message {
        Message::System { text } => json!({ "role": "system", "content": text }),
        Message::User { text } => json!({ "role": "user", "content": text }),
        Message::Assistant { text, tool_calls, reasoning } => {
            assistant(text, tool_calls, reasoning.as_deref())
        }
        Message::Tool { call_id, text } => json!({
            "role": "tool",
            "content": text,
            "tool_call_id": call_id,
            "function": functions.get(call_id),
        }),
    }
}

fn assistant(text: &str, calls: &[ToolCall], reasoning: Option<&str>) -> Value {
    let content = match reasoning {
        Some(reasoning) => json!([
            { "type": "reasoning", "reasoning": reasoning },
            { "type": "text", "text": text },
        ]),
        None => text.into(),
    };
    let mut out = json!({ "role": "assistant", "content": content, "source": "generate" });
    if !calls.is_empty() {
        let call = |call: &ToolCall| {
            let (arguments, unread) = arguments(call);
            json!({
                "id": call.id,
                "function": call.name,
                "arguments": arguments,
                "parse_error": unread,
                "type": "function",
            })
        };
        out["tool_calls"] = calls.iter().map(call).collect();
    }
    out
}

/// The arguments of a call; what they are instead if they cannot be read.
fn arguments(call: &ToolCall) -> (Value, Option<&str>) {
    match call.parse_arguments() {
        Ok(arguments) => (arguments.into(), None),
        Err(_) => (json!({}), Some(&call.arguments)),
    }
}

fn output(response: &Response) -> Value {
    let stop = match &response.stop {
        StopReason::EndOfTurn => "stop",
        StopReason::Length => "max_tokens",
        StopReason::ToolCalls => "tool_calls",
        StopReason::ContentFilter => "content_filter",
        StopReason::Unreported | StopReason::Other(_) => "unknown",
    };
    let said = match response.to_message() {
        Message::Assistant { text, tool_calls, reasoning } => {
            assistant(&text, &tool_calls, reasoning.as_deref())
        }
        _ => Value::Null,
    };
    json!({
        "model": response.model,
        "choices": [{ "message": said, "stop_reason": stop }],
        "completion": response.text,
        "usage": response.usage.as_ref().map(tokens),
    })
}

fn tokens(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens.saturating_add(usage.completion_tokens),
        "input_tokens_cache_read": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    })
}

/// What a sample spent, in Inspect's words.
pub(super) fn usage(finished: &Finished) -> Value {
    let spent = &finished.finish.spent;
    json!({
        "input_tokens": spent.prompt_tokens,
        "output_tokens": spent.tokens.saturating_sub(spent.prompt_tokens),
        "total_tokens": spent.tokens,
        "total_cost": (spent.cost > 0.0).then_some(spent.cost),
    })
}

fn limit(reached: &Reached) -> Value {
    let kind = match reached.kind {
        LimitKind::Turns => "turn",
        LimitKind::Messages => "message",
        LimitKind::Tokens => "token",
        LimitKind::Wall => "time",
        LimitKind::Working => "working",
        LimitKind::Cost => "cost",
    };
    json!({ "type": kind, "limit": reached.limit })
}

fn refusal(kind: Refusal) -> &'static str {
    match kind {
        Refusal::Arguments => "parsing",
        Refusal::NotFound => "file_not_found",
        Refusal::Permission => "permission",
        Refusal::Timeout => "timeout",
        Refusal::Limit => "limit",
        Refusal::UnknownTool | Refusal::Failed => "unknown",
    }
}

fn error(reason: &str) -> Value {
    json!({ "message": reason, "traceback": reason, "traceback_ansi": reason })
}

/// A time as Inspect writes it.
pub(super) fn time(at: Timestamp) -> Value {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string().into()
}
