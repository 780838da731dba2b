//! Our side of the comparison: every line of standard input asks for one turn.

use std::{path::PathBuf, time::Instant};

use clap::Args;
use cot_metrics::{Outcome, Record};
use rl_core::memory;

use super::{
    Case, Turn,
    watched::Watched,
    work::{ARMS, Texts, Work, recorded, rollouts},
};
use crate::bench::serve;

/// Transcripts edited and scored together, as `cot score` does it.
const AT_ONCE: usize = 64;

/// One side of `cot bench`, for that command's use.
#[derive(Args)]
pub(crate) struct BenchWorker {
    work: PathBuf,
    #[arg(value_enum)]
    case: Case,
}

impl BenchWorker {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let work = Work::read(&self.work)?;
        match self.case {
            Case::Speed | Case::SpeedBatched => measurements(&work),
            Case::Memory => memory_of_records(&work),
            Case::Monitor => trainings(&work),
        }
    }
}

/// Of all examples a rollout and the scores of the recorded answer.
fn measurements(work: &Work) -> anyhow::Result<()> {
    let model = work.load()?;
    let texts = Texts::new(&model)?;
    let prompts: Vec<Vec<u32>> = work.examples.iter().map(|one| one.prompt.clone()).collect();
    let transcripts: Vec<_> = work.examples.iter().map(|one| one.transcript.clone()).collect();
    serve(|_| {
        let start = Instant::now();
        let said = rollouts(&model, &prompts, work.new_tokens, Vec::new())?;
        let generation = start.elapsed().as_secs_f64();
        let records = texts.records(&transcripts)?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Turn {
            seconds,
            generation,
            scoring: seconds - generation,
            examples: records.len(),
            said: said.into_iter().map(|(ids, _)| ids).collect(),
            log_probs: records.iter().map(log_probs).collect::<anyhow::Result<_>>()?,
            peak_bytes: memory::peak_bytes(),
            ..Turn::default()
        })
    })
}

fn log_probs(record: &Record) -> anyhow::Result<Vec<f64>> {
    let of = |arm| match record.arms.get(arm) {
        Some(Outcome::Scored(score)) => Ok(score.log_prob),
        found => anyhow::bail!("{}: {arm}: expected a score, found {found:?}", record.id),
    };
    ARMS.iter().map(of).collect()
}

/// Recorded examples, in pieces, and the most memory that has been held since the model was there.
fn memory_of_records(work: &Work) -> anyhow::Result<()> {
    let model = work.load()?;
    let texts = Texts::new(&model)?;
    let transcripts = recorded(work.recorded)?;
    serve(|_| {
        forget_peak();
        let loaded = memory::resident_bytes();
        let start = Instant::now();
        let mut examples = 0;
        for some in transcripts.chunks(AT_ONCE) {
            examples += texts.records(some)?.len();
        }
        let peak_bytes = memory::peak_bytes();
        let seconds = start.elapsed().as_secs_f64();
        let beyond_bytes = peak_bytes.zip(loaded).map(|(peak, loaded)| peak.saturating_sub(loaded));
        Ok(Turn {
            seconds,
            scoring: seconds,
            examples,
            peak_bytes,
            beyond_bytes,
            ..Turn::default()
        })
    })
}

/// Makes the peak of this process begin again at what is held now, where the system can; elsewhere
/// the bound is not tight.
fn forget_peak() {
    // "5" resets VmHWM (proc_pid_clear_refs(5)).
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Trainings of the same base, each from another seed.
fn trainings(work: &Work) -> anyhow::Result<()> {
    let watched = Watched::new()?;
    let mut seeds = 0..;
    serve(|_| watched.train(work.iterations, seeds.next().unwrap_or_default()))
}
