//! The loop of a training run: steps, metrics and checkpoints until the end, or until the user asks
//! to stop.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use causal_lm::{CausalLm, Pretrained};
use rl_core::run::RunDir;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    interrupt,
    lm::model::Model,
    progress::Progress,
    session::Session,
    settings::read_toml,
    terminal::{note, print},
};

/// Name of the folder of a whole model in that of the run that trained it.
pub(crate) const MODEL: &str = "model";

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
    interrupt::listen("finishing this step");
    let mut metrics = dir.resume_lines("metrics.jsonl", training.steps())?;
    let mut events = dir.events("metrics.jsonl")?;
    let mut progress = Progress::new(training.steps(), training.total_steps());
    while training.steps() < training.total_steps() && !interrupt::asked() {
        let (numbers, message) = training.step()?;
        metrics.push(&numbers)?;
        events.push(&numbers)?;
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

/// Goes back to the last checkpoint of a run that goes on.
pub(crate) fn restore<E>(
    dir: &RunDir,
    resume: bool,
    restore: impl FnOnce(&Path) -> Result<(), E>,
) -> anyhow::Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    if resume {
        match dir.latest_checkpoint()? {
            Some(checkpoint) => restore(&checkpoint.path)?,
            None => note("no checkpoint yet: starting from the beginning"),
        }
    }
    Ok(())
}

/// What a run of training ended with.
pub(crate) struct Outcome<M> {
    /// What was trained.
    pub(crate) model: M,
    /// Steps done.
    pub(crate) steps: u64,
    /// Whether these are all; else the user has stopped it.
    pub(crate) done: bool,
}

/// How a run of training was started, which decides how it begins and ends.
#[derive(Clone, Copy)]
pub(crate) struct Start<'a> {
    /// Words of the command, such as `klq train`.
    pub(crate) command: &'a str,
    /// The model that it was given.
    pub(crate) model: &'a Model,
    /// The run's folder.
    pub(crate) out: &'a Path,
    /// Whether it goes on with what is in there.
    pub(crate) resume: bool,
    /// Whether its result is one JSON document.
    pub(crate) json: bool,
}

impl Start<'_> {
    /// The settings to begin from: the run's own if it goes on, else those of the file, if any.
    pub(crate) fn settings<C: DeserializeOwned + Default>(
        self,
        file: Option<&Path>,
    ) -> anyhow::Result<C> {
        if !self.resume {
            return file.map_or_else(|| Ok(C::default()), read_toml);
        }
        let path = self.out.join("config.toml");
        let read = read_toml(&path);
        if path.exists() {
            return read;
        }
        read.with_context(|| format!("{} holds no run to go on with", self.out.display()))
    }

    /// A new run does not overwrite one, and checkpoints are written now and then.
    pub(crate) fn check(self, checkpoint_every: u64) -> anyhow::Result<()> {
        anyhow::ensure!(checkpoint_every > 0, "checkpoint_every: expected at least 1, found 0");
        anyhow::ensure!(
            self.resume || !self.out.join("checkpoints").exists(),
            "{} holds a run already: give --resume, or another folder",
            self.out.display()
        );
        Ok(())
    }

    /// The user has stopped the run: how to go on with it.
    pub(crate) fn stopped(self, step: u64) -> anyhow::Error {
        anyhow::anyhow!(crate::Unfinished(format!(
            "stopped after step {step}, go on with: forthright {} --resume --out {}{}",
            self.command,
            self.out.display(),
            self.model.flags()
        )))
    }

    /// The end of a run: what was trained is written, the end noted, and the place said; of a run that
    /// was stopped, how it goes on.
    pub(crate) fn end<M>(
        self,
        made: Outcome<M>,
        session: Session,
        write: impl FnOnce(M) -> anyhow::Result<PathBuf>,
    ) -> anyhow::Result<()> {
        if !made.done {
            return Err(self.stopped(made.steps));
        }
        let written = write(made.model)?;
        session.end()?;
        self.say(made.steps, &written)
    }

    /// Says where the result is.
    pub(crate) fn say(self, steps: u64, written: &Path) -> anyhow::Result<()> {
        if self.json {
            print(json!({ "version": 1, "steps": steps, "written": written }))
        } else {
            print(written.display())
        }
    }
}

/// Writes what was trained of `model` into the folder of a run: `adapter/` in PEFT's layout where the
/// weights that it belongs to lie at `base`, or else the whole, an adapter added in, as `model/` in
/// that of Hugging Face.
pub(crate) fn write_trained(
    out: &Path,
    base: Option<&Path>,
    mut model: Pretrained,
    trained: &CausalLm,
) -> anyhow::Result<PathBuf> {
    if let Some((adapter, base)) = trained.adapter().zip(base) {
        let folder = out.join("adapter");
        adapter.save(&folder, trained.config(), &base.display().to_string())?;
        return Ok(folder);
    }
    let folder = out.join(MODEL);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    model.lm = trained.merged();
    model.save(&folder)?;
    Ok(folder)
}
