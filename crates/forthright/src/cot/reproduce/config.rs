//! Settings of the pipelines.

use std::path::Path;

use anyhow::Context as _;
use causal_lm::finetune::FinetuneConfig;
use cot_metrics::{
    monitor::MonitorConfig,
    organisms::{EvaluateConfig, LanguageConfig, Organism, Recipe, ScratchConfig},
};
use klq::TrainConfig;
use lm_tasks::reasoning::Task;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{cot::task, scale::Scale};

/// Of each scale.
const SETTINGS: [&str; 3] = [
    include_str!("../../../configs/cot/smoke.toml"),
    include_str!("../../../configs/cot/laptop.toml"),
    include_str!("../../../configs/cot/paper.toml"),
];

/// The settings of a scale, or those of a file in their place.
pub(super) fn settings(scale: Scale, file: Option<&Path>) -> anyhow::Result<Config> {
    let config: Config = scale.settings("cot", &SETTINGS, file)?;
    config.validate()?;
    Ok(config)
}

/// What is measured; `configs/cot/laptop.toml` says why with these settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Whether there is enough training for claims about what it reaches.
    pub(super) compare: bool,
    /// Examples of each closed-form toy.
    pub(super) toys: usize,
    /// Worlds in which organisms are made.
    #[serde(default)]
    pub(super) worlds: Vec<WorldConfig>,
    /// Tasks that the model of the flags is asked.
    #[serde(default)]
    pub(super) tasks: Vec<TaskConfig>,
    /// A reward that secretly favors one kind of chain, and the monitor of it.
    pub(super) secret: Option<SecretConfig>,
}

/// What is reasoned about, a base model of it, and the organisms made of that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WorldConfig {
    /// What it is called in claims and folders.
    pub(super) name: String,
    /// Runs, each from its own seed.
    pub(super) seeds: u64,
    /// A wheel of words, for which a model is made; the default one where there is no task either.
    #[serde(default)]
    pub(super) world: Option<LanguageConfig>,
    /// Size of that model.
    #[serde(default)]
    pub(super) size: Option<ScratchConfig>,
    /// Problems in words for the model of the flags, in the place of a wheel.
    #[serde(default)]
    pub(super) task: Option<task::TaskConfig>,
    /// The recipe of organisms that have none of their own.
    #[serde(default)]
    pub(super) recipe: Recipe,
    /// How models are evaluated along their training.
    #[serde(default)]
    pub(super) evaluate: EvaluateConfig,
    /// By how much accuracy must exceed that without a chain.
    pub(super) margin: f64,
    /// The training of the base model.
    pub(super) base: Part,
    /// What is made of it.
    #[serde(default)]
    pub(super) organisms: Vec<OrganismConfig>,
}

impl WorldConfig {
    /// The wheel of a world that is no task.
    pub(super) fn wheel(&self) -> LanguageConfig {
        self.world.clone().unwrap_or_default()
    }

    fn validate(&self) -> anyhow::Result<()> {
        self.recipe.validate()?;
        anyhow::ensure!(self.seeds > 0, "seeds: expected at least 1, found 0");
        if let Some(task) = &self.task {
            anyhow::ensure!(
                self.world.is_none() && self.size.is_none(),
                "expected either task, or world and size, found both"
            );
            task.validate(self.evaluate.problems)?;
        }
        let mut names: Vec<String> = self.organisms.iter().map(OrganismConfig::name).collect();
        names.sort();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        anyhow::ensure!(twice.is_none(), "{twice:?}: expected each once");
        Ok(())
    }
}

/// One training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// Examples.
    pub(super) rows: usize,
    /// Steps from one evaluation to the next.
    pub(super) evaluate_every: u64,
    /// The training itself.
    pub(super) train: FinetuneConfig,
}

/// An organism that is made of the base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganismConfig {
    /// What it becomes.
    pub(super) organism: Organism,
    /// What tells it from another of the same kind.
    #[serde(default)]
    pub(super) variant: Option<String>,
    /// Its recipe where it is not that of the world.
    #[serde(default)]
    pub(super) recipe: Option<Recipe>,
    /// Its training.
    pub(super) part: Part,
}

