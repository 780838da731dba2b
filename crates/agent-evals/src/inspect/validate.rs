//! Whether Inspect's reader would take a log.

use jiff::{Timestamp, civil};
use serde_json::Value;

use super::json::is_token;
use crate::{Error, error::snippet};

type Checked = Result<(), Error>;

/// Checks a log that was read into one value, as [`super::InspectLog::read`] does.
///
/// Refused is what Inspect refuses: keys that are missing or of another type, kinds of events that it
/// does not know, scores that are null. Unknown keys are not looked at.
///
/// # Errors
/// [`Error::Log`] naming the first place that is wrong.
pub fn validate(file: &str, log: &Value) -> Checked {
    let at = At { file, path: String::new() };
    at.object(log)?;
    at.optional(log, "version", |at, v| at.is(v, v.is_i64() || v.is_u64(), "an integer"))?;
    at.optional(log, "status", |at, v| {
        at.one_of(v, &["started", "success", "cancelled", "error"])
    })?;
    at.required(log, "eval", eval)?;
    at.nullable(log, "results", results)?;
    at.nullable(log, "error", error)?;
    at.nullable(log, "samples", |at, v| at.each(v, sample))
}

/// A place in a log.
struct At<'a> {
    file: &'a str,
    path: String,
}

impl At<'_> {
    fn to(&self, key: &str) -> Self {
        let path =
            if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { file: self.file, path }
    }

    fn wrong(&self, expected: &str, found: impl Into<String>) -> Error {
        Error::Log {
            file: self.file.to_owned(),
            field: if self.path.is_empty() { "log".to_owned() } else { self.path.clone() },
            expected: expected.to_owned(),
            found: found.into(),
        }
    }

    fn is(&self, value: &Value, right: bool, expected: &str) -> Checked {
        if right { Ok(()) } else { Err(self.wrong(expected, snippet(&value.to_string()))) }
    }

    fn object(&self, value: &Value) -> Checked {
        self.is(value, value.is_object() && !is_token(value), "an object")
    }

    fn text(&self, value: &Value) -> Checked {
        self.is(value, value.is_string(), "a text")
    }

    fn integer(&self, value: &Value) -> Checked {
        let whole = value.as_f64().is_some_and(|n| n.fract() == 0.0);
        let read = value.as_str().is_some_and(|t| t.trim().parse::<i64>().is_ok());
        self.is(value, whole || read || value.is_boolean(), "an integer")
    }

    fn number(&self, value: &Value) -> Checked {
        let read = value.as_str().is_some_and(|t| t.trim().parse::<f64>().is_ok());
        let right = value.is_number() || value.is_boolean() || is_token(value) || read;
        self.is(value, right, "a number")
    }

    fn one_of(&self, value: &Value, allowed: &[&str]) -> Checked {
        let right = value.as_str().is_some_and(|v| allowed.contains(&v));
        self.is(value, right, &format!("one of {}", allowed.join(", ")))
    }

    /// A key that must be there.
    fn required(&self, of: &Value, key: &str, check: impl Fn(&Self, &Value) -> Checked) -> Checked {
        match of.get(key) {
            Some(value) => check(&self.to(key), value),
            None => Err(self.to(key).wrong("a value", "none")),
        }
    }

    /// A key that may be absent, but not null.
    fn optional(&self, of: &Value, key: &str, check: impl Fn(&Self, &Value) -> Checked) -> Checked {
        of.get(key).map_or(Ok(()), |value| check(&self.to(key), value))
    }

    /// A key that may be absent or null.
    fn nullable(&self, of: &Value, key: &str, check: impl Fn(&Self, &Value) -> Checked) -> Checked {
        match of.get(key) {
            None | Some(Value::Null) => Ok(()),
            Some(value) => check(&self.to(key), value),
        }
    }

    fn each(&self, list: &Value, check: impl Fn(&Self, &Value) -> Checked) -> Checked {
        let Some(items) = list.as_array() else {
            return self.is(list, false, "a list");
        };
        items.iter().enumerate().try_for_each(|(i, item)| {
            check(&Self { file: self.file, path: format!("{}[{i}]", self.path) }, item)
        })
    }

    fn each_of(&self, map: &Value, check: impl Fn(&Self, &Value) -> Checked) -> Checked {
        self.object(map)?;
        map.as_object()
            .into_iter()
            .flatten()
            .try_for_each(|(key, value)| check(&self.to(key), value))
    }
}

