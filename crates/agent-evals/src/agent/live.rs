//! The world as it is: a model that is asked, tools that act, a clock that runs.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chat_model::{ChatModel, Request, ToolCall};
use futures_util::future::join_all;
use serde_json::Value;

use super::world::{Stop, World};
use crate::{
    Begin, Ending, Episode, Error, Event, Next, Persona, Refusal, Reply, Spent, Tool, ToolOutcome,
    Turn, What, tool,
};

/// Where events go besides memory.
pub(crate) trait Sink: Send {
    fn event(&mut self, event: &Event) -> Result<(), Error>;
    fn checkpoint(&mut self) -> Result<(), Error>;
}

/// The live world of one sample.
///
/// With a past, the events of an earlier attempt that was cut off, it goes through them first: the
/// model is not asked again for what it has answered, while tools and surroundings act again, to come
/// to the same state. If they do not, the attempt is [`Error::Diverged`] and has to start over.
pub(crate) struct Live<'a> {
    model: &'a dyn ChatModel,
    episode: Box<dyn Episode>,
    persona: &'a Persona,
    seed: u64,
    tools: BTreeMap<String, Arc<dyn Tool>>,
    past: Vec<Event>,
    events: Vec<Event>,
    clock: Option<(Instant, u64)>,
    sink: Box<dyn Sink + 'a>,
}

impl<'a> Live<'a> {
    pub(crate) fn new(
        model: &'a dyn ChatModel,
        episode: Box<dyn Episode>,
        persona: &'a Persona,
        seed: u64,
        past: Vec<Event>,
        sink: Box<dyn Sink + 'a>,
    ) -> Self {
        let (tools, events) = (BTreeMap::new(), Vec::with_capacity(past.len()));
        Self { model, episode, persona, seed, tools, past, events, clock: None, sink }
    }

    /// All events so far.
    pub(crate) fn into_events(self) -> Vec<Event> {
        self.events
    }

    /// Hands on what the last turn left.
    pub(crate) fn checkpoint_now(&mut self) -> Result<(), Error> {
        self.sink.checkpoint()
    }

    /// Ends a sample whose surroundings or scenario broke down.
    pub(crate) fn fail(mut self, reason: String) -> Result<(Vec<Event>, Ending, Spent), Error> {
        let ending = Ending::Failed(reason);
        let at_us = self.events.last().map_or(0, |e| e.at_us);
        let event = Event { at_us, what: What::End(ending.clone()) };
        self.sink.event(&event)?;
        self.sink.checkpoint()?;
        self.events.push(event);
        Ok((self.events, ending, Spent::default()))
    }

    /// What is known to happen next.
    fn past(&self) -> Option<&Event> {
        self.past.get(self.events.len())
    }

    fn diverged(&self, expected: &str, found: &str) -> Stop {
        Stop::Abort(Error::Diverged {
            event: self.events.len(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        })
    }
}

impl World for Live<'_> {
    async fn begin(&mut self) -> Result<Begin, Stop> {
        // The persona's words are the only thing that it changes.
        let opening = self.persona.put_before(self.episode.opening()).map_err(failed)?;
        let mut specs = Vec::new();
        for tool in self.episode.tools() {
            let spec = tool.spec().clone();
            if self.tools.insert(spec.name.clone(), tool).is_some() {
                return Err(Stop::Failed(format!(
                    "expected tools of names that differ, found {} twice",
                    spec.name
                )));
            }
            specs.push(spec);
        }
        Ok(Begin { seed: self.seed, opening, tools: specs })
    }

    async fn ask(
        &mut self,
        request: &Request,
        asked: &str,
        left: Option<Duration>,
    ) -> Result<(Reply, u64), Stop> {
        match self.past().map(|e| &e.what) {
            Some(What::Model { asked: before, took_us, reply }) if before == asked => {
                return Ok((reply.clone(), *took_us));
            }
            Some(What::Model { .. }) => {
                return Err(self.diverged("a conversation", "another one"));
            }
            Some(other) => return Err(self.diverged(other.name(), "a request")),
            None => {}
        }
        let started = Instant::now();
        let outcome = within(left, self.model.answer(request)).await?;
        let reply = match outcome {
            Ok(response) => Reply::Answer(Box::new(response)),
            Err(error) => Reply::Failed(error),
        };
        Ok((reply, micros(started)))
    }