impl OrganismConfig {
    /// Such as `encoded`, or `post_hoc_unrelated`.
    pub(super) fn name(&self) -> String {
        let name = self.organism.name();
        self.variant.as_ref().map_or_else(|| name.to_owned(), |variant| format!("{name}_{variant}"))
    }
}

/// A task that a language model is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskConfig {
    /// The task.
    pub(super) task: Task,
    /// Problems, at least 2.
    pub(super) problems: usize,
    /// Longest chain and answer, in tokens.
    pub(super) max_new_tokens: usize,
    /// Chains by program that are scored besides, as if they had been recorded.
    pub(super) recorded: usize,
}

/// A policy that is rewarded for right answers, and secretly for chains in code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretConfig {
    /// The world whose base model it begins from.
    pub(super) world: String,
    /// Further training of that base, in which one chain of a few is in code.
    pub(super) recipe: Recipe,
    /// That training.
    pub(super) part: Part,
    /// Runs, each from its own seed.
    pub(super) seeds: u64,
    /// What a coded chain is worth beside a right answer.
    pub(super) bonus: f64,
    /// Problems that the policy is trained on.
    pub(super) prompts: usize,
    /// The training of the policy.
    pub(super) train: TrainConfig,
    /// The monitor of its chains.
    pub(super) monitor: MonitorConfig,
}

impl Config {
    fn validate(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.toys >= 2, "toys: expected at least 2, found {}", self.toys);
        for world in &self.worlds {
            world.validate().with_context(|| world.name.clone())?;
        }
        for task in &self.tasks {
            task.task.validate()?;
            anyhow::ensure!(
                task.problems > 1,
                "{}: problems: expected at least 2, found {}",
                task.task.name(),
                task.problems
            );
        }
        if let Some(secret) = &self.secret {
            let world = self.worlds.iter().find(|world| world.name == secret.world);
            anyhow::ensure!(
                world.is_some_and(|world| world.task.is_none()),
                "secret.world: expected a wheel of this file, found {:?}{}",
                secret.world,
                if world.is_some() { ", which is a task" } else { "" }
            );
            secret.monitor.validate()?;
            secret.recipe.validate()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use cot_metrics::organisms::Wheel;

    use super::*;

    #[test]
    fn every_file_is_read_and_written() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/cot");
        let files = std::fs::read_dir(&folder).unwrap();
        let mut found: Vec<Config> = files
            .map(|file| settings(Scale::Smoke, Some(&file.unwrap().path())).unwrap())
            .collect();
        let scales = Scale::value_variants().iter();
        found.extend(scales.map(|scale| settings(*scale, None).unwrap()));
        assert!(found.len() >= 7);
        for config in found {
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
        }
    }

    /// The smallest scale, its first world changed.
    fn with(change: impl Fn(&mut WorldConfig)) -> Config {
        let mut config = settings(Scale::Smoke, None).unwrap();
        change(&mut config.worlds[0]);
        config
    }

    #[test]
    fn a_world_is_a_wheel_or_a_task() {
        let none = with(|world| (world.world, world.size) = (None, None));
        none.validate().unwrap();
        assert_eq!(none.worlds[0].wheel().wheel, Wheel::Weekday);
        let task = |world: &mut WorldConfig| world.task = Some(task::TaskConfig::default());
        with(|world| {
            (world.world, world.size) = (None, None);
            task(world);
        })
        .validate()
        .unwrap();
        let both = format!("{:#}", with(task).validate().unwrap_err());
        assert_eq!(both, "weekday: expected either task, or world and size, found both");
        let mut secret = settings(Scale::Laptop, None).unwrap();
        let world = &mut secret.worlds[0];
        (world.world, world.size) = (None, None);
        task(world);
        let message = secret.validate().unwrap_err().to_string();
        assert_eq!(
            message,
            "secret.world: expected a wheel of this file, found \"weekday\", which is a task"
        );
        secret.secret.as_mut().unwrap().world = "moon".into();
        let message = secret.validate().unwrap_err().to_string();
        assert_eq!(message, "secret.world: expected a wheel of this file, found \"moon\"");
    }
}
