//! Quotes from bids and a pursuit.

use super::Pursuit;
use crate::{Enquiry, Outcome, Policy, Stream, models::Bids, portfolio::Members};

/// A firm that offers `a*(k)` with `k = 1 + loading − m/C`.
///
/// The loading stands against the winner's curse: cost estimates are noisy, and offers are taken where
/// they are too low.
pub struct PursuitPolicy<'a, B, P> {
    bids: &'a B,
    pursuit: P,
    loading: f64,
}

impl<'a, B: Bids, P: Pursuit> PursuitPolicy<'a, B, P> {
    /// Quotes of these bids; `loading` is 0 or a few hundredths.
    pub fn new(bids: &'a B, pursuit: P, loading: f64) -> Self {
        Self { bids, pursuit, loading }
    }
}

impl<B: Bids, P: Pursuit> Policy for PursuitPolicy<'_, B, P> {
    fn quote(&mut self, enquiry: &Enquiry<'_>, _: &mut Stream) -> f64 {
        let worth = self.pursuit.worth(enquiry.members, enquiry.portfolio, enquiry.time);
        let prospect = self.bids.prospect(enquiry.features, enquiry.cost);
        self.bids.offer(&prospect, 1.0 + self.loading - worth / enquiry.cost)
    }

    fn observe(&mut self, outcome: &Outcome<'_>) {
        self.pursuit.observe(outcome.enquiry.members, outcome.won, outcome.enquiry.time);
    }
}

/// Profit alone: k is 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoPursuit;

impl Pursuit for NoPursuit {
    fn worth(&mut self, _: Members, _: &[u32], _: u32) -> f64 {
        0.0
    }
}
