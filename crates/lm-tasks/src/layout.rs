//! Which fields a row has, and typed access to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    error::Fault,
    turn::{self, Turn},
};

/// Published layouts of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layout {
    /// TRL prompt-only: `prompt`, as text or as a list of `{role, content}`.
    Prompts,
    /// TRL prompt-completion: `prompt` and `completion`, both as text or both as lists. TRL's TL;DR
    /// is of this kind.
    PromptCompletion,
    /// The filtered TL;DR of `summarize-from-feedback`: `post` and `summary`, with `title` and
    /// `subreddit` if known.
    Posts,
    /// TL;DR as prepared for the models of the N+ release: `query` and `reference_response`.
    QueryReference,
    /// The comparisons of `summarize-from-feedback`: `info` with the post, two `summaries` and the
    /// `choice` between them.
    Comparisons,
    /// Anthropic HH: `chosen` and `rejected`, each a whole dialogue as text.
    Transcripts,
    /// TRL preference: `prompt`, `chosen` and `rejected`, as text or as lists.
    Preferences,
    /// TRL preference with implicit prompt: `chosen` and `rejected`, which begin alike.
    ImplicitPreferences,
    /// GSM8K: `question`, and `answer` with reasoning and a last line `#### N`.
    Gsm8k,
}

impl Layout {
    /// The name used in settings and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompts => "prompts",
            Self::PromptCompletion => "prompt_completion",
            Self::Posts => "posts",
            Self::QueryReference => "query_reference",
            Self::Comparisons => "comparisons",
            Self::Transcripts => "transcripts",
            Self::Preferences => "preferences",
            Self::ImplicitPreferences => "implicit_preferences",
            Self::Gsm8k => "gsm8k",
        }
    }

    /// Whether its rows are preference pairs.
    pub fn has_pairs(self) -> bool {
        match self {
            Self::Comparisons
            | Self::Transcripts
            | Self::Preferences
            | Self::ImplicitPreferences => true,
            Self::Prompts
            | Self::PromptCompletion
            | Self::Posts
            | Self::QueryReference
            | Self::Gsm8k => false,
        }
    }

    /// The layout that a row's fields show; none if they fit no layout.
    ///
    /// Files prepared by others keep the fields of what they were made from, so the most telling
    /// fields are looked for first.
    pub(crate) fn detect(row: &Row) -> Option<Self> {
        let has = |names: &[&str]| names.iter().all(|name| row.get(name).is_some());
        Some(if has(&["info", "summaries", "choice"]) {
            Self::Comparisons
        } else if has(&["query", "reference_response"]) {
            Self::QueryReference
        } else if has(&["post", "summary"]) {
            Self::Posts
        } else if has(&["prompt", "chosen", "rejected"]) {
            Self::Preferences
        } else if has(&["chosen", "rejected"]) {
            match row.get("chosen") {
                Some(Value::String(text)) if text.trim_start().starts_with("Human:") => {
                    Self::Transcripts
                }
                _ => Self::ImplicitPreferences,
            }
        } else if has(&["prompt", "completion"]) {
            Self::PromptCompletion
        } else if has(&["prompt"]) {
            Self::Prompts
        } else if has(&["question", "answer"]) {
            Self::Gsm8k
        } else {
            return None;
        })
    }
}

/// A row's fields. What is `null` counts as absent.
pub(crate) struct Row<'a>(pub(crate) &'a Map<String, Value>);

/// A value that is a text or a conversation.
#[derive(Debug)]
pub(crate) enum TextOrTurns {
    Text(String),
    Turns(Vec<Turn>),
}

impl<'a> Row<'a> {
    pub(crate) fn get(&self, field: &str) -> Option<&'a Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    fn need(&self, field: &str, expected: &str) -> Result<&'a Value, Fault> {
        self.get(field).ok_or_else(|| Fault::new(field, expected, self.instead(field)))
    }

    /// What is there where a field is missing.
    fn instead(&self, field: &str) -> String {
        if self.0.contains_key(field) { "null".into() } else { self.keys() }
    }

    /// All names of fields, for messages.
    pub(crate) fn keys(&self) -> String {
        if self.0.is_empty() {
            return "no fields".into();
        }
        format!("the fields {}", self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
    }

    /// A text as it stands.
    pub(crate) fn raw_text(&self, field: &str) -> Result<&'a str, Fault> {
        let value = self.need(field, "text")?;
        value.as_str().ok_or_else(|| Fault::new(field, "text", describe(value)))
    }

    /// A text that is not empty, without white space around it.
    pub(crate) fn text(&self, field: &str) -> Result<String, Fault> {
        not_empty(field, self.raw_text(field)?)
    }

