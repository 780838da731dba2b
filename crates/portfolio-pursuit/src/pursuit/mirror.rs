//! Dual mirror descent.

use serde::{Deserialize, Serialize};

use super::{Goal, Pursuit, StaticPursuit};
use crate::{
    Error,
    portfolio::{Deviation, Members},
};

/// How worths are moved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct MirrorConfig {
    /// Step, as a share of how much one sale moves the loss, above 0.
    pub step: f64,
}

impl Default for MirrorConfig {
    fn default() -> Self {
        Self { step: 0.05 }
    }
}

impl MirrorConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        let held = self.step > 0.0 && self.step.is_finite();
        Error::check("mirror.step", "a finite number above 0", self.step, held)
    }
}

/// Regularized online allocation (arXiv 2007.00514): the worth μ of a category is the dual variable of
/// its sales, moved after every customer by the gap between a sale and the rate that the loss asks for
/// at that worth:
///
/// ```text
/// n_i(μ) = argmax_n −l_i(n) − μ_i n,   μ_i ← μ_i + η_i (n_i(μ)/T − 1{won, s ∈ i})
/// ```
///
/// It holds for a convex loss, which this one is not above its target; the ways it fails there are
/// what it is here to show.
#[derive(Debug, Clone)]
pub struct MirrorPursuit {
    goal: Goal,
    worth: Vec<f64>,
    steps: Vec<f64>,
}

impl MirrorPursuit {
    /// From no worth at all.
    ///
    /// # Errors
    /// [`Error::Setting`] for the step.
    pub fn new(goal: &Goal, config: &MirrorConfig) -> Result<Self, Error> {
        config.validate()?;
        let d = goal.categories();
        let unit = |t: &f64| config.step * goal.loss().scale / (d as f64 * t.max(1.0));
        let steps = goal.target().iter().map(unit).collect();
        Ok(Self { goal: goal.clone(), worth: vec![0.0; d], steps })
    }

    /// From the worths of a static plan.
    ///
    /// # Errors
    /// [`Error::Setting`] for the step.
    pub fn from_plan(
        plan: &StaticPursuit,
        goal: &Goal,
        config: &MirrorConfig,
    ) -> Result<Self, Error> {
        Ok(Self { worth: plan.worths().to_vec(), ..Self::new(goal, config)? })
    }

    /// n(μ).
    fn wanted(&self, category: usize) -> f64 {
        let value = |n: f64| -self.goal.part(category, n) - self.worth[category] * n;
        let horizon = f64::from(self.goal.horizon());
        let higher = |best: f64, n: f64| if value(n) > value(best) { n } else { best };
        match self.goal.loss().deviation {
            // Straight below the target, and convex above: largest at an end of either.
            Deviation::Relative => {
                [self.goal.target()[category], horizon].into_iter().fold(0.0, higher)
            }
            Deviation::Quadratic => (0..=self.goal.horizon()).map(f64::from).fold(0.0, higher),
        }
    }
}

impl Pursuit for MirrorPursuit {
    fn worth(&mut self, members: Members, _: &[u32], _: u32) -> f64 {
        members.iter().map(|i| self.worth[i]).sum()
    }

    fn observe(&mut self, members: Members, won: bool, _: u32) {
        let horizon = f64::from(self.goal.horizon());
        for i in 0..self.worth.len() {
            let sale = f64::from(u8::from(won && members.contains(i)));
            self.worth[i] += self.steps[i] * (self.wanted(i) / horizon - sale);
        }
    }
}
