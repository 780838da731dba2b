//! Gradient steps on one slice of parameters.

use serde::{Deserialize, Serialize};

use crate::oracle::Error;

/// Which steps are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Adam with bias correction (arXiv 1412.6980, algorithm 1).
    Adam {
        /// Decay of the mean of gradients, from 0 to below 1.
        beta1: f64,
        /// Decay of the mean of squares, from 0 to below 1.
        beta2: f64,
        /// Added to the root of the mean of squares, above 0. KLQ's gradients are α τ times PPO's, so a
        /// large ε slows it alone.
        eps: f64,
    },
    /// Gradient descent with heavy-ball momentum.
    Sgd {
        /// Share of the last step that is kept, from 0 to below 1.
        momentum: f64,
    },
}

impl Default for OptimizerConfig {
    /// Adam with its published constants.
    fn default() -> Self {
        Self::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

impl OptimizerConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        let decay = |name, x: f64| {
            Error::setting(name, "a number from 0 to below 1", x, (0.0..1.0).contains(&x))
        };
        match *self {
            Self::Adam { beta1, beta2, eps } => {
                decay("beta1", beta1)?;
                decay("beta2", beta2)?;
                let held = eps > 0.0 && eps.is_finite();
                Error::setting("eps", "a finite number above 0", eps, held)
            }
            Self::Sgd { momentum } => decay("momentum", momentum),
        }
    }
}

/// The state of an optimizer.
#[derive(Debug, Clone)]
pub struct Optimizer {
    config: OptimizerConfig,
    first: Vec<f64>,
    second: Vec<f64>,
    steps: i32,
}

impl Optimizer {
    /// For a number of parameters.
    ///
    /// # Errors
    /// [`Error::Setting`] for the configuration.
    pub fn new(config: OptimizerConfig, parameters: usize) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self { config, first: vec![0.0; parameters], second: vec![0.0; parameters], steps: 0 })
    }

    /// One step against the gradient.
    ///
    /// # Errors
    /// [`Error::Length`] if parameters or gradient are not as many as the optimizer was made for.
    pub fn step(
        &mut self,
        parameters: &mut [f64],
        gradient: &[f64],
        learning_rate: f64,
    ) -> Result<(), Error> {
        Error::length("parameters", parameters.len(), self.first.len())?;
        Error::length("gradient", gradient.len(), self.first.len())?;
        self.steps += 1;
        match self.config {
            OptimizerConfig::Adam { beta1, beta2, eps } => {
                let correct1 = 1.0 - beta1.powi(self.steps);
                let correct2 = 1.0 - beta2.powi(self.steps);
                let moments = self.first.iter_mut().zip(&mut self.second);
                for ((x, g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
                    *m = beta1 * *m + (1.0 - beta1) * g;
                    *v = beta2 * *v + (1.0 - beta2) * g * g;
                    *x -= learning_rate * (*m / correct1) / ((*v / correct2).sqrt() + eps);
                }
            }
            OptimizerConfig::Sgd { momentum } => {
                for ((x, g), m) in parameters.iter_mut().zip(gradient).zip(&mut self.first) {
                    *m = momentum * *m + g;
                    *x -= learning_rate * *m;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_gradient_makes_known_steps() {
        let mut adam = Optimizer::new(OptimizerConfig::default(), 2).unwrap();
        let mut x = [1.0, 1.0];
        for _ in 0..10 {
            adam.step(&mut x, &[3.0, -0.01], 0.1).unwrap();
        }
        // Bias-corrected moments of a constant are the constant: every step is lr g / (|g| + ε).
        assert!((x[0] - (1.0 - 3.0 / (3.0 + 1e-8))).abs() < 1e-12, "{x:?}");
        assert!((x[1] - (1.0 + 0.01 / (0.01 + 1e-8))).abs() < 1e-12, "{x:?}");
        let mut sgd = Optimizer::new(OptimizerConfig::Sgd { momentum: 0.5 }, 1).unwrap();
        let mut x = [0.0];
        for _ in 0..3 {
            sgd.step(&mut x, &[1.0], 0.1).unwrap();
        }
        assert!((x[0] + 0.1 * (1.0 + 1.5 + 1.75)).abs() < 1e-15, "{x:?}");
    }

    #[test]
    fn second_moments_follow_changing_gradients() {
        let mut adam =
            Optimizer::new(OptimizerConfig::Adam { beta1: 0.5, beta2: 0.75, eps: 1e-9 }, 1)
                .unwrap();
        let mut x = [0.0];
        adam.step(&mut x, &[1.0], 1.0).unwrap();
        adam.step(&mut x, &[2.0], 1.0).unwrap();
        // m = 0.5·0.5 + 0.5·2, v = 0.75·0.25 + 0.25·4, corrected by 1 − 0.25 and 1 − 0.5625.
        let second = (1.25 / 0.75) / (1.1875_f64 / 0.4375).sqrt();
        assert!((x[0] + 1.0 + second).abs() < 1e-8, "{x:?}");
    }

    #[test]
    fn settings_and_lengths_are_checked() {
        assert!(Optimizer::new(OptimizerConfig::Sgd { momentum: 1.0 }, 1).is_err());
        let mut sgd = Optimizer::new(OptimizerConfig::Sgd { momentum: 0.0 }, 1).unwrap();
        assert!(sgd.step(&mut [0.0], &[], 0.1).is_err());
    }
}