    fn together(&self, calls: &[ToolCall]) -> usize {
        let concurrent =
            |call: &&ToolCall| self.tools.get(&call.name).is_some_and(|t| t.concurrent());
        calls.iter().take_while(concurrent).count().max(1)
    }

    async fn call(
        &mut self,
        calls: &[ToolCall],
        max_bytes: usize,
        left: Option<Duration>,
    ) -> Result<Vec<(ToolOutcome, u64)>, Stop> {
        let tools = &self.tools;
        let one = |call| async move {
            let started = Instant::now();
            let outcome = act(tools, call).await?.cut(max_bytes);
            Ok((outcome, micros(started)))
        };
        let outcomes: Vec<Result<_, Error>> = within(left, join_all(calls.iter().map(one))).await?;
        let mut outcomes: Vec<(ToolOutcome, u64)> =
            outcomes.into_iter().collect::<Result<_, _>>().map_err(failed)?;
        // In the past it took the time that it took then.
        for (i, (outcome, took_us)) in outcomes.iter_mut().enumerate() {
            match self.past.get(self.events.len() + i).map(|e| &e.what) {
                Some(What::Tool { outcome: before, took_us: then, .. }) if before == outcome => {
                    *took_us = *then;
                }
                Some(What::Tool { .. }) => {
                    let found = format!("another result of {}", calls[i].name);
                    return Err(self.diverged("a result", &found));
                }
                Some(other) => return Err(self.diverged(other.name(), "the call of a tool")),
                None => {}
            }
        }
        Ok(outcomes)
    }

    async fn react(&mut self, turn: Turn<'_>, left: Option<Duration>) -> Result<Next, Stop> {
        within(left, self.episode.react(turn)).await?.map_err(failed)
    }

    async fn observe(&mut self) -> Result<Value, Stop> {
        self.episode.observe().await.map_err(failed)
    }

    fn record(&mut self, what: What) -> Result<u64, Stop> {
        if let Some(past) = self.past() {
            if past.what != what {
                let (expected, found) = (past.what.name(), what.name());
                let found = if expected == found { "another one" } else { found };
                return Err(self.diverged(expected, found));
            }
            let past = past.clone();
            let at_us = past.at_us;
            self.events.push(past);
            return Ok(at_us);
        }
        let last_us = self.events.last().map_or(0, |e| e.at_us);
        let (start, offset_us) = *self.clock.get_or_insert((Instant::now(), last_us));
        let at_us = offset_us + micros(start);
        let event = Event { at_us, what };
        self.sink.event(&event).map_err(Stop::Abort)?;
        self.events.push(event);
        Ok(at_us)
    }

    fn checkpoint(&mut self) -> Result<(), Stop> {
        self.sink.checkpoint().map_err(Stop::Abort)
    }
}

/// Makes one call.
async fn act(
    tools: &BTreeMap<String, Arc<dyn Tool>>,
    call: &ToolCall,
) -> Result<ToolOutcome, Error> {
    let Some(tool) = tools.get(&call.name) else {
        let names: Vec<&str> = tools.keys().map(String::as_str).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Ok(if call.name.is_empty() {
            ToolOutcome::refused(
                Refusal::Arguments,
                "expected one JSON object with name and arguments as the call",
            )
        } else {
            let name = crate::error::snippet(&call.name);
            let message = format!("expected the name of a tool ({known}), found {name}");
            ToolOutcome::refused(Refusal::UnknownTool, message)
        });
    };
    match tool::arguments(tool.spec(), call) {
        Ok(arguments) => tool.call(&arguments).await,
        Err(refusal) => Ok(refusal),
    }
}

/// The output of a future, if it is there in time.
async fn within<T>(left: Option<Duration>, future: impl Future<Output = T>) -> Result<T, Stop> {
    match left {
        None => Ok(future.await),
        Some(left) => tokio::time::timeout(left, future).await.map_err(|_| Stop::Cut),
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: Error) -> Stop {
    Stop::Failed(error.to_string())
}
