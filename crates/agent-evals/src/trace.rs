//! What is left of a sample for those who judge it.

use std::sync::Arc;

use chat_model::{Message, Response, ToolCall};
use serde_json::Value;

use crate::{Ending, Event, Key, Next, Reply, Sample, ToolOutcome, What, agent::turn_messages};

/// Everything that happened in a sample that has ended.
///
/// It is read off the event stream alone, so that a sample from a journal is judged exactly as one
/// that has just run.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Which sample of the run.
    pub key: Key,
    /// The sample.
    pub sample: Arc<Sample>,
    /// All events, oldest first.
    pub events: Vec<Event>,
}

impl Trace {
    /// The conversation in the end.
    pub fn conversation(&self) -> Vec<Message> {
        conversation(&self.events)
    }

    /// Answers of the agent's model, oldest first.
    pub fn answers(&self) -> impl DoubleEndedIterator<Item = &Response> {
        self.events.iter().filter_map(|e| match &e.what {
            What::Model { reply: Reply::Answer(response), .. } => Some(&**response),
            _ => None,
        })
    }

    /// Calls of tools with what came of them, oldest first.
    pub fn calls(&self) -> impl DoubleEndedIterator<Item = (&ToolCall, &ToolOutcome)> {
        self.events.iter().filter_map(|e| match &e.what {
            What::Tool { call, outcome, .. } => Some((call, outcome)),
            _ => None,
        })
    }

    /// The state in the end; null if it was not looked at.
    pub fn evidence(&self) -> &Value {
        const NOTHING: &Value = &Value::Null;
        self.events
            .iter()
            .rev()
            .find_map(|e| match &e.what {
                What::Observed(evidence) => Some(evidence),
                _ => None,
            })
            .unwrap_or(NOTHING)
    }

    /// Why it ended; none if it was cut off.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.events.last()?.what {
            What::End(ending) => Some(ending),
            _ => None,
        }
    }
}

/// The conversation that a stream of events tells.
pub(crate) fn conversation(events: &[Event]) -> Vec<Message> {
    let mut talk = Talk::default();
    for event in events {
        talk.push(&event.what);
    }
    talk.finish()
}

/// A conversation that grows with the events.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    messages: Vec<Message>,
    /// Results of calls that were written in text: one turn of the user's in the end.
    results: Vec<Message>,
    textual: bool,
}

impl Talk {
    /// Takes in the next event. For an answer of the model's: how many turns it was shown.
    pub(crate) fn push(&mut self, what: &What) -> usize {
        if !matches!(what, What::Tool { .. }) {
            self.messages.append(&mut self.results);
        }
        let shown = self.messages.len();
        match what {
            What::Begin(begin) => self.messages.clone_from(&begin.opening),
            What::Model { reply: Reply::Answer(response), .. } => {
                self.textual = response.tool_calls.is_empty();
                self.messages.push(response.to_message());
            }
            What::Tool { call, outcome, .. } if self.textual => {
                turn_messages(&mut self.results, call, outcome);
            }
            What::Tool { call, outcome, .. } => {
                self.results.push(Message::tool(&call.id, outcome.to_text()));
            }
            What::Reaction(Next::Say { text, .. }) => self.messages.push(Message::user(text)),
            _ => {}
        }
        shown
    }

    pub(crate) fn finish(mut self) -> Vec<Message> {
        self.messages.append(&mut self.results);
        self.messages
    }
}
