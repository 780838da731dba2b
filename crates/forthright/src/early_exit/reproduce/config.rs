//! Settings of the pipelines.

use std::path::Path;

use anyhow::Context as _;
use causal_lm::Pretrained;
use early_exit_model::{ExitConfig, calibrate::CalibrateConfig, rl::RlConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    early_exit::{
        pretrain,
        task::{RewardConfig, TaskConfig},
    },
    scale::Scale,
};

/// What is compared with the law of early predictions that nobody has trained.
pub(super) const UNTRAINED: &str = "untrained";

/// Of each scale.
const SETTINGS: [&str; 3] = [
    include_str!("../../../configs/early-exit/smoke.toml"),
    include_str!("../../../configs/early-exit/laptop.toml"),
    include_str!("../../../configs/early-exit/paper.toml"),
];

/// The settings of a scale, or those of a file in their place.
pub(super) fn settings(scale: Scale, file: Option<&Path>) -> anyhow::Result<Config> {
    let config: Config = scale.settings("early-exit", &SETTINGS, file)?;
    config.validate()?;
    Ok(config)
}

/// Systems that are taken through all stages; `configs/early-exit/laptop.toml` says why with these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Whether there is enough training for claims about what it reaches.
    pub(super) compare: bool,
    /// A model of characters that is made here.
    pub(super) toy: Option<System>,
    /// The model of the flags.
    pub(super) lm: Option<System>,
}

/// One base model, what is made of it, and how that is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct System {
    /// Runs of the whole pipeline, each from its own seed.
    pub(super) seeds: u64,
    /// What is solved.
    pub(super) task: TaskConfig,
    /// Longest answer in tokens.
    pub(super) max_new_tokens: usize,
    /// Answers made together.
    pub(super) batch: usize,
    /// Held-out problems.
    pub(super) evaluation_problems: usize,
    /// Problems of the training side on which the threshold is chosen.
    pub(super) choice_problems: usize,
    /// Accuracy that may be lost on these.
    pub(super) margin: f64,
    /// Thresholds of the gates' probability: the points of a front.
    pub(super) thresholds: Vec<f64>,
    /// Sharpness of the untrained law: the points of its front.
    pub(super) kappas: Vec<f64>,
    /// Share of blocks that the last stage is to save.
    pub(super) saved: f64,
    /// Pairs of runs that are timed; 0 for none.
    pub(super) time_repeats: usize,
    /// What answers are worth.
    #[serde(default)]
    pub(super) reward: RewardConfig,
    /// Where exits are, and what is trained.
    pub(super) exits: ExitConfig,
    /// How the base model is made; none means that of the flags as it is.
    pub(super) base: Option<pretrain::Config>,
    /// What is made of it, each from the base or from one before it.
    pub(super) stages: Vec<Stage>,
}

/// One training, calibration or reinforcement learning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stage {
    /// What it is called by later stages and in claims.
    pub(super) name: String,
    /// The stage it goes on from; none for the base.
    pub(super) from: Option<String>,
    /// Stages whose fronts its own is to exceed; `untrained` is the untrained law.
    #[serde(default)]
    pub(super) against: Vec<String>,
    /// Problems to learn from.
    pub(super) problems: usize,
    /// What is added to the logits of the gates before reinforcement learning.
    #[serde(default)]
    pub(super) gate_shift: f64,
    /// Its training, if it calibrates.
    pub(super) calibrate: Option<CalibrateConfig>,
    /// Its training, if it is reinforcement learning.
    pub(super) train: Option<RlConfig>,
}

impl Config {
    pub(super) fn systems(&self) -> impl Iterator<Item = (&'static str, &System)> {
        [("toy", &self.toy), ("lm", &self.lm)]
            .into_iter()
            .filter_map(|(name, system)| Some((name, system.as_ref()?)))
    }

