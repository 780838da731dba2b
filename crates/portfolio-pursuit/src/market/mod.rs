//! Who arrives, what they cost, and whom they choose.

mod alias;
mod choice;
mod law;
mod synthetic;

use rl_core::seed::Seed;

pub use choice::Choice;
pub use law::{Children, Law, Person};
pub use synthetic::{LOCATIONS, OCCUPATIONS, SyntheticConfig, SyntheticMarket, Visitor};

use crate::Schema;

/// A market: a stream of visitors, each of which gets an offer from every firm and takes one or none.
///
/// All that is random about a visitor is drawn with it, once: features, every firm's estimate of its
/// cost, and the number that decides between offers. So policies can be compared on the same
/// visitors, and a visitor is the same however many threads there are.
pub trait MarketModel: Sync {
    /// A visitor, with everything that was drawn for it.
    type Visitor: Send;

    /// What firms see of a visitor.
    fn schema(&self) -> &Schema;

    /// How many firms quote.
    fn firms(&self) -> usize;

    /// Visitor `index` of stream `seed`: a pure function of the two.
    fn visitor(&self, seed: Seed, index: u64) -> Self::Visitor;

    /// Writes what firms see of a visitor; `features` is as long as [`schema`](Self::schema).
    fn features(&self, visitor: &Self::Visitor, features: &mut [f64]);

    /// What `firm` expects the visitor to cost, in £; above 0.
    fn cost(&self, visitor: &Self::Visitor, firm: usize) -> f64;

    /// What the visitor really costs on average, in £.
    fn true_cost(&self, visitor: &Self::Visitor) -> f64;

    /// Probability with which each firm's offer is taken, all else about the visitor being known; the
    /// rest to 1 is that none is.
    ///
    /// # Shapes
    /// - `offers`, in £: `[firms]`
    /// - `probabilities`: `[firms]`
    fn probabilities(&self, visitor: &Self::Visitor, offers: &[f64], probabilities: &mut [f64]);

    /// The firm whose offer is taken.
    ///
    /// Firm 0's offer is taken if the visitor's own uniform number is below its probability, so that
    /// for given rivals a cheaper offer of firm 0 loses no visitor.
    fn choose(&self, visitor: &Self::Visitor, offers: &[f64]) -> Option<usize>;
}