fn eval(at: &At<'_>, eval: &Value) -> Checked {
    at.object(eval)?;
    at.required(eval, "created", time)?;
    for key in ["task", "model"] {
        at.required(eval, key, At::text)?;
    }
    for key in ["dataset", "config"] {
        at.required(eval, key, At::object)?;
    }
    at.nullable(eval, "metadata", At::object)
}

/// A moment, with or without an offset; Inspect takes one without for UTC.
fn time(at: &At<'_>, value: &Value) -> Checked {
    let text = value.as_str().unwrap_or_default();
    let right = text.is_empty() && value.is_string()
        || text.parse::<Timestamp>().is_ok()
        || text.parse::<civil::DateTime>().is_ok();
    at.is(value, right, "a time such as 2026-01-31T12:00:00+00:00")
}

fn results(at: &At<'_>, results: &Value) -> Checked {
    at.object(results)?;
    at.optional(results, "total_samples", At::integer)?;
    at.optional(results, "completed_samples", At::integer)?;
    at.optional(results, "scores", |at, v| {
        at.each(v, |at, score| {
            at.object(score)?;
            at.required(score, "name", At::text)?;
            at.required(score, "scorer", At::text)?;
            at.optional(score, "metrics", |at, v| {
                at.each_of(v, |at, metric| {
                    at.object(metric)?;
                    at.required(metric, "name", At::text)?;
                    at.required(metric, "value", At::number)
                })
            })
        })
    })
}

fn error(at: &At<'_>, error: &Value) -> Checked {
    at.object(error)?;
    ["message", "traceback", "traceback_ansi"]
        .into_iter()
        .try_for_each(|key| at.required(error, key, At::text))
}

fn sample(at: &At<'_>, sample: &Value) -> Checked {
    at.object(sample)?;
    at.required(sample, "id", |at, v| {
        at.is(v, v.is_string() || v.is_i64() || v.is_u64(), "a text or an integer")
    })?;
    at.required(sample, "epoch", At::integer)?;
    at.required(sample, "input", |at, v| match v {
        Value::Array(_) => at.each(v, message),
        _ => at.is(v, v.is_string(), "a text or a list of messages"),
    })?;
    at.required(sample, "target", |at, v| match v {
        Value::Array(_) => at.each(v, At::text),
        _ => at.is(v, v.is_string(), "a text or a list of texts"),
    })?;
    at.optional(sample, "messages", |at, v| at.each(v, message))?;
    at.optional(sample, "output", output)?;
    at.nullable(sample, "scores", |at, v| at.each_of(v, score))?;
    at.optional(sample, "metadata", At::object)?;
    at.optional(sample, "store", At::object)?;
    at.optional(sample, "events", |at, v| at.each(v, event))?;
    at.nullable(sample, "error", error)?;
    at.nullable(sample, "limit", |at, limit| {
        at.object(limit)?;
        at.required(limit, "type", |at, v| at.one_of(v, LIMITS))?;
        at.required(limit, "limit", At::number)
    })?;
    at.nullable(sample, "events_data", |at, data| {
        at.object(data)?;
        at.optional(data, "messages", |at, v| at.each(v, message))
    })
}

const LIMITS: &[&str] =
    &["context", "time", "working", "message", "token", "turn", "cost", "operator", "custom"];

