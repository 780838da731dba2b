//! What is pursued.

use crate::{
    Error,
    portfolio::{Loss, check_target},
};

/// A target for the end of an epoch, and what missing it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    loss: Loss,
    target: Vec<f64>,
    horizon: u32,
}

impl Goal {
    /// ρ* after `horizon` customers, T, at least 1.
    ///
    /// # Errors
    /// [`Error::Setting`] for the loss, the target or the horizon.
    pub fn new(loss: Loss, target: Vec<f64>, horizon: u32) -> Result<Self, Error> {
        loss.validate()?;
        check_target(&target, target.len())?;
        Error::check("horizon", "at least 1", horizon, horizon >= 1)?;
        Ok(Self { loss, target, horizon })
    }

    /// ρ*, `[categories]`.
    pub fn target(&self) -> &[f64] {
        &self.target
    }

    /// Number of categories, d.
    pub fn categories(&self) -> usize {
        self.target.len()
    }

    /// Customers of an epoch, T.
    pub fn horizon(&self) -> u32 {
        self.horizon
    }

    /// How missing it is measured.
    pub fn loss(&self) -> &Loss {
        &self.loss
    }

    /// One category's part of L at a count, £.
    pub fn part(&self, category: usize, count: f64) -> f64 {
        self.loss.part(count, self.target[category], self.categories())
    }

    /// L(ρ, ρ*), £.
    pub fn of(&self, portfolio: &[u32]) -> f64 {
        self.loss.of(portfolio, &self.target)
    }

    /// How much one more of a category lowers L, £.
    pub fn relief(&self, category: usize, count: u32) -> f64 {
        let at = |n: u32| self.part(category, f64::from(n));
        at(count) - at(count + 1)
    }

    /// The largest size of [`Goal::relief`], £.
    pub fn largest_relief(&self) -> f64 {
        let reliefs = (0..self.categories())
            .flat_map(|i| (0..self.horizon).map(move |n| self.relief(i, n).abs()));
        reliefs.fold(0.0, f64::max)
    }
}
