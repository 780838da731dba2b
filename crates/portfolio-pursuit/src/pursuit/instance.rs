//! Customers of an instance that is solved exactly.

use super::{Goal, Responses};
use crate::{
    Error,
    exact::{Acceptance, Instance},
    models::Bids,
    portfolio::Members,
};

/// Bids of a firm that knows an instance: the best price of its grid, and the true probability.
///
/// A customer's only feature is the place of its type.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceBids<'a>(pub &'a Instance);

impl Bids for InstanceBids<'_> {
    type Prospect = usize;

    fn prospect(&self, row: &[f64], _: f64) -> usize {
        row[0] as usize
    }

    fn offer(&self, kind: &usize, k: f64) -> f64 {
        self.0.prices[self.0.best_price(*kind, k)]
    }

    fn probability(&self, kind: &usize, offer: f64) -> f64 {
        match &self.0.types[*kind].acceptance {
            Acceptance::Logistic { slope, center } => {
                1.0 / (1.0 + (slope * (offer - center)).exp())
            }
            Acceptance::Table(p) => p[self.0.prices.partition_point(|a| *a < offer - 1e-12)],
        }
    }
}

impl InstanceBids<'_> {
    /// Responses of `customers` customers, of each type as many as its probability says, rounded; and
    /// what is pursued.
    ///
    /// # Errors
    /// What [`Instance::validate`] refuses.
    pub fn problem(&self, customers: usize) -> Result<(Responses, Goal), Error> {
        let instance = self.0;
        instance.validate()?;
        let rows: Vec<[f64; 1]> = (0..instance.types.len()).map(|i| [i as f64]).collect();
        let each = rows.iter().zip(&instance.types).flat_map(|(row, kind)| {
            let count = (kind.probability * customers as f64).round() as usize;
            let members = Members::new(kind.categories.iter().copied());
            std::iter::repeat_n((&row[..], kind.cost, members), count)
        });
        let goal = Goal::new(instance.loss, instance.target.clone(), instance.horizon)?;
        Ok((Responses::new(self, each), goal))
    }
}
