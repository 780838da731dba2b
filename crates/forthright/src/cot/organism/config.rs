//! All that the training of an organism depends on, and what it begins with.

use std::path::PathBuf;

use causal_lm::{
    LoadOptions, Pretrained,
    finetune::{Example, FinetuneConfig, Length},
};
use cot_metrics::{
    organisms::{EvaluateConfig, Language, LanguageConfig, Organism, Recipe, ScratchConfig, World},
    scoring::RolloutConfig,
};
use rl_core::seed::Seed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use crate::{
    cot::task::TaskConfig,
    lm::model::{Dtype, Model},
};

/// All that a run depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Steps between two checkpoints.
    pub(crate) checkpoint_every: u64,
    /// Checkpoints that stay.
    pub(crate) keep_checkpoints: usize,
    /// Steps between two evaluations; the start and the end are evaluated too.
    pub(crate) evaluate_every: u64,
    /// What it is to become.
    pub(crate) organism: Organism,
    /// The folder of the base model. Without one, a model of words is made, and a run on a task begins
    /// with the model of the flags.
    pub(crate) from: Option<PathBuf>,
    /// Problems in words for a language model, in the place of a world and a model of words.
    pub(crate) task: Option<TaskConfig>,
    /// What is reasoned about.
    pub(crate) world: LanguageConfig,
    /// Size of a model that is made.
    pub(crate) size: ScratchConfig,
    /// The rows to learn from.
    pub(crate) recipe: Recipe,
    /// How many there are.
    pub(crate) rows: usize,
    /// The evaluation.
    pub(crate) evaluate: EvaluateConfig,
    /// By how much its accuracy must exceed that without a chain for an organism to count.
    pub(crate) margin: f64,
    /// The training itself.
    pub(crate) train: FinetuneConfig,
}

impl Default for Config {
    /// A base model.
    fn default() -> Self {
        Self {
            checkpoint_every: 200,
            keep_checkpoints: 2,
            evaluate_every: 400,
            organism: Organism::Baseline,
            from: None,
            task: None,
            world: LanguageConfig::default(),
            size: ScratchConfig::default(),
            recipe: Recipe::default(),
            rows: 60_000,
            evaluate: EvaluateConfig::default(),
            margin: 0.2,
            train: FinetuneConfig {
                length: Length::Steps(1_200),
                batch_examples: 64,
                lr: 2e-3,
                schedule: rl_core::optim::Schedule {
                    warmup_steps: 50,
                    decay: rl_core::optim::Decay::Cosine,
                    final_factor: 0.05,
                },
                adapter: None,
                ..FinetuneConfig::default()
            },
        }
    }
}

impl Config {
    /// Settings under which the model of the flags gets an adapter.
    pub(super) fn of_task() -> Self {
        Self {
            checkpoint_every: 50,
            evaluate_every: 50,
            rows: 4_000,
            task: Some(TaskConfig::default()),
            evaluate: EvaluateConfig {
                problems: 48,
                rollout: RolloutConfig { batch_size: 16, ..RolloutConfig::default() },
                ..EvaluateConfig::default()
            },
            train: FinetuneConfig { length: Length::Steps(150), ..FinetuneConfig::default() },
            ..Self::default()
        }
    }

