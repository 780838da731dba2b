//! `forthright agents replay`.

use std::path::PathBuf;

use agent_evals::FinishedIter;
use clap::Args;
use serde_json::{Value, json};

use super::{journal, runtime, script::fits};
use crate::{Unfinished, terminal::print};

/// Go through a run again, without a model, and compare every event
///
/// The agent's loop runs on what was recorded: replies, results, reactions, times, seeds. What it
/// makes of them must be what is in the journal, to the byte.
#[derive(Args)]
pub(crate) struct Replay {
    /// The run's folder, or its journal
    run: PathBuf,
    /// Only samples that fit: SCENARIO/AGENT/PERSONA/SAMPLE#EPOCH, where `*` stands for anything
    #[arg(long, value_name = "PATTERN")]
    only: Option<String>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let runtime = runtime()?;
        let (mut samples, mut events, mut differ) = (0_u64, 0_usize, Vec::new());
        for finished in FinishedIter::open(&journal(&self.run))? {
            let finished = finished?;
            let key = finished.start.key.to_string();
            if self.only.as_ref().is_some_and(|pattern| !fits(pattern, &key)) {
                continue;
            }
            samples += 1;
            match runtime.block_on(finished.replay()) {
                Ok(again) => events += again.len(),
                Err(error) => differ.push((key, error.to_string())),
            }
        }
        if self.json {
            let differ: Vec<Value> = differ
                .iter()
                .map(|(key, reason)| json!({ "sample": key, "reason": reason }))
                .collect();
            let equal = samples - differ.len() as u64;
            print(json!({
                "version": 1, "samples": samples, "equal": equal, "events": events,
                "differ": differ,
            }))?;
        } else {
            let equal = samples - differ.len() as u64;
            print(format_args!("{equal} of {samples} samples are the same, {events} events"))?;
        }
        match differ.first() {
            Some((key, reason)) => anyhow::bail!(Unfinished(format!(
                "{} of {samples} samples are not the same again, the first is {key}: {reason}",
                differ.len()
            ))),
            None => Ok(()),
        }
    }
}
