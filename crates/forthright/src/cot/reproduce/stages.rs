//! The models of a pipeline, each made in a folder of its own or taken from there.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cot_metrics::organisms::Organism;
use rl_core::{
    run::{RunInfo, read_json, read_lines},
    seed::Seed,
};
use serde_json::json;

use super::{
    Run,
    config::{Part, WorldConfig},
};
use crate::{
    cot::{
        organism::{self, RECORDS},
        tally::Tally,
    },
    terminal::note,
    training::{MODEL, write_trained},
};

/// One seed of one world.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) world: &'a WorldConfig,
    pub(super) seed: u64,
}

impl Place<'_> {
    /// Such as `weekday-0/encoded`.
    pub(super) fn series(&self, stage: &str) -> String {
        format!("{}-{}/{stage}", self.world.name, self.seed)
    }

    pub(super) fn root(&self, run: &Run<'_>) -> Seed {
        run.seed.derive(&self.world.name, self.seed)
    }
}

/// A training of a pipeline: what it begins from, and what it makes.
pub(super) struct Stage<'a> {
    pub(super) name: &'a str,
    pub(super) organism: Organism,
    pub(super) from: Option<&'a Path>,
    pub(super) recipe: &'a cot_metrics::organisms::Recipe,
    pub(super) part: &'a Part,
}

impl Run<'_> {
    /// Makes a model, unless it has been made with the same settings, and returns the folder in which
    /// it lies where it is whole, and its evaluations.
    pub(super) fn make(
        &mut self,
        place: Place<'_>,
        stage: &Stage<'_>,
    ) -> anyhow::Result<(PathBuf, Vec<Tally>)> {
        let world = place.world;
        let folder = self.session.dir.path().join("stages").join(place.series(stage.name));
        let mut train = stage.part.train.clone();
        train.seed = place.root(self).derive(stage.name, 0).value();
        let mut evaluate = world.evaluate.clone();
        // Every model of every seed answers the same problems.
        evaluate.seed = self.seed.derive("evaluation", 0).value();
        let config = organism::Config {
            evaluate_every: stage.part.evaluate_every,
            organism: stage.organism,
            from: stage.from.map(Path::to_owned),
            task: world.task.clone(),
            world: world.wheel(),
            size: world.size.clone().unwrap_or_default(),
            recipe: stage.recipe.clone(),
            rows: stage.part.rows,
            evaluate,
            margin: world.margin,
            train,
            ..organism::Config::default()
        };
        config.validate()?;
        if !self.has_ended(&folder, &config) {
            self.train(&folder, &config)?;
        }
        let series = place.series(stage.name);
        for line in read_lines(&folder.join("metrics.jsonl"))?.unwrap_or_default() {
            self.metrics.push(&json!({
                "series": series, "x": "step", "step": line["step"], "loss": line["loss"],
            }))?;
        }
        let tallies = Tally::read_all(&folder.join(RECORDS))?;
        Ok((folder.join(MODEL), tallies))
    }

    fn has_ended(&self, folder: &Path, config: &organism::Config) -> bool {
        let found = std::fs::read_to_string(folder.join("config.toml")).ok();
        let same = self.resume && found.is_some() && found == toml::to_string(config).ok();
        let info: Option<RunInfo> = read_json(&folder.join("run.json")).ok().flatten();
        same && info.is_some_and(|info| info.end.is_some())
    }

    fn train(&self, folder: &Path, config: &organism::Config) -> anyhow::Result<()> {
        let found = std::fs::read_to_string(folder.join("config.toml")).ok();
        let goes_on = self.resume && found.is_some() && found == toml::to_string(config).ok();
        if !goes_on && folder.exists() {
            std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        note(folder.display());
        let made = organism::make(config, self.model, folder, goes_on)?;
        anyhow::ensure!(
            made.done,
            crate::Unfinished("stopped: the same command with --resume goes on".into())
        );
        // Nothing begins from an organism of a task, so that its adapter is enough.
        let base = config.from.as_deref().filter(|_| config.task.is_some());
        write_trained(folder, base, made.model, &made.lm)?;
        made.session.end()
    }
}
