//! Supervised fine-tuning: all weights or an adapter, loss on chosen tokens only.
//!
//! A run is a function of model, examples, configuration and seed: the order of the examples is
//! derived from the step's number, so a run that is restored from a checkpoint goes on to the bit.

mod batch;
mod example;
mod shared;
mod trainer;

pub use batch::{Batch, Packing};
pub use example::{Example, Overlong};
use rl_core::optim::{AdamWConfig, Schedule};
use serde::{Deserialize, Serialize};
pub use trainer::{StepReport, Trainer, mean_loss};

use crate::{Error, lora::LoraConfig};

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// Passes over the examples.
    Epochs(u64),
    /// Steps of the optimizer.
    Steps(u64),
}

/// Settings of a fine-tuning run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct FinetuneConfig {
    /// `{ epochs = N }` or `{ steps = N }`.
    pub length: Length,
    /// Examples of one step.
    pub batch_examples: usize,
    /// Tokens of one forward pass, padding counted: memory grows with it, results do not depend on
    /// it beyond rounding. The gradients of a step's passes are added up.
    pub pass_tokens: usize,
    /// How examples share a forward pass.
    pub packing: Packing,
    /// Longest example in tokens; also the length of packed rows.
    pub max_tokens: usize,
    /// What happens to longer ones.
    pub overlong: Overlong,
    /// Learning rate after the warm-up.
    pub lr: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Learning rate over the run.
    pub schedule: Schedule,
    /// Moments and clipping.
    pub optimizer: AdamWConfig,
    /// Positions whose logits are held at once.
    pub logit_rows: usize,
    /// Root of the examples' order and the adapter's start.
    pub seed: u64,
    /// Size and place of an adapter; without one, which is `false` in a file, all weights are
    /// trained, in f32 copies.
    #[serde(with = "crate::lora::setting")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::lora::setting::schema"))]
    pub adapter: Option<LoraConfig>,
}

impl Default for FinetuneConfig {
    /// Three epochs of sixteen examples a step, adapter of rank 16, learning rate 2e-4.
    fn default() -> Self {
        Self {
            length: Length::Epochs(3),
            batch_examples: 16,
            pass_tokens: 2048,
            packing: Packing::Padded,
            max_tokens: 1024,
            overlong: Overlong::Refuse,
            lr: 2e-4,
            weight_decay: 0.0,
            schedule: Schedule::default(),
            optimizer: AdamWConfig::default(),
            logit_rows: 256,
            seed: 0,
            adapter: Some(LoraConfig::default()),
        }
    }
}

impl FinetuneConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let bad = |name: &str, expected: &str, found: String| {
            Err(Error::Setting { name: name.into(), expected: expected.into(), found })
        };
        let counts = [
            ("batch_examples", self.batch_examples),
            ("pass_tokens", self.pass_tokens),
            ("logit_rows", self.logit_rows),
        ];
        if let Some((name, _)) = counts.into_iter().find(|&(_, n)| n == 0) {
            return bad(name, "at least 1", "0".into());
        }
        if self.max_tokens < 2 {
            return bad("max_tokens", "at least 2", self.max_tokens.to_string());
        }
        if matches!(self.length, Length::Epochs(0) | Length::Steps(0)) {
            return bad("length", "at least 1 epoch or step", "0".into());
        }
        for (name, value) in [("lr", self.lr), ("weight_decay", self.weight_decay)] {
            if !(value.is_finite() && value >= 0.0) {
                return bad(name, "a finite number, not below 0", value.to_string());
            }
        }
        self.schedule.validate()?;
        Ok(self.optimizer.validate()?)
    }
}
