//! Finished samples again, without a model: the same events, or other scores.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use crate::{
    Ending, Error, Event, Finished, FinishedIter, Key, Score, Scorer,
    agent::{Replayed, Stop, drive},
    run::judge,
};

impl Finished {
    /// Runs the sample again on what was recorded of it: replies, results, reactions, times, seed.
    ///
    /// The events are those that the agent's loop makes of them, and are the same to the byte.
    ///
    /// # Errors
    /// [`Error::Diverged`] naming the first event that is not.
    pub async fn replay(&self) -> Result<Vec<Event>, Error> {
        let recorded = &self.trace.events;
        if let [Event { what: crate::What::End(Ending::Failed(_)), .. }] = &recorded[..] {
            // It failed before the loop began.
            return Ok(recorded.clone());
        }
        let mut world = Replayed::new(recorded);
        let (start, lane) = (&self.start, self.start.key.to_string());
        match drive(&start.agent, &start.limits, lane, &mut world).await {
            Ok(_) => {}
            Err(Stop::Abort(error)) => return Err(error),
            Err(Stop::Cut | Stop::Failed(_)) => {
                return Err(diverged(recorded.len(), "an end", "none"));
            }
        }
        let events = world.into_events();
        let line = |event: Option<&Event>| event.map(serde_json::to_string).transpose();
        for i in 0..recorded.len().max(events.len()) {
            let (before, now) = (line(recorded.get(i)), line(events.get(i)));
            let (Ok(before), Ok(now)) = (before, now) else {
                return Err(diverged(i, "an event", "one that cannot be written"));
            };
            if before != now {
                let shown = |l: Option<String>| {
                    l.map_or_else(|| "nothing".to_owned(), |l| crate::error::snippet(&l))
                };
                return Err(diverged(i, &shown(before), &shown(now)));
            }
        }
        Ok(events)
    }
}

/// Judges the finished samples of a journal again, by scorers of the caller's choice for each, and
/// hands each outcome on. Samples that failed are errors to these scorers as well.
///
/// # Errors
/// As [`FinishedIter::open`]; whatever `each` reports.
pub async fn rescore<E: From<Error>>(
    journal: &Path,
    scorers: impl Fn(&Key) -> Vec<Arc<dyn Scorer>>,
    mut each: impl FnMut(&Finished, BTreeMap<String, Score>) -> Result<(), E>,
) -> Result<(), E> {
    for finished in FinishedIter::open(journal)? {
        let finished = finished?;
        let scores = match finished.trace.ending() {
            Some(ending) => judge(&scorers(&finished.start.key), &finished.trace, ending).await,
            None => BTreeMap::new(),
        };
        each(&finished, scores)?;
    }
    Ok(())
}

fn diverged(event: usize, expected: &str, found: &str) -> Error {
    Error::Diverged { event, expected: expected.to_owned(), found: found.to_owned() }
}
