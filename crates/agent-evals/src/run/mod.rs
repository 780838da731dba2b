//! Running scenarios: many samples at a time, each of which ends in the journal.

mod plan;
mod queue;
mod sample;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use tokio::task::JoinSet;

use plan::Cell;
pub use plan::{Plan, nearest};
use queue::Queue;
pub(crate) use sample::judge;

use crate::{Attempt, Ending, Error, Index, Journal, Key, Score, Spent, Verdict};

/// What a run that goes on does again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Again {
    /// What has not finished.
    #[default]
    Unfinished,
    /// That, and samples of which a scorer reported an error.
    Errors,
    /// That, and samples that a scorer left unscored.
    Unscored,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Samples in all.
    pub samples: u64,
    /// Finished before this run went on.
    pub before: u64,
    /// Running now.
    pub running: u64,
    /// Finished, those before included.
    pub finished: u64,
    /// Of those finished now, those with an error.
    pub errors: u64,
    /// Of those finished now, those without an error that a scorer left unscored.
    pub unscored: u64,
    /// Of those finished now, those ended by a limit.
    pub limited: u64,
    /// Turns taken by those finished now.
    pub turns: u64,
    /// Tokens that they took.
    pub tokens: u64,
    /// What they cost.
    pub cost: f64,
    /// Seconds since the run began or went on.
    pub elapsed_s: f64,
}

/// Told of every sample that begins or finishes.
pub trait Observer: Send + Sync {
    /// A sample has begun or finished.
    fn progress(&self, progress: &Progress, key: &Key, scores: Option<&BTreeMap<String, Score>>);
}

/// A way to end a run early: samples that run are finished, no others begin.
#[derive(Debug, Clone, Default)]
pub struct Stopper(Arc<AtomicBool>);

impl Stopper {
    /// Begins no more samples.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked for.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Plan {
    /// Runs all samples into a new journal.
    ///
    /// # Errors
    /// What is wrong with the plan, and [`Error::Io`] of the journal's: whatever goes wrong in a
    /// sample is in its scores.
    pub async fn run(
        self,
        journal: &Path,
        observer: Option<Arc<dyn Observer>>,
        stopper: Stopper,
    ) -> Result<Progress, Error> {
        let cells = self.cells()?;
        let samples = cells.len() as u64;
        let journal = Journal::create(journal, self.info(samples))?;
        execute(self, samples, cells, BTreeMap::new(), journal, observer, stopper).await
    }

    /// Goes on with a run that ended early. Finished samples are kept; those that were running go on
    /// from their last turn where their surroundings come to the same state again, and start over
    /// where not.
    ///
    /// # Errors
    /// As [`run`](Self::run) and [`Journal::open`].
    pub async fn resume(
        self,
        journal: &Path,
        again: Again,
        observer: Option<Arc<dyn Observer>>,
        stopper: Stopper,
    ) -> Result<Progress, Error> {
        let cells = self.cells()?;
        let samples = cells.len() as u64;
        let (journal, index) = Journal::open(journal, &self.info(samples))?;
        let (cells, past) = left(cells, &index, again);
        drop(index);
        execute(self, samples, cells, past, journal, observer, stopper).await
    }
}

/// What is left to do, and what is known already of those that were running.
fn left(cells: Vec<Cell>, index: &Index, again: Again) -> (Vec<Cell>, BTreeMap<Key, Attempt>) {
    let latest = index.latest();
    let mut past = BTreeMap::new();
    let cells = cells
        .into_iter()
        .filter(|cell| match latest.get(&cell.key) {
            Some(Attempt { finish: Some(finish), .. }) => {
                finish.scores.values().any(|s| match s.verdict {
                    Verdict::Scored(_) => false,
                    Verdict::Error(_) => again != Again::Unfinished,
                    Verdict::Unscored(_) => again == Again::Unscored,
                })
            }
            Some(attempt) => {
                past.insert(cell.key.clone(), (*attempt).clone());
                true
            }
            None => true,
        })
        .collect();
    (cells, past)
}

async fn execute(
    plan: Plan,
    samples: u64,
    cells: Vec<Cell>,
    mut past: BTreeMap<Key, Attempt>,
    journal: Journal,
    observer: Option<Arc<dyn Observer>>,
    stopper: Stopper,
) -> Result<Progress, Error> {
    let started = Instant::now();
    let mut progress = Progress { samples, ..Progress::default() };
    progress.before = progress.samples - cells.len() as u64;
    progress.finished = progress.before;
    let concurrent = plan.concurrent.get();
    let mut queue = Queue::new(cells, |cell| cell.scenario);
    let (plan, journal) = (Arc::new(plan), Arc::new(journal));
    let mut running = JoinSet::new();
    let tell = |progress: &mut Progress, key: &Key, scores: Option<&BTreeMap<String, Score>>| {
        if let Some(observer) = &observer {
            progress.elapsed_s = started.elapsed().as_secs_f64();
            observer.progress(progress, key, scores);
        }
    };
    let mut failed = None;
    loop {
        while running.len() < concurrent && failed.is_none() && !stopper.is_stopped() {
            let Some((scenario, cell)) = queue.pop() else { break };
            progress.running += 1;
            tell(&mut progress, &cell.key, None);
            let (plan, journal) = (Arc::clone(&plan), Arc::clone(&journal));
            let before = past.remove(&cell.key);
            running.spawn(async move {
                let key = cell.key.clone();
                (scenario, key, sample::run(&plan, cell, before, &journal).await)
            });
        }
        let Some(joined) = running.join_next().await else { break };
        // Panics of scenarios, tools and scorers are caught within.
        let (scenario, key, outcome) = joined.map_err(|error| Error::Io {
            action: "run",
            path: "a sample".into(),
            source: std::io::Error::other(error.to_string()),
        })?;
        queue.done(scenario);
        progress.running -= 1;
        match outcome {
            Ok(done) => {
                count(&mut progress, &done.scores, &done.ending, &done.spent);
                tell(&mut progress, &key, Some(&done.scores));
            }
            Err(error) => {
                tracing::error!(%key, %error, "the run stops");
                failed.get_or_insert(error);
            }
        }
    }
    progress.elapsed_s = started.elapsed().as_secs_f64();
    failed.map_or(Ok(progress), Err)
}

fn count(
    progress: &mut Progress,
    scores: &BTreeMap<String, Score>,
    ending: &Ending,
    spent: &Spent,
) {
    let any = |wanted: fn(&Verdict) -> bool| scores.values().any(|s| wanted(&s.verdict));
    progress.finished += 1;
    if any(|v| matches!(v, Verdict::Error(_))) || matches!(ending, Ending::Failed(_)) {
        progress.errors += 1;
    } else if any(|v| matches!(v, Verdict::Unscored(_))) {
        progress.unscored += 1;
    }
    progress.limited += u64::from(matches!(ending, Ending::Limit(_)));
    progress.turns += spent.turns;
    progress.tokens = progress.tokens.saturating_add(spent.tokens);
    progress.cost += spent.cost;
}
