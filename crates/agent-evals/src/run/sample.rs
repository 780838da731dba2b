//! One sample from its beginning to its scores.

use std::{any::Any, collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;

use super::plan::{Cell, Plan};
use crate::{
    Agent, Attempt, Ending, Error, Event, Finish, Journal, Limits, Score, Scorer, Spent, Start,
    Trace, What,
    agent::{Live, Replayed, Sink, Stop, drive},
    journal::{Record, encode},
};

/// A finished sample.
pub(super) struct Done {
    pub(super) scores: BTreeMap<String, Score>,
    pub(super) ending: Ending,
    pub(super) spent: Spent,
}

/// Runs a sample, or goes on with an attempt at it, and waits until it is safe in the journal.
pub(super) async fn run(
    plan: &Plan,
    cell: Cell,
    before: Option<Attempt>,
    journal: &Journal,
) -> Result<Done, Error> {
    let (agent, scenario) = (&plan.agents[cell.agent], &plan.scenarios[cell.scenario]);
    let mut past = None;
    if let Some(before) = before {
        let limits = &before.start.limits;
        let same = before.start.sample == *cell.sample
            && before.start.agent == agent.config
            && *limits == plan.limits.and(&scenario.limits());
        if same && !before.events.is_empty() {
            past = Some((before.start, before.events));
        }
    }
    let (start, events, ending, spent) = loop {
        let (start, events) = match past.take() {
            Some(past) => past,
            None => (begin(plan, &cell, journal)?, Vec::new()),
        };
        match act(plan, &cell, &start, events, journal).await {
            Ok((events, ending, spent)) => break (start, events, ending, spent),
            // Its surroundings did not come to the same state again.
            Err(Error::Diverged { event, expected, found }) => {
                tracing::info!(key = %cell.key, event, expected, found, "a sample starts over");
            }
            Err(error) => return Err(error),
        }
    };
    let trace = Trace { key: cell.key.clone(), sample: cell.sample, events };
    let scorers = scenario.scorers();
    let scores = judge(&scorers, &trace, &ending).await;
    let finished = jiff::Timestamp::now().to_string();
    let finish = Finish { run: start.run, scores: scores.clone(), spent, finished };
    journal.append(&Record::Finish(Box::new(finish)))?;
    journal.sync().await?;
    Ok(Done { scores, ending, spent })
}

fn begin(plan: &Plan, cell: &Cell, journal: &Journal) -> Result<Start, Error> {
    let mut start = Start {
        run: 0,
        key: cell.key.clone(),
        sample: (*cell.sample).clone(),
        agent: plan.agents[cell.agent].config.clone(),
        limits: plan.limits.and(&plan.scenarios[cell.scenario].limits()),
        started: jiff::Timestamp::now().to_string(),
    };
    start.run = journal.start(|run| Record::Start(Box::new(Start { run, ..start.clone() })))?;
    Ok(start)
}

/// Lets the agent act, after what it has done already.
async fn act(
    plan: &Plan,
    cell: &Cell,
    start: &Start,
    past: Vec<Event>,
    journal: &Journal,
) -> Result<(Vec<Event>, Ending, Spent), Error> {
    let lane = cell.key.to_string();
    if let Some(Event { what: What::End(_), .. }) = past.last() {
        // It had ended and was not judged yet.
        return again(&start.agent, &start.limits, lane, &past).await;
    }
    let seed = plan.seed_of(&cell.key);
    let scenario = &plan.scenarios[cell.scenario];
    let agent: &Agent = &plan.agents[cell.agent];
    let mut sink = Lines { journal, run: start.run, text: Vec::new() };
    let began = AssertUnwindSafe(scenario.begin(&cell.sample, seed)).catch_unwind().await;
    let began = match began {
        Ok(Ok(episode)) => Ok(episode),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(panicked(&*panic)),
    };
    let episode = match began {
        Ok(episode) => episode,
        Err(reason) => return fail(past, reason, &mut sink),
    };
    let persona = &plan.personas[cell.persona];
    let sink = Box::new(sink);
    let mut world = Live::new(&*agent.model, episode, persona, seed.value(), past, sink);
    let driven = drive(&start.agent, &start.limits, lane, &mut world);
    match AssertUnwindSafe(driven).catch_unwind().await {
        Ok(Ok((ending, spent))) => {
            world.checkpoint_now()?;
            Ok((world.into_events(), ending, spent))
        }
        Ok(Err(Stop::Abort(error))) => Err(error),
        // The loop makes endings of all others.
        Ok(Err(Stop::Failed(reason))) => world.fail(reason),
        Ok(Err(Stop::Cut)) => world.fail("time was up".to_owned()),
        Err(panic) => world.fail(panicked(&*panic)),
    }
}

/// Ends a sample that failed outside the loop.
fn fail(
    mut events: Vec<Event>,
    reason: String,
    sink: &mut Lines<'_>,
) -> Result<(Vec<Event>, Ending, Spent), Error> {
    let ending = Ending::Failed(reason);
    let at_us = events.last().map_or(0, |e| e.at_us);
    let event = Event { at_us, what: What::End(ending.clone()) };
    sink.event(&event)?;
    sink.checkpoint()?;
    events.push(event);
    Ok((events, ending, Spent::default()))
}

/// Goes through what was recorded.
async fn again(
    config: &crate::AgentConfig,
    limits: &Limits,
    lane: String,
    events: &[Event],
) -> Result<(Vec<Event>, Ending, Spent), Error> {
    let mut world = Replayed::new(events);
    match drive(config, limits, lane, &mut world).await {
        Ok((ending, spent)) => Ok((world.into_events(), ending, spent)),
        Err(Stop::Abort(error)) => Err(error),
        Err(Stop::Failed(found)) => Err(diverged(events, &found)),
        Err(Stop::Cut) => Err(diverged(events, "time was up")),
    }
}

fn diverged(events: &[Event], found: &str) -> Error {
    let expected = "an end".to_owned();
    Error::Diverged { event: events.len(), expected, found: found.to_owned() }
}

/// Has a sample judged by each scorer. One that failed is an error to all of them.
pub(crate) async fn judge(
    scorers: &[Arc<dyn Scorer>],
    trace: &Trace,
    ending: &Ending,
) -> BTreeMap<String, Score> {
    let mut scores = BTreeMap::new();
    for scorer in scorers {
        let score = match ending {
            Ending::Failed(reason) => Score::error(reason),
            _ => match AssertUnwindSafe(scorer.score(trace)).catch_unwind().await {
                Ok(score) => score.checked(),
                Err(panic) => Score::error(panicked(&*panic)),
            },
        };
        scores.insert(scorer.name().to_owned(), score);
    }
    scores
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let said = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", said.unwrap_or_else(|| "for no reason that can be shown".to_owned()))
}

/// The journal's part of one sample: a turn's lines go to the file together.
struct Lines<'a> {
    journal: &'a Journal,
    run: u64,
    text: Vec<u8>,
}

impl Sink for Lines<'_> {
    fn event(&mut self, event: &Event) -> Result<(), Error> {
        let record = Record::Event { run: self.run, event: event.clone() };
        self.text.append(&mut encode(&record));
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), Error> {
        if !self.text.is_empty() {
            self.journal.append_lines(&self.text)?;
            self.text.clear();
        }
        Ok(())
    }
}