    pub(crate) fn validate(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.rows > 0, "rows: expected at least 1, found 0");
        anyhow::ensure!(self.evaluate_every > 0, "evaluate_every: expected at least 1, found 0");
        anyhow::ensure!(
            self.evaluate.problems > 1,
            "evaluate.problems: expected at least 2, found {}",
            self.evaluate.problems
        );
        anyhow::ensure!(
            (0.0..=1.0).contains(&self.margin),
            "margin: expected a number in [0, 1], found {}",
            self.margin
        );
        anyhow::ensure!(
            self.begins_somewhere() || self.organism == Organism::Baseline,
            "from: expected the folder of a base model for {}, found none",
            self.organism.name()
        );
        anyhow::ensure!(
            self.begins_somewhere() || self.train.adapter.is_none(),
            "train.adapter: expected false, since a model from scratch has nothing to adapt"
        );
        if let Some(task) = &self.task {
            task.validate(self.evaluate.problems)?;
        }
        self.train.validate()?;
        Ok(self.recipe.validate()?)
    }

    /// Whether there is a model to begin with.
    fn begins_somewhere(&self) -> bool {
        self.from.is_some() || self.task.is_some()
    }

    /// The language model that a run on a task begins with: that of the base model's folder, or that of
    /// the flags.
    pub(super) fn speaker(&self, flags: &Model) -> anyhow::Result<Pretrained> {
        match &self.from {
            Some(from) => Ok(Pretrained::load(from, &flags.options(Dtype::Bf16)?)?),
            None => flags.load(Dtype::Bf16),
        }
    }

    /// The model of words that a run begins with.
    pub(super) fn begin(&self, language: &Language, device: Device) -> anyhow::Result<Pretrained> {
        let Some(from) = &self.from else {
            let seed = Seed::new(self.train.seed).derive("weights", 0).value();
            return Ok(self.size.model(language, seed, device)?);
        };
        let model = Pretrained::load(from, &LoadOptions { kind: Kind::Float, device })?;
        let known = (0..).zip(language.words());
        let other = known.into_iter().find(|(id, word)| model.tokenizer.id(word) != Some(*id));
        if let Some((_, word)) = other {
            anyhow::bail!(
                "{}: expected a model of the same words, found another place for {word:?}: was it \
                 trained in another world?",
                from.display()
            );
        }
        Ok(model)
    }

    /// What is learned: that of the base where a baseline begins with no base, else the organism's own.
    pub(super) fn rows<W: World>(&self, world: &W) -> anyhow::Result<Vec<Example>> {
        let (n, seed) = (self.rows, self.train.seed);
        Ok(if self.from.is_none() && self.organism == Organism::Baseline {
            self.recipe.base(world, n, seed)?
        } else {
            self.recipe.organism(world, self.organism, n, seed)?
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_back_and_checked() {
        let config = Config::default();
        config.validate().unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
        let message = |config: Config| config.validate().unwrap_err().to_string();
        let encoded = Config { organism: Organism::Encoded, ..Config::default() };
        assert_eq!(
            message(encoded),
            "from: expected the folder of a base model for encoded, found none"
        );
        let wide = Config { margin: 1.5, ..Config::default() };
        assert_eq!(message(wide), "margin: expected a number in [0, 1], found 1.5");
    }

    #[test]
    fn a_baseline_of_no_base_is_one() {
        let language = Language::new(&LanguageConfig::default()).unwrap();
        let rows = |organism, from: Option<&str>, task| {
            let from = from.map(PathBuf::from);
            let config = Config { organism, from, task, rows: 20, ..Config::default() };
            config.rows(&language).unwrap()
        };
        let (recipe, task) = (Recipe::default(), || Some(TaskConfig::default()));
        let base = recipe.base(&language, 20, 0).unwrap();
        assert_eq!(rows(Organism::Baseline, None, None), base);
        assert_eq!(rows(Organism::Baseline, None, task()), base);
        for (organism, from, task) in [
            (Organism::Baseline, Some("base"), None),
            (Organism::Baseline, Some("base"), task()),
            (Organism::Encoded, None, task()),
            (Organism::Encoded, Some("base"), task()),
        ] {
            let own = recipe.organism(&language, organism, 20, 0).unwrap();
            assert_eq!(rows(organism, from, task), own);
        }
    }

    #[test]
    fn a_base_of_another_world_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let small = ScratchConfig { layers: 1, hidden: 16, heads: 2, ..Default::default() };
        let world = |wheel| LanguageConfig { wheel, ..Default::default() };
        let week = Language::new(&LanguageConfig::default()).unwrap();
        let model = small.model(&week, 0, Device::Cpu).unwrap();
        let from = folder.path().join("model");
        model.save(&from).unwrap();
        let config = Config { from: Some(from), ..Config::default() };
        assert!(config.begin(&week, Device::Cpu).is_ok());
        let year = Language::new(&world(cot_metrics::organisms::Wheel::Month)).unwrap();
        let message = config.begin(&year, Device::Cpu).unwrap_err().to_string();
        assert!(message.contains("found another place for \"january\""), "{message}");
    }
}