    fn validate(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.systems().next().is_some(),
            "expected a table [toy] or [lm], found neither"
        );
        for (name, system) in self.systems() {
            system.validate().with_context(|| name.to_owned())?;
        }
        let scratch = self.toy.as_ref().and_then(|toy| toy.base.as_ref());
        anyhow::ensure!(
            self.toy.is_none()
                || scratch.is_some_and(|b| matches!(b.begin, pretrain::Begin::Scratch(_))),
            "toy: base: expected a model from scratch"
        );
        Ok(())
    }
}

impl System {
    /// The stage that the pipeline ends with.
    pub(super) fn last(&self) -> &str {
        self.stages.last().map_or("", |stage| &stage.name)
    }

    fn validate(&self) -> anyhow::Result<()> {
        for (name, found) in [
            ("seeds", self.seeds as usize),
            ("max_new_tokens", self.max_new_tokens),
            ("batch", self.batch),
            ("choice_problems", self.choice_problems),
            ("thresholds", self.thresholds.len()),
            ("kappas", self.kappas.len()),
            ("stages", self.stages.len()),
        ] {
            anyhow::ensure!(found > 0, "{name}: expected at least 1, found 0");
        }
        let found = self.evaluation_problems;
        anyhow::ensure!(found > 1, "evaluation_problems: expected at least 2, found {found}");
        anyhow::ensure!(self.time_repeats != 1, "time_repeats: expected 0 or at least 2, found 1");
        self.reward.validate()?;
        self.base.as_ref().map_or(Ok(()), pretrain::Config::validate)?;
        let mut before = vec![UNTRAINED];
        for stage in &self.stages {
            stage.validate(&before).with_context(|| stage.name.clone())?;
            before.push(&stage.name);
        }
        Ok(())
    }

    /// What of a model the answers of this system may need that it has not.
    pub(super) fn check(&self, model: &Pretrained) -> anyhow::Result<()> {
        self.exits.sites(model.lm.config().num_layers)?;
        Ok(())
    }
}

impl Stage {
    fn validate(&self, before: &[&str]) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !self.name.is_empty(),
            "name: expected letters, digits and _, found {:?}",
            self.name
        );
        anyhow::ensure!(!before.contains(&self.name.as_str()), "there are two stages of this name");
        let from = self.from.iter().filter(|from| *from == UNTRAINED);
        let unknown = self.against.iter().chain(&self.from);
        let unknown = unknown.filter(|name| !before.contains(&name.as_str())).chain(from).next();
        if let Some(name) = unknown {
            anyhow::bail!("expected the name of a stage before it, found `{name}`");
        }
        match (&self.calibrate, &self.train) {
            (Some(calibrate), None) => Ok(calibrate.validate()?),
            (None, Some(train)) => {
                anyhow::ensure!(
                    self.from.is_some(),
                    "train: expected a stage that it goes on from"
                );
                Ok(train.validate()?)
            }
            _ => anyhow::bail!("expected either a table `calibrate` or a table `train`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn the_settings_of_every_scale_hold_and_are_read_back() {
        for scale in Scale::value_variants() {
            let config = settings(*scale, None).unwrap();
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{}", scale.name());
        }
    }

    #[test]
    fn what_is_wrong_with_a_pipeline_is_named() {
        let whole = settings(Scale::Smoke, None).unwrap();
        let refused = |change: &dyn Fn(&mut System)| {
            let mut config = whole.clone();
            change(config.toy.as_mut().unwrap());
            format!("{:#}", config.validate().unwrap_err())
        };
        let message = refused(&|toy| toy.stages[1].from = Some("later".into()));
        assert!(message.contains("expected the name of a stage before it, found `later`"));
        let message = refused(&|toy| toy.stages[1].name = toy.stages[0].name.clone());
        assert!(message.contains("two stages of this name"), "{message}");
        let message = refused(&|toy| toy.stages[0].calibrate = None);
        assert!(message.contains("either a table `calibrate` or a table `train`"), "{message}");
        let message = refused(&|toy| toy.base = None);
        assert!(message.contains("expected a model from scratch"), "{message}");
        let message = refused(&|toy| toy.seeds = 0);
        assert_eq!(message, "toy: seeds: expected at least 1, found 0");
    }
}
