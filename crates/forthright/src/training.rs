//! The loop of a training run: steps, metrics and checkpoints until the end, or until the user asks
//! to stop.

use std::path::Path;

use rl_core::run::RunDir;
use serde_json::Value;

use crate::{interrupt, progress::Progress};

/// A run that goes step by step.
pub(crate) trait Training {
    /// Steps done.
    fn steps(&self) -> u64;

    /// Steps in all.
    fn total_steps(&self) -> u64;

    /// One step; its metrics, `step` among them, and a few words for the progress line.
    fn step(&mut self) -> anyhow::Result<(Value, String)>;

    /// Makes what the steps so far have written beside the metrics last, before a checkpoint.
    fn sync(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Writes all that is needed to go on into a folder that is there.
    fn save(&self, folder: &Path) -> anyhow::Result<()>;
}

/// When checkpoints are written, and how many stay.
#[derive(Clone, Copy)]
pub(crate) struct Checkpoints {
    pub(crate) every: u64,
    pub(crate) keep: usize,
}

/// Trains until the end, or until the user asks to stop: a checkpoint is there then.
pub(crate) fn train(
    training: &mut impl Training,
    dir: &RunDir,
    checkpoints: Checkpoints,
) -> anyhow::Result<()> {
    interrupt::listen();
    let mut metrics = dir.resume_lines("metrics.jsonl", training.steps())?;
    let mut progress = Progress::new(training.steps(), training.total_steps());
    while training.steps() < training.total_steps() && !interrupt::asked() {
        let (numbers, message) = training.step()?;
        metrics.push(&numbers)?;
        let step = training.steps();
        progress.at(step, &message);
        let done = step >= training.total_steps();
        if step.is_multiple_of(checkpoints.every) || done || interrupt::asked() {
            metrics.sync()?;
            training.sync()?;
            dir.save_checkpoint(step, checkpoints.keep, |folder| training.save(folder))?;
        }
    }
    progress.finish();
    Ok(())
}
