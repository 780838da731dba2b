//! Quotes from bids and a pursuit.

use super::Pursuit;
use crate::{Enquiry, Error, Outcome, Policy, Stream, models::Bids, portfolio::Members};

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

/// The industry's way, as published: the offer for profit alone, times a factor for each category of
/// the customer.
///
/// ```text
/// a · Π_{i: s ∈ i} (1 + β (avg_i − ρ*_i) / (avg_i + ρ*_i + 1e−6))
/// ```
///
/// It looks neither at the time nor at what has been won.
pub struct Multiplier<P> {
    policy: P,
    factors: Vec<f64>,
}

impl<P: Policy> Multiplier<P> {
    /// Around `policy`, with the counts that an epoch ends with on average, and the target.
    ///
    /// # Errors
    /// [`Error::Length`] if they differ in length.
    pub fn new(policy: P, beta: f64, average: &[f64], target: &[f64]) -> Result<Self, Error> {
        if average.len() != target.len() {
            let (expected, found) = (target.len(), average.len());
            return Err(Error::Length { name: "average", expected, found });
        }
        let factor = |(a, t): (&f64, &f64)| 1.0 + beta * (a - t) / (a + t + 1e-6);
        Ok(Self { policy, factors: average.iter().zip(target).map(factor).collect() })
    }
}

impl<P: Policy> Policy for Multiplier<P> {
    fn quote(&mut self, enquiry: &Enquiry<'_>, stream: &mut Stream) -> f64 {
        let factor: f64 = enquiry.members.iter().map(|i| self.factors[i]).product();
        self.policy.quote(enquiry, stream) * factor
    }

    fn observe(&mut self, outcome: &Outcome<'_>) {
        self.policy.observe(outcome);
    }
}
