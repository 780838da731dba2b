//! What is left of a sample for those who judge it.

use std::sync::Arc;

use chat_model::{Message, Response, ToolCall};
use serde_json::Value;

use crate::{Ending, Event, Key, Reply, Sample, ToolOutcome, What, agent::turn_messages};

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
    let mut out = Vec::new();
    let mut textual = Vec::new();
    let mut native = true;
    for event in events {
        match &event.what {
            What::Begin(begin) => out.clone_from(&begin.opening),
            What::Model { reply: Reply::Answer(response), .. } => {
                out.append(&mut textual);
                native = !response.tool_calls.is_empty();
                out.push(response.to_message());
            }
            What::Tool { call, outcome, .. } => {
                if native {
                    out.push(Message::tool(&call.id, outcome.to_text()));
                } else {
                    turn_messages(&mut textual, call, outcome);
                }
            }
            What::Reaction(crate::Next::Say { text, .. }) => {
                out.append(&mut textual);
                out.push(Message::user(text));
            }
            _ => {}
        }
    }
    out.append(&mut textual);
    out
}
