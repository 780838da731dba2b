//! Settings of a calibration.

use rl_core::optim::{AdamWConfig, Schedule};
use serde::{Deserialize, Serialize};

use crate::{Error, error::check};

/// What a step of a calibration does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Recipe {
    /// Self-distillation as published: exits drawn from the law that the *teacher's* early
    /// predictions suggest, then KL(student‖teacher) under these exits plus the negative
    /// log-likelihood of the exits, one to one.
    ///
    /// Source: arXiv 2603.21376, in its authors' code.
    Published {
        /// Sharpness of the law; above 0.
        kappa: f64,
        /// Exit patterns drawn a text.
        patterns: usize,
    },
    /// The same losses, with the law of the *student's* early predictions on its own states, anew in
    /// every step, and an auxiliary KL(teacher‖readout) at every site: early predictions are trained
    /// to be good where the published recipe only measures whether they are.
    Refreshed {
        /// Sharpness of the law at the first and at the last step; changes geometrically.
        kappa: [f64; 2],
        /// Weight of the auxiliary loss at the first and at the last step; changes linearly.
        readout: [f64; 2],
        /// Exit patterns drawn a text.
        patterns: usize,
    },
    /// Cross-entropy of the texts under exits that the gates draw. Gates learn nothing by it.
    Supervised,
}

/// Settings of a calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CalibrateConfig {
    /// What a step does.
    pub recipe: Recipe,
    /// Steps of the optimizer.
    pub steps: u64,
    /// Texts of a step.
    pub batch: usize,
    /// Learning rate of adapter or weights.
    pub lr: f64,
    /// Learning rate of the gates.
    pub gate_lr: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Learning rates over the steps.
    pub schedule: Schedule,
    /// Moments and clipping.
    pub optimizer: AdamWConfig,
    /// Tokens of one forward pass, padding counted: memory grows with it, results do not depend on it
    /// beyond rounding.
    pub pass_tokens: usize,
    /// Positions whose logits are held at once.
    pub logit_rows: usize,
    /// Root seed.
    pub seed: u64,
}

impl Default for CalibrateConfig {
    /// The published recipe, with learning rates that a small model needs.
    fn default() -> Self {
        Self {
            recipe: Recipe::Published { kappa: 1.0, patterns: 4 },
            steps: 100,
            batch: 16,
            lr: 1e-4,
            gate_lr: 1e-3,
            weight_decay: 0.0,
            schedule: Schedule::default(),
            optimizer: AdamWConfig::default(),
            pass_tokens: 2048,
            logit_rows: 256,
            seed: 0,
        }
    }
}

impl CalibrateConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the one that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let positive = |name, x: f64| check(name, x.is_finite() && x > 0.0, "a number above 0", x);
        match self.recipe {
            Recipe::Published { kappa, patterns } => {
                positive("kappa", kappa)?;
                check("patterns", patterns > 0, "at least 1", patterns)?;
            }
            Recipe::Refreshed { kappa, readout, patterns } => {
                kappa.into_iter().try_for_each(|kappa| positive("kappa", kappa))?;
                for weight in readout {
                    let fine = weight.is_finite() && weight >= 0.0;
                    check("readout", fine, "a number, not below 0", weight)?;
                }
                check("patterns", patterns > 0, "at least 1", patterns)?;
            }
            Recipe::Supervised => {}
        }
        for (name, count) in [
            ("steps", self.steps as usize),
            ("batch", self.batch),
            ("pass_tokens", self.pass_tokens),
            ("logit_rows", self.logit_rows),
        ] {
            check(name, count > 0, "at least 1", count)?;
        }
        for (name, rate) in
            [("lr", self.lr), ("gate_lr", self.gate_lr), ("weight_decay", self.weight_decay)]
        {
            check(name, rate.is_finite() && rate >= 0.0, "a number, not below 0", rate)?;
        }
        self.schedule.validate()?;
        Ok(())
    }

    /// κ and the weight of the auxiliary loss at step `step` (from 0).
    pub(crate) fn at(&self, step: u64) -> [f64; 2] {
        match self.recipe {
            Recipe::Published { kappa, .. } => [kappa, 0.0],
            Recipe::Refreshed { kappa: [k0, k1], readout: [r0, r1], .. } => {
                let p = step as f64 / (self.steps.max(2) - 1) as f64;
                let p = p.min(1.0);
                [k0 * (k1 / k0).powf(p), r0 + (r1 - r0) * p]
            }
            Recipe::Supervised => [1.0, 0.0],
        }
    }
}
