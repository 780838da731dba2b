//! The world as it was recorded.

use std::time::Duration;

use chat_model::{Request, ToolCall};
use serde_json::Value;

use super::world::{Stop, World};
use crate::{Begin, Ending, Error, Event, LimitKind, Next, Reply, ToolOutcome, Turn, What};

/// Gives back what is in a recording, in its order, and refuses to do anything else.
pub(crate) struct Replayed<'a> {
    recorded: &'a [Event],
    events: Vec<Event>,
}

impl<'a> Replayed<'a> {
    pub(crate) fn new(recorded: &'a [Event]) -> Self {
        Self { recorded, events: Vec::with_capacity(recorded.len()) }
    }

    pub(crate) fn into_events(self) -> Vec<Event> {
        self.events
    }

    fn at(&self, ahead: usize) -> Option<&'a What> {
        self.recorded.get(self.events.len() + ahead).map(|e| &e.what)
    }

    /// What it means that something else than `wanted` was recorded next.
    fn otherwise(&self, wanted: &str) -> Stop {
        match self.end() {
            Some(Ending::Limit(reached)) if is_time(reached.kind) => Stop::Cut,
            Some(Ending::Failed(reason)) => Stop::Failed(reason.clone()),
            _ => self.diverged(wanted),
        }
    }

    /// The end, if nothing else comes but the state, which is looked at before it.
    fn end(&self) -> Option<&'a Ending> {
        let next = match self.at(0) {
            Some(What::Observed(_)) => self.at(1),
            next => next,
        };
        match next {
            Some(What::End(ending)) => Some(ending),
            _ => None,
        }
    }

    fn diverged(&self, found: &str) -> Stop {
        Stop::Abort(Error::Diverged {
            event: self.events.len(),
            expected: self.at(0).map_or("nothing", What::name).to_owned(),
            found: found.to_owned(),
        })
    }
}

fn is_time(kind: LimitKind) -> bool {
    matches!(kind, LimitKind::Wall | LimitKind::Working)
}

impl World for Replayed<'_> {
    async fn begin(&mut self) -> Result<Begin, Stop> {
        match self.at(0) {
            Some(What::Begin(begin)) => Ok((**begin).clone()),
            _ => Err(self.otherwise("a beginning")),
        }
    }

    async fn ask(
        &mut self,
        _request: &Request,
        asked: &str,
        _left: Option<Duration>,
    ) -> Result<(Reply, u64), Stop> {
        match self.at(0) {
            Some(What::Model { asked: before, took_us, reply }) if before == asked => {
                Ok((reply.clone(), *took_us))
            }
            Some(What::Model { .. }) => Err(self.diverged("another conversation")),
            _ => Err(self.otherwise("a request")),
        }
    }

    fn together(&self, _calls: &[ToolCall]) -> usize {
        1
    }

    async fn call(
        &mut self,
        calls: &[ToolCall],
        _max_bytes: usize,
        _left: Option<Duration>,
    ) -> Result<Vec<(ToolOutcome, u64)>, Stop> {
        let one = |(i, call): (usize, &ToolCall)| match self.at(i) {
            Some(What::Tool { call: before, took_us, outcome }) if before == call => {
                Ok((outcome.clone(), *took_us))
            }
            Some(What::Tool { .. }) => Err(self.diverged("another call")),
            _ => Err(self.otherwise("the call of a tool")),
        };
        calls.iter().enumerate().map(one).collect()
    }

    async fn react(&mut self, _turn: Turn<'_>, _left: Option<Duration>) -> Result<Next, Stop> {
        if let Some(What::Reaction(next)) = self.at(0) {
            return Ok(next.clone());
        }
        // A reaction that was cut off or failed left nothing but the end.
        match self.end() {
            Some(Ending::Limit(reached)) if reached.spent > reached.limit => Ok(Next::Continue),
            Some(Ending::Limit(reached)) if is_time(reached.kind) => Err(Stop::Cut),
            Some(Ending::Failed(reason)) => Err(Stop::Failed(reason.clone())),
            _ => Ok(Next::Continue),
        }
    }

    async fn observe(&mut self) -> Result<Value, Stop> {
        match self.at(0) {
            Some(What::Observed(evidence)) => Ok(evidence.clone()),
            _ => Err(self.otherwise("the final state")),
        }
    }

    fn record(&mut self, what: What) -> Result<u64, Stop> {
        let Some(recorded) = self.recorded.get(self.events.len()) else {
            return Err(self.diverged(what.name()));
        };
        // What is put down is what the loop made of it, not the recording itself.
        let at_us = recorded.at_us;
        self.events.push(Event { at_us, what });
        Ok(at_us)
    }

    fn checkpoint(&mut self) -> Result<(), Stop> {
        Ok(())
    }
}
