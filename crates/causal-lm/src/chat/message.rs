//! Turns of a conversation, as templates see them.

use minijinja::Value;
use serde::{Deserialize, Serialize, de::Error as _};
use serde_json::{Map, Value as Json, json};

use super::python::from_json;

/// Names under which the reasoning before an answer is passed; templates read the first or second.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// One turn of a conversation: who speaks, what is said, and what else the template knows.
///
/// # Examples
/// ```
/// use causal_lm::chat::Message;
///
/// let message = Message::assistant("4").with("reasoning_content", "2 and 2 make 4.");
/// assert_eq!((message.role(), message.text()), ("assistant", Some("4")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Message {
    /// Holds a `role`, which is text.
    fields: Map<String, Json>,
}

impl Message {
    /// A message of any role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        let mut fields = Map::new();
        fields.insert("role".into(), json!(role.into()));
        fields.insert("content".into(), json!(content.into()));
        Self { fields }
    }

    /// A message of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }

    /// A message of the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }

    /// The message with one more field, such as `reasoning_content`, `tool_calls` or `name`; a field
    /// of that name is replaced.
    ///
    /// # Panics
    /// If a role is given that is not text.
    #[must_use]
    pub fn with(mut self, field: impl Into<String>, value: impl Into<Json>) -> Self {
        let (field, value) = (field.into(), value.into());
        assert!(field != "role" || value.is_string(), "a role is text");
        self.fields.insert(field, value);
        self
    }

    /// `system`, `user`, `assistant`, or what the template knows besides.
    pub fn role(&self) -> &str {
        self.fields.get("role").and_then(Json::as_str).unwrap_or_default()
    }

    /// What was said, if it is plain text.
    pub fn text(&self) -> Option<&str> {
        self.fields.get("content").and_then(Json::as_str)
    }

    /// All fields in the order in which they were given.
    pub fn fields(&self) -> &Map<String, Json> {
        &self.fields
    }

    /// What the template sees: fields that are null are absent, and reasoning goes by each of the
    /// names that templates read it under. So does the reference library.
    pub(super) fn to_value(&self) -> Value {
        let given = |name: &&str| self.fields.get(*name).filter(|value| !value.is_null());
        let mut seen: Vec<(&str, &Json)> = self
            .fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        if let Some(reasoning) = REASONING.iter().find_map(given) {
            let [name, alias, _] = REASONING;
            if given(&alias).is_none() {
                seen.insert(0, (alias, reasoning));
            }
            seen.retain(|(field, _)| *field != name);
            seen.push((name, reasoning));
        }
        Value::from_pairs(seen.into_iter().map(|(name, value)| (name, from_json(value))))
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Map::deserialize(deserializer)?;
        let Some(role) = fields.get("role") else { return Err(D::Error::missing_field("role")) };
        if !role.is_string() {
            return Err(D::Error::custom(format!("role: expected text, found {role}")));
        }
        match fields.get("content") {
            None | Some(Json::Null | Json::String(_) | Json::Array(_)) => Ok(Self { fields }),
            Some(other) => {
                let expected = "expected text, a list of parts, or null";
                Err(D::Error::custom(format!("content: {expected}, found {other}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_checked_where_they_enter() {
        let read = |text: &str| serde_json::from_str::<Message>(text).map_err(|e| e.to_string());
        let message = read(r#"{"role": "user", "content": "Hi", "name": "Ada"}"#).unwrap();
        assert_eq!(message, Message::user("Hi").with("name", "Ada"));
        assert!(read(r#"{"role": "assistant", "content": null}"#).unwrap().text().is_none());
        assert!(read(r#"{"content": "Hi"}"#).unwrap_err().starts_with("missing field `role`"));
        let error = read(r#"{"role": 3, "content": "Hi"}"#).unwrap_err();
        assert!(error.starts_with("role: expected text, found 3"), "{error}");
        let error = read(r#"{"role": "user", "content": {"a": 1}}"#).unwrap_err();
        assert!(error.starts_with("content: expected text, a list of parts, or null"), "{error}");
    }
}
