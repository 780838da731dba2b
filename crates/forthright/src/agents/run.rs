//! `forthright agents run` and `resume`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

#[cfg(target_os = "linux")]
use agent_evals::sandbox::{SandboxConfig, probe};
use agent_evals::{Again, Index, Observer, Plan, Progress, Stopper, Verdict, scenarios::World};
use clap::Args;
use serde_json::{Value, json};

use super::{
    arms::Purse,
    config::{RunConfig, RunFlags},
    results::{Results, table},
    runtime,
    watch::Watch,
};
use crate::{
    Unfinished, interrupt,
    session::Session,
    terminal::{note, print},
};

/// The journal's name in a run's folder.
pub(super) const JOURNAL: &str = "journal.jsonl";

/// How long running samples get to finish once the user wants to stop. Their turns so far are in the
/// journal in any case.
const GRACE: Duration = Duration::from_secs(5);

/// How often it is looked at whether the user wants to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Run scenarios
///
/// Everything that happens is in the run's journal as it happens; whatever ends the run, `agents
/// resume` goes on with it.
#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    flags: RunFlags,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
    /// No live view
    #[arg(long)]
    quiet: bool,
    /// One JSON document with the results
    #[arg(long)]
    json: bool,
}

impl Run {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = self.flags.resolve()?;
        let plan = config.plan()?;
        let session = begin(&self.out, &config)?;
        let (quiet, json) = (self.quiet, self.json);
        let how = How { folder: &self.out, quiet, json, max_cost: config.max_cost };
        how.execute(session, plan, None)
    }
}

/// Opens the folder of a new run.
pub(super) fn begin(out: &Path, config: &RunConfig) -> anyhow::Result<Session> {
    ready(config)?;
    anyhow::ensure!(
        !out.join(JOURNAL).exists(),
        "{} holds a run already: give another folder, or go on with it: forthright agents resume \
         {0}",
        out.display()
    );
    Session::open(out, config, config.seed, "cpu")
}

/// Go on with a run
///
/// Samples that have finished stay; those that were running go on from their last turn.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Resume {
    /// The run's folder
    folder: PathBuf,
    /// Run samples again that ended in an error
    #[arg(long)]
    errors: bool,
    /// Run samples again that ended in an error or without a score
    #[arg(long)]
    unscored: bool,
    /// Samples that run at a time [default: as before]
    #[arg(long)]
    concurrent: Option<usize>,
    /// No live view
    #[arg(long)]
    quiet: bool,
    /// One JSON document with the results
    #[arg(long)]
    json: bool,
}

impl Resume {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut config = RunConfig::of_run(&self.folder)?;
        config.concurrent = self.concurrent.unwrap_or(config.concurrent);
        let plan = config.plan()?;
        ready(&config)?;
        let again = match (self.unscored, self.errors) {
            (true, _) => Again::Unscored,
            (false, true) => Again::Errors,
            (false, false) => Again::Unfinished,
        };
        let session = Session::open(&self.folder, &config, config.seed, "cpu")?;
        let (quiet, json) = (self.quiet, self.json);
        let how = How { folder: &self.folder, quiet, json, max_cost: config.max_cost };
        how.execute(session, plan, Some(again))
    }
}

