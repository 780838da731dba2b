//! Models of the next step's value, fitted to samples of it.

mod basis;
mod least_squares;

pub use basis::{Basis, Regression};
pub use least_squares::least_squares;

use crate::{Error, portfolio::Members};

/// A model of V(·, t + 1), from which a step of backward induction takes its k.
pub trait NextValue {
    /// Fits the model.
    ///
    /// # Shapes
    /// - `portfolios`: `[samples][categories]`
    /// - `values`, in £, and `weights`, not negative: `[samples]`
    ///
    /// # Errors
    /// [`Error::Length`] if the three differ in length, [`Error::Setting`] without samples.
    fn fit(
        &mut self,
        portfolios: &[Vec<u32>],
        values: &[f64],
        weights: &[f64],
    ) -> Result<(), Error>;

    /// The value of a portfolio, in £.
    fn value(&self, portfolio: &[u32]) -> f64;

    /// What a customer in these categories would add: V(ρ + I) − V(ρ), in £; exactly 0 for one in no
    /// category.
    fn gain(&self, portfolio: &[u32], members: Members) -> f64 {
        if members.is_empty() {
            return 0.0;
        }
        let mut with = portfolio.to_vec();
        members.add_to(&mut with);
        self.value(&with) - self.value(portfolio)
    }
}

/// k = 1 − gain/cost: the effective multiple of cost that a customer stands for. It is 1 for a
/// customer who changes nothing, less for a wanted one.
#[inline]
pub fn k_value(gain: f64, cost: f64) -> f64 {
    1.0 - gain / cost
}
