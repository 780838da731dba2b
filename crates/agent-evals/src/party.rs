//! Others in the conversation: what the agent is answered when it has said something.

use std::{fmt, sync::Arc};

use chat_model::{ChatModel, Message, Request, Sampling};
use futures_util::future::BoxFuture;

use crate::{Error, Next, Turn};

/// Somebody whom the agent talks to: a script, a function, another model.
pub trait Counterpart: Send {
    /// What they do after a turn in which the agent called no tools.
    fn reply<'a>(&'a mut self, turn: Turn<'a>) -> BoxFuture<'a, Result<Next, Error>>;
}

/// Says what it was told to say, in turn, then ends the conversation.
#[derive(Debug, Clone)]
pub struct ScriptedParty {
    by: String,
    lines: std::collections::VecDeque<String>,
}

impl ScriptedParty {
    /// A party of this name with these lines.
    pub fn new<T: Into<String>>(by: impl Into<String>, lines: impl IntoIterator<Item = T>) -> Self {
        Self { by: by.into(), lines: lines.into_iter().map(Into::into).collect() }
    }
}

impl Counterpart for ScriptedParty {
    fn reply<'a>(&'a mut self, _turn: Turn<'a>) -> BoxFuture<'a, Result<Next, Error>> {
        let next = match self.lines.pop_front() {
            Some(text) => Next::Say { by: self.by.clone(), text },
            None => Next::End(format!("{} has nothing more to say", self.by)),
        };
        Box::pin(std::future::ready(Ok(next)))
    }
}

/// Another model, which sees the conversation from its own side.
///
/// What the agent said is the user's to it, and what it said itself is its own; what the agent
/// thought, its tools and its system prompt it does not see.
#[derive(Clone)]
pub struct ModelParty {
    by: String,
    model: Arc<dyn ChatModel>,
    prompt: String,
    sampling: Sampling,
    lane: String,
    turns: u64,
    until: Option<String>,
}

impl ModelParty {
    /// A model that speaks as `by`, told who it is by a system prompt, for at most `turns` turns.
    ///
    /// `lane` tells its requests apart from those of other samples: the sample's id will do.
    pub fn new(
        by: impl Into<String>,
        model: Arc<dyn ChatModel>,
        prompt: impl Into<String>,
        turns: u64,
        lane: impl Into<String>,
    ) -> Self {
        let (by, prompt, lane) = (by.into(), prompt.into(), lane.into());
        Self { by, model, prompt, sampling: Sampling::default(), lane, turns, until: None }
    }

    /// The same with other sampling.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// The same, where the conversation ends once it says this.
    #[must_use]
    pub fn until(mut self, word: impl Into<String>) -> Self {
        self.until = Some(word.into());
        self
    }

    /// The conversation as it sees it.
    fn view(&self, conversation: &[Message]) -> Vec<Message> {
        let mut out = vec![Message::system(&self.prompt)];
        for message in conversation {
            let turn = match message {
                Message::Assistant { text, .. } if !text.is_empty() => Message::user(text),
                Message::User { text } => Message::assistant(text),
                _ => continue,
            };
            out.push(turn);
        }
        out
    }
}

impl Counterpart for ModelParty {
    fn reply<'a>(&'a mut self, turn: Turn<'a>) -> BoxFuture<'a, Result<Next, Error>> {
        Box::pin(async move {
            if self.turns == 0 {
                return Ok(Next::End(format!("{} has had its turns", self.by)));
            }
            self.turns -= 1;
            let request = Request {
                messages: self.view(turn.conversation),
                sampling: self.sampling.clone(),
                lane: format!("{}:{}", self.lane, self.by),
                ..Request::default()
            };
            let text = self.model.answer(&request).await?.text;
            Ok(match &self.until {
                Some(word) if text.contains(word.as_str()) => {
                    Next::End(format!("{} said {word}", self.by))
                }
                _ => Next::Say { by: self.by.clone(), text },
            })
        })
    }
}

impl fmt::Debug for ModelParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelParty")
            .field("by", &self.by)
            .field("model", &self.model.model())
            .field("turns", &self.turns)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chat_model::{Response, Scripted};

    use super::*;

    #[tokio::test]
    async fn a_model_sees_its_own_side() {
        let model = Scripted::function("operator", |request, _| {
            let roles: Vec<&str> = request
                .messages
                .iter()
                .map(|m| match m {
                    Message::System { .. } => "s",
                    Message::User { .. } => "u",
                    Message::Assistant { .. } => "a",
                    Message::Tool { .. } => "t",
                })
                .collect();
            Ok(Response::from_text("operator", roles.concat()))
        });
        let conversation = [
            Message::system("secret"),
            Message::user("Why do you need it?"),
            Message::assistant(""),
            Message::tool("c", "result"),
            Message::assistant("For speed."),
        ];
        let turn = Turn { number: 1, conversation: &conversation, called: false };
        let mut party = ModelParty::new("operator", Arc::new(model), "You decide.", 1, "s1");
        let next = party.reply(turn).await.unwrap();
        assert_eq!(next, Next::Say { by: "operator".to_owned(), text: "sau".to_owned() });
        assert!(matches!(party.reply(turn).await.unwrap(), Next::End(_)));
        let mut party = party.until("sau");
        party.turns = 1;
        assert!(matches!(party.reply(turn).await.unwrap(), Next::End(_)));
    }
}
