//! What missing the target costs.

use serde::{Deserialize, Serialize};

use crate::{Error, error::in_range};

/// Keeps an empty category with an empty target from dividing by 0.
const EPSILON: f64 = 1e-7;

/// How far a count is from its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Deviation {
    /// |ρ − ρ*| / (max(ρ, ρ*) + ε): between 0 and 1.
    #[default]
    Relative,
    /// (ρ − ρ*)² / (ρ ρ* + ε): the published code's unused alternative.
    Quadratic,
}

/// The loss of a portfolio at the end of an epoch, in £: scale times the mean deviation of its
/// categories.
///
/// ```text
/// L(ρ, ρ*) = scale · (1/d) Σ_i deviation(ρ_i, ρ*_i)
/// ```
///
/// With [`Deviation::Relative`], 0 ≤ L ≤ scale. Without categories it is 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Loss {
    /// Loss, in £, of a portfolio that misses its target wholly; 0 or above.
    pub scale: f64,
    /// How far a count is from its target.
    pub deviation: Deviation,
}

impl Default for Loss {
    fn default() -> Self {
        Self { scale: 2000.0, deviation: Deviation::Relative }
    }
}

impl Loss {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] if the scale is negative or not finite.
    pub fn validate(&self) -> Result<(), Error> {
        in_range("scale", self.scale, 0.0.., "0 or a number above")
    }

    /// Loss of a portfolio against a target, in £.
    ///
    /// # Shapes
    /// - `portfolio`, `target`: `[categories]`
    ///
    /// # Examples
    /// ```
    /// let loss = portfolio_pursuit::portfolio::Loss::default();
    /// // One category is half of what it should be, the other just right.
    /// assert!((loss.of(&[5, 7], &[10.0, 7.0]) - 500.0).abs() < 1e-4);
    /// ```
    pub fn of(&self, portfolio: &[u32], target: &[f64]) -> f64 {
        let d = target.len();
        portfolio.iter().zip(target).map(|(&n, &t)| self.part(f64::from(n), t, d)).sum()
    }

    /// One category's part in the loss of a portfolio with `categories` of them.
    #[inline]
    pub fn part(&self, count: f64, target: f64, categories: usize) -> f64 {
        let distance = count - target;
        let deviation = match self.deviation {
            Deviation::Relative => distance.abs() / (count.max(target) + EPSILON),
            Deviation::Quadratic => distance * distance / (count * target + EPSILON),
        };
        self.scale * deviation / categories as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn losses_by_hand() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} {b}");
        let loss = Loss { scale: 300.0, ..Loss::default() };
        close(loss.of(&[0, 0], &[6.0, 3.0]), 300.0);
        close(loss.of(&[6, 3], &[6.0, 3.0]), 0.0);
        close(loss.of(&[12, 3], &[6.0, 3.0]), 75.0);
        close(loss.of(&[3, 2], &[6.0, 3.0]), 150.0 * (0.5 + 1.0 / 3.0));
        close(loss.of(&[0], &[0.0]), 0.0);
        close(loss.of(&[], &[]), 0.0);
        let square = Loss { scale: 8.0, deviation: Deviation::Quadratic };
        close(square.of(&[4, 2], &[2.0, 2.0]), 8.0 * 0.25);
    }

    proptest! {
        #[test]
        fn relative_losses_are_bounded_and_scale(
            counts in proptest::collection::vec(0..1000_u32, 5),
            target in proptest::collection::vec(0.0..1000.0_f64, 5),
        ) {
            let loss = Loss::default().of(&counts, &target);
            prop_assert!((0.0..=2000.0).contains(&loss));
            let double = Loss { scale: 4000.0, ..Loss::default() }.of(&counts, &target);
            prop_assert!((double - 2.0 * loss).abs() < 1e-9);
        }
    }
}
