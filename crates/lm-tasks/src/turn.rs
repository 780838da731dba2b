//! Turns of a conversation.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{error::Fault, layout::describe};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The text before the conversation.
    System,
    /// The human.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said, without white space around it.
    pub content: String,
}

impl Turn {
    /// A turn of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: Role::User, content: content.into() }
    }

    /// A turn of the assistant.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: Role::Assistant, content: content.into() }
    }
}

/// Turns from a list of `{role, content}`; `field` is what the list is called.
pub(crate) fn from_list(list: &[Value], field: &str) -> Result<Vec<Turn>, Fault> {
    list.iter().enumerate().map(|(i, value)| one(value, &format!("{field}[{i}]"))).collect()
}

fn one(value: &Value, field: &str) -> Result<Turn, Fault> {
    let Value::Object(object) = value else {
        return Err(Fault::new(field, "an object with role and content", describe(value)));
    };
    let role = match object.get("role").and_then(Value::as_str) {
        Some("system") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => {
            let found = object.get("role").map_or("nothing".into(), describe);
            return Err(Fault::new(
                format!("{field}.role"),
                "`system`, `user` or `assistant`",
                found,
            ));
        }
    };
    match object.get("content") {
        Some(Value::String(content)) => Ok(Turn { role, content: content.trim().to_owned() }),
        other => {
            let found = other.map_or("nothing".into(), describe);
            Err(Fault::new(format!("{field}.content"), "text", found))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn turns_are_checked_one_by_one() {
        let read = |value: Value| from_list(value.as_array().unwrap(), "prompt");
        let good = json!([{"role": "user", "content": " Hi\n", "name": "Ada"}]);
        assert_eq!(read(good), Ok(vec![Turn::user("Hi")]));
        let fault = read(json!([{"role": "user", "content": "Hi"}, {"role": "bot"}])).unwrap_err();
        assert_eq!(fault.field, "prompt[1].role");
        assert_eq!(fault.found, "the text \"bot\"");
        let fault = read(json!([{"role": "user", "content": 4}])).unwrap_err();
        assert_eq!(
            (fault.field.as_str(), fault.found.as_str()),
            ("prompt[0].content", "the number 4")
        );
        let fault = read(json!(["Hi"])).unwrap_err();
        assert_eq!(fault.expected, "an object with role and content");
    }
}