/// Whether this machine has what the run needs; what is missing is said before anything is run.
#[cfg(target_os = "linux")]
fn ready(config: &RunConfig) -> anyhow::Result<()> {
    if config.setting.world == World::Sandboxed {
        let found = runtime()?.block_on(probe(&SandboxConfig::default()))?;
        if let Some(missing) = found.missing.into_values().next() {
            anyhow::bail!("{missing}");
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn ready(config: &RunConfig) -> anyhow::Result<()> {
    anyhow::ensure!(config.setting.world == World::Simulated, "there is no sandbox on this system");
    Ok(())
}

/// How a run is shown.
pub(super) struct How<'a> {
    pub(super) folder: &'a Path,
    pub(super) quiet: bool,
    pub(super) json: bool,
    /// What its samples may cost.
    pub(super) max_cost: Option<f64>,
}

impl How<'_> {
    /// Runs a plan, or goes on with it, and says what came of it.
    pub(super) fn execute(
        &self,
        session: Session,
        plan: Plan,
        again: Option<Again>,
    ) -> anyhow::Result<()> {
        interrupt::listen("putting down what the agents have done");
        let journal = self.folder.join(JOURNAL);
        let watch = (!self.quiet).then(|| Arc::new(Watch::new()));
        let mut observer = watch.clone().map(|watch| watch as Arc<dyn Observer>);
        let stopper = Stopper::default();
        let purse =
            self.max_cost.map(|most| Arc::new(Purse::new(most, stopper.clone(), observer.take())));
        let observer = purse.clone().map(|purse| purse as Arc<dyn Observer>).or(observer);
        let running = async {
            match again {
                // A run that died before its first line was whole has nothing to go on with.
                Some(again) if journal.exists() => {
                    plan.resume(&journal, again, observer, stopper.clone()).await
                }
                _ => plan.run(&journal, observer, stopper.clone()).await,
            }
        };
        let done = runtime()?.block_on(until_asked(running, &stopper));
        if let Some(watch) = watch {
            watch.finish();
        }
        let done = done.transpose()?;
        session.end()?;
        if let Some(spent) = purse.and_then(|purse| purse.emptied()) {
            note(format_args!("warning: stopped at a cost of {spent:.2}, as asked"));
        }
        self.say(&journal, done.as_ref())
    }

    fn say(&self, journal: &Path, done: Option<&Progress>) -> anyhow::Result<()> {
        let index = Index::read(journal)?;
        let latest = index.latest();
        let finished = latest.values().filter(|a| a.finish.is_some()).count() as u64;
        let mut failed: Vec<(String, String)> = Vec::new();
        for attempt in latest.values() {
            let scores = attempt.finish.iter().flat_map(|finish| finish.scores.values());
            let reason = scores.into_iter().find_map(|score| match &score.verdict {
                Verdict::Error(reason) => Some(reason.clone()),
                _ => None,
            });
            failed.extend(reason.map(|reason| (attempt.start.key.to_string(), reason)));
        }
        let samples = index.header.plan.cells;
        let cells = Results::of(&index).cells();
        if self.json {
            let failures: Vec<Value> = failed
                .iter()
                .map(|(key, reason)| json!({ "sample": key, "reason": reason }))
                .collect();
            print(json!({
                "version": 1, "journal": journal, "samples": samples, "finished": finished,
                "turns": done.map(|d| d.turns), "tokens": done.map(|d| d.tokens),
                "cost": done.map(|d| d.cost), "elapsed_s": done.map(|d| d.elapsed_s),
                "results": cells, "failures": failures,
            }))?;
        } else {
            print(table(&cells))?;
        }
        let folder = self.folder.display();
        if finished < samples {
            anyhow::bail!(Unfinished(format!(
                "stopped with {finished} of {samples} samples finished, go on with: forthright agents \
                 resume {folder}"
            )));
        }
        if let Some((key, reason)) = failed.first() {
            anyhow::bail!(Unfinished(format!(
                "{} of {samples} samples have an error, the first is {key}: {reason}; run them again \
                 with: forthright agents resume {folder} --errors",
                failed.len()
            )));
        }
        let unscored: usize = cells.iter().map(|cell| cell.unscored).sum();
        if unscored > 0 {
            note(format_args!("warning: {unscored} scores could not be given, and are no numbers"));
        }
        Ok(())
    }
}

/// Waits for a run, or for as long as the user lets it. None if running samples were cut short.
pub(super) async fn until_asked<T>(
    running: impl Future<Output = T>,
    stopper: &Stopper,
) -> Option<T> {
    let mut running = std::pin::pin!(running);
    let mut asked: Option<Instant> = None;
    loop {
        if let Ok(done) = tokio::time::timeout(LOOK, &mut running).await {
            return Some(done);
        }
        if interrupt::asked() {
            stopper.stop();
            if asked.get_or_insert_with(Instant::now).elapsed() > GRACE {
                return None;
            }
        }
    }
}