    /// A text; none if it is absent or empty.
    pub(crate) fn text_if_any(&self, field: &str) -> Result<Option<String>, Fault> {
        if self.get(field).is_none() {
            return Ok(None);
        }
        let text = self.raw_text(field)?.trim();
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    pub(crate) fn number_if_any(&self, field: &str) -> Result<Option<f64>, Fault> {
        let Some(value) = self.get(field) else { return Ok(None) };
        match value.as_f64() {
            Some(number) => Ok(Some(number)),
            None => Err(Fault::new(field, "a finite number", describe(value))),
        }
    }

    pub(crate) fn object(&self, field: &str) -> Result<Row<'a>, Fault> {
        match self.need(field, "an object")? {
            Value::Object(fields) => Ok(Row(fields)),
            other => Err(Fault::new(field, "an object", describe(other))),
        }
    }

    pub(crate) fn list(&self, field: &str) -> Result<&'a [Value], Fault> {
        match self.need(field, "a list")? {
            Value::Array(items) => Ok(items),
            other => Err(Fault::new(field, "a list", describe(other))),
        }
    }

    pub(crate) fn text_or_turns(&self, field: &str) -> Result<TextOrTurns, Fault> {
        let expected = "text or a list of {role, content}";
        match self.need(field, expected)? {
            Value::String(text) => Ok(TextOrTurns::Text(text.clone())),
            Value::Array(list) => Ok(TextOrTurns::Turns(turn::from_list(list, field)?)),
            other => Err(Fault::new(field, expected, describe(other))),
        }
    }

    /// `id` or `prompt_id`, as text or number.
    pub(crate) fn id(&self) -> Option<String> {
        ["id", "prompt_id"].into_iter().find_map(|name| match self.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    }

    /// Texts, numbers and truth values of fields other than those in `used`.
    pub(crate) fn rest(&self, used: &[&str]) -> BTreeMap<String, Value> {
        let scalar = |v: &Value| v.is_string() || v.is_number() || v.is_boolean();
        self.0
            .iter()
            .filter(|(name, value)| scalar(value) && !used.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// A text without white space around it, if anything is left.
pub(crate) fn not_empty(field: &str, text: &str) -> Result<String, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::new(field, "text that is not empty", "no characters but white space"));
    }
    Ok(text.to_owned())
}

/// A value in words, for messages.
pub(crate) fn describe(value: &Value) -> String {
    const MAX_CHARS: usize = 40;
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => {
            let end = if text.chars().nth(MAX_CHARS).is_some() { "…" } else { "" };
            format!("the text \"{}{end}\"", text.chars().take(MAX_CHARS).collect::<String>())
        }
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(fields) => Row(fields).keys().replace("the fields", "an object with"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_most_telling_fields_decide() {
        let detect = |row: Value| Layout::detect(&Row(row.as_object().unwrap()));
        assert_eq!(detect(json!({"prompt": "a"})), Some(Layout::Prompts));
        assert_eq!(
            detect(json!({"prompt": "a", "completion": "b", "label": true})),
            Some(Layout::PromptCompletion)
        );
        let made = json!({"id": "a", "post": "b", "summary": "c", "query": "d", "reference_response": "e"});
        assert_eq!(detect(made), Some(Layout::QueryReference));
        let made =
            json!({"info": {}, "summaries": [], "choice": 0, "chosen": "a", "rejected": "b"});
        assert_eq!(detect(made), Some(Layout::Comparisons));
        let hh = json!({"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": ""});
        assert_eq!(detect(hh), Some(Layout::Transcripts));
        assert_eq!(
            detect(json!({"chosen": "a", "rejected": "b"})),
            Some(Layout::ImplicitPreferences)
        );
        assert_eq!(
            detect(json!({"prompt": null, "chosen": [], "rejected": []})),
            Some(Layout::ImplicitPreferences)
        );
        assert_eq!(detect(json!({"question": "a", "answer": "#### 1"})), Some(Layout::Gsm8k));
        assert_eq!(detect(json!({"text": "a"})), None);
    }

    #[test]
    fn faults_say_what_is_there() {
        let value = json!({"a": 1, "b": null, "c": " ", "d": "x"});
        let row = Row(value.as_object().unwrap());
        assert_eq!(row.text("a"), Err(Fault::new("a", "text", "the number 1")));
        assert_eq!(row.text("b"), Err(Fault::new("b", "text", "null")));
        assert_eq!(row.text("e"), Err(Fault::new("e", "text", "the fields a, b, c, d")));
        assert_eq!(row.text("c").unwrap_err().expected, "text that is not empty");
        assert_eq!(row.number_if_any("d").unwrap_err().found, "the text \"x\"");
        assert_eq!(row.rest(&["a"]).len(), 2);
    }

    #[test]
    fn names_are_those_of_settings() {
        for layout in [
            Layout::Prompts,
            Layout::PromptCompletion,
            Layout::Posts,
            Layout::QueryReference,
            Layout::Comparisons,
            Layout::Transcripts,
            Layout::Preferences,
            Layout::ImplicitPreferences,
            Layout::Gsm8k,
        ] {
            assert_eq!(serde_json::to_value(layout).unwrap(), layout.name());
        }
    }
}
