//! Learning rates over a run.

use serde::{Deserialize, Serialize};

use super::Error;

/// What happens to the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// It stays.
    #[default]
    Constant,
    /// It falls on a straight line.
    Linear,
    /// It falls on half a cosine wave. Source: arXiv 1608.03983, eq. 5, without restarts.
    Cosine,
}

/// Factor on the learning rate as a function of the step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Schedule {
    /// Steps over which the factor rises from 0; the first step after them has factor 1.
    pub warmup_steps: u64,
    /// Shape of the way down.
    pub decay: Decay,
    /// Factor at the end, in [0, 1].
    pub final_factor: f64,
}

impl Default for Schedule {
    /// Constant from the first step on.
    fn default() -> Self {
        Self { warmup_steps: 0, decay: Decay::Constant, final_factor: 0.0 }
    }
}

impl Schedule {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] for a final factor outside [0, 1].
    pub fn validate(&self) -> Result<(), Error> {
        if (0.0..=1.0).contains(&self.final_factor) {
            return Ok(());
        }
        Err(Error::Setting {
            name: "final_factor",
            expected: "a number in [0, 1]",
            found: self.final_factor.to_string(),
        })
    }

    /// The factor of step `step` (from 0) of `total`.
    ///
    /// ```text
    /// warm-up   (step + 1) / (warmup + 1)
    /// after it  f + (1 − f) d(p),  p = (step − warmup) / (total − warmup)
    ///           d = 1, 1 − p, (1 + cos πp) / 2
    /// ```
    ///
    /// The first step already learns something, and steps beyond `total` keep the final factor.
    pub fn factor(&self, step: u64, total: u64) -> f64 {
        if step < self.warmup_steps {
            return (step + 1) as f64 / (self.warmup_steps + 1) as f64;
        }
        let length = total.saturating_sub(self.warmup_steps).max(1) as f64;
        let progress = ((step - self.warmup_steps) as f64 / length).min(1.0);
        let fall = match self.decay {
            Decay::Constant => return 1.0,
            Decay::Linear => 1.0 - progress,
            Decay::Cosine => f64::midpoint(1.0, (std::f64::consts::PI * progress).cos()),
        };
        self.final_factor + (1.0 - self.final_factor) * fall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_at_the_corners() {
        let schedule = |decay| Schedule { warmup_steps: 3, decay, final_factor: 0.1 };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} {b}");
        for decay in [Decay::Constant, Decay::Linear, Decay::Cosine] {
            close(schedule(decay).factor(0, 13), 0.25);
            close(schedule(decay).factor(2, 13), 0.75);
            close(schedule(decay).factor(3, 13), 1.0);
        }
        close(schedule(Decay::Linear).factor(8, 13), 0.55);
        close(schedule(Decay::Cosine).factor(8, 13), 0.55);
        close(
            schedule(Decay::Cosine).factor(6, 13),
            0.1 + 0.45 * (1.0 + (0.3f64 * std::f64::consts::PI).cos()),
        );
        close(schedule(Decay::Linear).factor(13, 13), 0.1);
        close(schedule(Decay::Cosine).factor(99, 13), 0.1);
        close(schedule(Decay::Constant).factor(99, 13), 1.0);
    }

    #[test]
    fn a_final_factor_beyond_one_is_refused() {
        let schedule = Schedule { final_factor: 1.5, ..Schedule::default() };
        let message = schedule.validate().unwrap_err().to_string();
        assert_eq!(message, "final_factor: expected a number in [0, 1], found 1.5");
    }
}
