//! Who the agent is told to be: text before the system prompt, and nothing else.

use chat_model::Message;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A character that is put on by words alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Persona {
    /// Its name.
    pub name: String,
    /// What is put before the system prompt; empty for nobody in particular.
    pub text: String,
}

/// Stands between a persona and what follows it.
const BREAK: &str = "\n\n";

impl Persona {
    /// Nobody in particular: every prompt stays as it is, to the byte.
    pub fn none() -> Self {
        Self { name: "none".to_owned(), text: String::new() }
    }

    /// One persona out of several, in their order; their names are joined by `+`.
    ///
    /// Those without text leave no trace in the prompt.
    pub fn chain(personas: &[Self]) -> Self {
        let texts: Vec<&str> =
            personas.iter().map(|p| p.text.as_str()).filter(|t| !t.is_empty()).collect();
        let names: Vec<&str> = personas.iter().map(|p| p.name.as_str()).collect();
        if names.is_empty() {
            return Self::none();
        }
        Self { name: names.join("+"), text: texts.join(BREAK) }
    }

    /// Puts the persona before the system prompt of a conversation.
    ///
    /// Without a system turn at its beginning the persona becomes one.
    ///
    /// # Errors
    /// [`Error::Config`] if there is nothing to begin with.
    pub fn put_before(&self, mut conversation: Vec<Message>) -> Result<Vec<Message>, Error> {
        if conversation.is_empty() {
            return Err(Error::config("opening", "at least one turn", "none"));
        }
        if self.text.is_empty() {
            return Ok(conversation);
        }
        if let Message::System { text } = &mut conversation[0] {
            *text = if text.is_empty() {
                self.text.clone()
            } else {
                format!("{}{BREAK}{text}", self.text)
            };
        } else {
            conversation.insert(0, Message::system(&self.text));
        }
        Ok(conversation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn persona(name: &str, text: &str) -> Persona {
        Persona { name: name.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn none_changes_nothing() {
        let with = vec![Message::system("  Work.\n"), Message::user("u")];
        let without = vec![Message::user("u")];
        for conversation in [with, without] {
            for nobody in [Persona::none(), Persona::chain(&[]), Persona::chain(&[Persona::none()])]
            {
                assert_eq!(nobody.put_before(conversation.clone()).unwrap(), conversation);
            }
        }
    }

    #[test]
    fn order_is_kept() {
        let (a, b) = (persona("a", "You are A."), persona("b", "You are B."));
        let both = Persona::chain(&[a, Persona::none(), b]);
        assert_eq!(both.name, "a+none+b");
        let put = both.put_before(vec![Message::system("Work.")]).unwrap();
        assert_eq!(put, [Message::system("You are A.\n\nYou are B.\n\nWork.")]);
        let put = both.put_before(vec![Message::user("u")]).unwrap();
        assert_eq!(put, [Message::system("You are A.\n\nYou are B."), Message::user("u")]);
        assert!(both.put_before(vec![]).is_err());
    }
}
