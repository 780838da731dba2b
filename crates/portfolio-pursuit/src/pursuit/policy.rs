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

#[cfg(test)]
mod tests {
    use rl_core::seed::Seed;

    use super::{super::InstanceBids, *};
    use crate::exact::Instance;

    struct Constant(f64);

    impl Pursuit for Constant {
        fn worth(&mut self, _: Members, _: &[u32], _: u32) -> f64 {
            self.0
        }
    }

    /// p(a) (C (a − 1 − loading) + m) is largest at the quote, among all prices.
    #[test]
    fn quotes_are_the_best_for_what_a_sale_is_worth() {
        let golden = Instance::golden();
        let bids = InstanceBids(&golden);
        for (worth, loading) in [(0.0, 0.0), (9.0, 0.0), (-9.0, 0.0), (4.0, 0.03), (0.0, 0.03)] {
            let mut policy = PursuitPolicy::new(&bids, Constant(worth), loading);
            let enquiry = Enquiry {
                features: &[1.0],
                cost: 200.0,
                members: Members::NONE,
                portfolio: &[0, 0],
                time: 0,
                horizon: 20,
            };
            let quote = policy.quote(&enquiry, &mut Stream::at(Seed::new(0), 0));
            let value = |a: f64| bids.probability(&1, a) * (200.0 * (a - 1.0 - loading) + worth);
            let most = golden.prices.iter().map(|a| value(*a)).fold(f64::NEG_INFINITY, f64::max);
            assert!(value(quote) >= most - 1e-12, "{worth} {loading}: {quote}");
        }
    }
}
