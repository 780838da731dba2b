//! A controller for each category.

use serde::{Deserialize, Serialize};

use super::{Goal, Pursuit, StaticPursuit};
use crate::{Error, portfolio::Members};

/// Gains of the controllers, as shares of how much one more or less moves the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PacingConfig {
    /// On the gap to the plan, in sales, at least 0.
    pub proportional: f64,
    /// On the gap's mean so far, at least 0.
    pub integral: f64,
    /// On the gap's change over 50 customers, at least 0.
    pub derivative: f64,
}

impl Default for PacingConfig {
    fn default() -> Self {
        Self { proportional: 0.1, integral: 0.05, derivative: 0.0 }
    }
}

impl PacingConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, gain) in [
            ("pacing.proportional", self.proportional),
            ("pacing.integral", self.integral),
            ("pacing.derivative", self.derivative),
        ] {
            let held = gain >= 0.0 && gain.is_finite();
            Error::check(name, "a finite number, not below 0", gain, held)?;
        }
        Ok(())
    }
}

/// Keeps each count on the straight way to where the static plan ends:
///
/// ```text
/// e_i = T⁻¹ t N_i − ρ_i,   m_i = μ_i + u_i (P e_i + I mean(e_i) + D (e_i − e_i at the last look))
/// ```
///
/// Looks are every 50 customers; μ and N are the static plan's worths and expected sales, `u_i = scale / (d max(ρ*_i, N_i, 1))` how
/// much a sale moves the loss.
#[derive(Debug, Clone)]
pub struct PacingPursuit {
    config: PacingConfig,
    base: Vec<f64>,
    rates: Vec<f64>,
    unit: Vec<f64>,
    sums: Vec<f64>,
    counts: Vec<u32>,
    earlier: Vec<f64>,
    now: Vec<f64>,
}

impl PacingPursuit {
    /// Controllers around a static plan.
    ///
    /// # Errors
    /// [`Error::Setting`] for the gains.
    pub fn new(plan: &StaticPursuit, goal: &Goal, config: &PacingConfig) -> Result<Self, Error> {
        config.validate()?;
        let d = goal.categories();
        let end = |i: usize| f64::from(goal.horizon()) * plan.rates()[i];
        let unit = (0..d)
            .map(|i| goal.loss().scale / (d as f64 * goal.target()[i].max(end(i)).max(1.0)))
            .collect();
        Ok(Self {
            config: *config,
            base: plan.worths().to_vec(),
            rates: plan.rates().to_vec(),
            unit,
            sums: vec![0.0; d],
            counts: vec![0; d],
            earlier: vec![0.0; d],
            now: vec![0.0; d],
        })
    }
}

/// Customers from one look at how a gap changes to the next.
const LAG: u32 = 50;

impl Pursuit for PacingPursuit {
    fn worth(&mut self, members: Members, _: &[u32], _: u32) -> f64 {
        let PacingConfig { proportional, integral, derivative } = self.config;
        members
            .iter()
            .map(|i| {
                let control = proportional * self.now[i]
                    + integral * self.sums[i]
                    + derivative * (self.now[i] - self.earlier[i]);
                self.base[i] + self.unit[i] * control
            })
            .sum()
    }

    fn observe(&mut self, members: Members, won: bool, time: u32) {
        if won {
            members.add_to(&mut self.counts);
        }
        let seen = f64::from(time + 1);
        if (time + 1).is_multiple_of(LAG) {
            self.earlier.copy_from_slice(&self.now);
        }
        for (i, now) in self.now.iter_mut().enumerate() {
            *now = seen * self.rates[i] - f64::from(self.counts[i]);
            self.sums[i] += (*now - self.sums[i]) / seen;
        }
    }
}