fn score(at: &At<'_>, score: &Value) -> Checked {
    at.object(score)?;
    at.required(score, "value", |at, v| match v {
        Value::Array(_) => at.each(v, |at, v| at.is(v, is_scalar(v), "a scalar")),
        Value::Object(_) if !is_token(v) => {
            at.each_of(v, |at, v| at.is(v, is_scalar(v) || v.is_null(), "a scalar or null"))
        }
        _ => at.is(v, is_scalar(v), "a number, a text, a list or a map; NaN if there is none"),
    })?;
    for key in ["answer", "explanation"] {
        at.nullable(score, key, At::text)?;
    }
    at.nullable(score, "metadata", At::object)
}

fn is_scalar(value: &Value) -> bool {
    value.is_string() || value.is_number() || value.is_boolean() || is_token(value)
}

fn message(at: &At<'_>, message: &Value) -> Checked {
    at.object(message)?;
    // Inspect guesses a role that is absent.
    at.optional(message, "role", |at, v| at.one_of(v, &["system", "user", "assistant", "tool"]))?;
    at.required(message, "content", |at, v| match v {
        Value::Array(_) => at.each(v, |at, part| {
            at.object(part)?;
            at.required(part, "type", At::text)
        }),
        _ => at.is(v, v.is_string(), "a text or a list of parts"),
    })?;
    if message["role"] == "assistant" {
        at.nullable(message, "tool_calls", |at, v| {
            at.each(v, |at, call| {
                at.object(call)?;
                at.required(call, "id", At::text)?;
                at.required(call, "function", At::text)?;
                at.required(call, "arguments", At::object)
            })
        })?;
    }
    Ok(())
}

fn output(at: &At<'_>, output: &Value) -> Checked {
    const STOPS: &[&str] =
        &["stop", "max_tokens", "model_length", "tool_calls", "content_filter", "unknown"];
    at.object(output)?;
    at.optional(output, "model", At::text)?;
    at.optional(output, "choices", |at, v| {
        at.each(v, |at, choice| {
            at.object(choice)?;
            at.required(choice, "message", |at, v| {
                message(at, v)?;
                at.to("role").is(&v["role"], v["role"] == "assistant", "assistant")
            })?;
            at.optional(choice, "stop_reason", |at, v| at.one_of(v, STOPS))
        })
    })
}

/// Kinds of events, with the keys that each must have.
const EVENTS: &[(&str, &[&str])] = &[
    ("sample_init", &["sample"]),
    ("sample_limit", &["type", "message"]),
    ("sandbox", &["action"]),
    ("state", &["changes"]),
    ("store", &["changes"]),
    ("model", &["model", "input", "tools", "tool_choice", "config", "output"]),
    ("tool", &["id", "function", "arguments"]),
    ("anchor", &[]),
    ("approval", &[]),
    ("branch", &[]),
    ("checkpoint", &[]),
    ("compaction", &[]),
    ("input", &[]),
    ("interrupt", &[]),
    ("score", &["score"]),
    ("score_edit", &[]),
    ("error", &["error"]),
    ("logger", &["message"]),
    ("info", &["data"]),
    ("span_begin", &["id", "name"]),
    ("span_end", &["id"]),
    ("step", &["action", "name"]),
    ("subtask", &["name", "input"]),
];

fn event(at: &At<'_>, event: &Value) -> Checked {
    at.object(event)?;
    at.required(event, "event", |at, v| {
        let names: Vec<&str> = EVENTS.iter().map(|(name, _)| *name).collect();
        at.one_of(v, &names)
    })?;
    let kind = event["event"].as_str().unwrap_or_default();
    let keys = EVENTS.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, keys)| keys);
    keys.iter().try_for_each(|key| at.required(event, key, |_, _| Ok(())))?;
    match kind {
        "score" => at.required(event, "score", score),
        "model" => {
            at.required(event, "input", |at, v| at.each(v, message))?;
            at.required(event, "output", output)
        }
        "tool" => at.required(event, "arguments", At::object),
        _ => Ok(()),
    }
}
