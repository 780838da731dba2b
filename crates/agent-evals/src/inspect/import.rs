//! Logs of Inspect's, read.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read as _},
    path::Path,
};

use chat_model::{Message, ToolCall};
use serde_json::{Map, Value};
use zip::ZipArchive;

use super::{json, validate};
use crate::{Error, Score, error::parsed};

/// An entry or a file larger than this is not read.
const MAX_BYTES: u64 = 4 << 30;

/// A log of Inspect's.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InspectLog {
    /// Everything but the samples.
    pub header: Value,
    /// The samples, in the log's order.
    pub samples: Vec<Imported>,
}

/// A sample of Inspect's.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Imported {
    /// Its id.
    pub id: String,
    /// Counted from 1.
    pub epoch: u32,
    /// What it asks, if that is a text.
    pub input: String,
    /// What would be right.
    pub target: Vec<String>,
    /// The conversation in the end. Of parts that are not text nothing is kept.
    pub conversation: Vec<Message>,
    /// Its scores.
    pub scores: BTreeMap<String, Score>,
    /// What else is known of it.
    pub metadata: Map<String, Value>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// The limit that ended it, if one did.
    pub limit: Option<String>,
}

impl InspectLog {
    /// Reads a log, `.eval` or `.json`, and checks it.
    ///
    /// A log of a run that was killed, which has no header yet, is read as `started`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Log`] naming the place that is wrong.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut log = read(path)?;
        validate(&path.display().to_string(), &log)?;
        let samples = match log.as_object_mut().and_then(|log| log.shift_remove("samples")) {
            Some(Value::Array(samples)) => samples.iter().map(imported).collect(),
            _ => Vec::new(),
        };
        Ok(Self { header: log, samples })
    }
}

/// The whole log as one value.
fn read(path: &Path) -> Result<Value, Error> {
    let mut file = BufReader::new(File::open(path).map_err(Error::io("read", path))?);
    let mut start = [0; 2];
    let n = file.read(&mut start).map_err(Error::io("read", path))?;
    if &start[..n] != b"PK" {
        let mut text = start[..n].to_vec();
        file.take(MAX_BYTES).read_to_end(&mut text).map_err(Error::io("read", path))?;
        return json::read(&text).map_err(|e| wrong(path, "log", "JSON", parsed(e)));
    }
    let file = File::open(path).map_err(Error::io("read", path))?;
    let broken = |e: zip::result::ZipError| wrong(path, "log", "a whole zip archive", parsed(e));
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    let names = zip.file_names().map(|name| name.map(std::borrow::Cow::into_owned));
    let names: Vec<String> = names.collect::<Result<_, _>>().map_err(broken)?;
    let has = |name: &str| names.iter().any(|n| n == name);
    let mut log = if has("header.json") {
        entry(path, &mut zip, "header.json")?
    } else if has("_journal/start.json") {
        let mut start = entry(path, &mut zip, "_journal/start.json")?;
        if let Some(start) = start.as_object_mut() {
            start.insert("status".to_owned(), "started".into());
        }
        start
    } else {
        let expected = "header.json or _journal/start.json";
        return Err(wrong(path, "log", expected, "neither".to_owned()));
    };
    let mut samples = Vec::new();
    for name in &names {
        let Some(sample) = name.strip_prefix("samples/") else { continue };
        if sample.contains('/') {
            let found = "one in several".to_owned();
            return Err(wrong(path, name, "each sample in one entry", found));
        }
        if Path::new(sample).extension().is_some_and(|e| e == "json") {
            samples.push(entry(path, &mut zip, name)?);
        }
    }
    let Some(log_object) = log.as_object_mut() else {
        return Err(wrong(
            path,
            "header.json",
            "an object",
            crate::error::snippet(&log.to_string()),
        ));
    };
    log_object.insert("samples".to_owned(), samples.into());
    Ok(log)
}

fn entry(path: &Path, zip: &mut ZipArchive<BufReader<File>>, name: &str) -> Result<Value, Error> {
    let wrong = |found: String| wrong(path, name, "JSON", found);
    let entry = zip.by_name(name).map_err(|e| wrong(parsed(e)))?;
    let mut text = Vec::new();
    let read = entry.take(MAX_BYTES + 1).read_to_end(&mut text);
    read.map_err(|e| wrong(parsed(e)))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(wrong(format!("more than {MAX_BYTES} bytes")));
    }
    json::read(&text).map_err(|e| wrong(parsed(e)))
}

fn imported(sample: &Value) -> Imported {
    let attachments = sample["attachments"].as_object();
    let resolve = |text: &str| {
        let attached = text.strip_prefix("attachment://").and_then(|id| attachments?.get(id));
        attached.and_then(Value::as_str).unwrap_or(text).to_owned()
    };
    let list = |value: &Value| match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(resolve).collect(),
        Value::String(text) => vec![resolve(text)],
        _ => Vec::new(),
    };
    let messages = sample["messages"].as_array().into_iter().flatten();
    let scores = sample["scores"].as_object().into_iter().flatten();
    let id = match &sample["id"] {
        Value::String(id) => id.clone(),
        other => other.to_string(),
    };
    Imported {
        id,
        epoch: sample["epoch"].as_f64().map_or(1, |n| n as u32),
        input: sample["input"].as_str().map(resolve).unwrap_or_default(),
        target: list(&sample["target"]),
        conversation: messages.map(|m| message(m, &resolve)).collect(),
        scores: scores.map(|(name, score)| (name.clone(), json::score(score))).collect(),
        metadata: sample["metadata"].as_object().cloned().unwrap_or_default(),
        error: sample["error"]["message"].as_str().map(str::to_owned),
        limit: sample["limit"]["type"].as_str().map(str::to_owned),
    }
}

fn message(message: &Value, resolve: &dyn Fn(&str) -> String) -> Message {
    let (mut text, mut reasoning) = (String::new(), None);
    match &message["content"] {
        Value::String(content) => text = resolve(content),
        parts => {
            for part in parts.as_array().into_iter().flatten() {
                match part["type"].as_str() {
                    Some("text") => text += &resolve(part["text"].as_str().unwrap_or_default()),
                    Some("reasoning") => {
                        let thought = resolve(part["reasoning"].as_str().unwrap_or_default());
                        reasoning.get_or_insert_with(String::new).push_str(&thought);
                    }
                    _ => {}
                }
            }
        }
    }
    match message["role"].as_str() {
        Some("system") => Message::system(text),
        Some("tool") => Message::tool(message["tool_call_id"].as_str().unwrap_or_default(), text),
        Some("assistant") => {
            let call = |call: &Value| ToolCall {
                id: call["id"].as_str().unwrap_or_default().to_owned(),
                name: call["function"].as_str().unwrap_or_default().to_owned(),
                arguments: call["parse_error"]
                    .as_str()
                    .map_or_else(|| call["arguments"].to_string(), str::to_owned),
            };
            let calls = message["tool_calls"].as_array().into_iter().flatten();
            Message::Assistant { text, tool_calls: calls.map(call).collect(), reasoning }
        }
        _ => Message::user(text),
    }
}

fn wrong(path: &Path, field: &str, expected: &str, found: String) -> Error {
    Error::Log {
        file: path.display().to_string(),
        field: field.to_owned(),
        expected: expected.to_owned(),
        found,
    }
}
