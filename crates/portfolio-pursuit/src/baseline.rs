//! What the industry does: fixed factors on the price of what it wants more or less of.

use serde::{Deserialize, Serialize};

use crate::{
    Enquiry, Error, Outcome, Policy, Stream,
    error::in_range,
    portfolio::{Members, check_target},
};

/// Keeps an empty category with an empty target from dividing by 0.
const EPSILON: f64 = 1e-6;

/// Factors on the bid, one for each category of a customer.
///
/// ```text
/// Π_{i : s in category i} [1 + strength · (avg_i − ρ*_i) / (avg_i + ρ*_i + ε)]
/// ```
///
/// `avg` is the mean portfolio at the end of epochs without a target. Open loop: neither the current
/// portfolio nor the time matters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndustryMultiplier {
    factors: Vec<f64>,
}

/// The published strength.
pub const PUBLISHED_STRENGTH: f64 = 0.02;

impl IndustryMultiplier {
    /// Factors that move a portfolio from its average towards a target.
    ///
    /// # Errors
    /// [`Error::Length`] if the two differ in length, [`Error::Setting`] for negative counts and a
    /// strength outside [0, 1].
    pub fn new(average: &[f64], target: &[f64], strength: f64) -> Result<Self, Error> {
        check_target(target, average.len())?;
        check_target(average, average.len())?;
        in_range("strength", strength, 0.0..=1.0, "a number between 0 and 1")?;
        let factor = |(&average, &target): (&f64, &f64)| {
            1.0 + strength * (average - target) / (average + target + EPSILON)
        };
        Ok(Self { factors: average.iter().zip(target).map(factor).collect() })
    }

    /// The factor for a customer in these categories; 1 for one in none.
    #[inline]
    pub fn factor(&self, members: Members) -> f64 {
        members.iter().map(|i| self.factors[i]).product()
    }

    /// One factor for each category.
    pub fn factors(&self) -> &[f64] {
        &self.factors
    }
}

/// A policy whose quotes are multiplied by the industry's factors.
#[derive(Debug, Clone)]
pub struct IndustryPolicy<P> {
    /// The bid before the factors.
    pub bid: P,
    /// The factors.
    pub multiplier: IndustryMultiplier,
}

impl<P: Policy> Policy for IndustryPolicy<P> {
    #[inline]
    fn quote(&mut self, enquiry: &Enquiry<'_>, stream: &mut Stream) -> f64 {
        self.bid.quote(enquiry, stream) * self.multiplier.factor(enquiry.members)
    }

    fn observe(&mut self, outcome: &Outcome<'_>) {
        self.bid.observe(outcome);
    }
}
