//! How a firm quotes.

use crate::{Error, error::in_range, portfolio::Members, stream::Stream};

/// What a firm knows when it quotes.
#[derive(Debug, Clone, Copy)]
pub struct Enquiry<'a> {
    /// The customer's features, as the market's schema has them.
    pub features: &'a [f64],
    /// The firm's own estimate of the customer's cost, in £.
    pub cost: f64,
    /// Which of the firm's categories the customer is in: I(s).
    pub members: Members,
    /// The firm's counts so far: ρ.
    pub portfolio: &'a [u32],
    /// Customers that came before in this epoch: t.
    pub time: u32,
    /// Customers of the epoch: T.
    pub horizon: u32,
}

/// What came of a quote, as far as the firm that made it can see.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// What was asked.
    pub enquiry: Enquiry<'a>,
    /// The firm's multiplier, after clipping.
    pub multiplier: f64,
    /// Whether the customer took it.
    pub won: bool,
}

/// A firm's way of quoting through one epoch.
///
/// A policy that adapts keeps its state in itself; one is made for each epoch.
pub trait Policy: Send {
    /// The offer as a multiple a of the firm's cost estimate; the simulator clips it to its range.
    fn quote(&mut self, enquiry: &Enquiry<'_>, stream: &mut Stream) -> f64;

    /// Learns what came of its last quote.
    fn observe(&mut self, outcome: &Outcome<'_>) {
        let _ = outcome;
    }
}

impl<P: Policy + ?Sized> Policy for Box<P> {
    fn quote(&mut self, enquiry: &Enquiry<'_>, stream: &mut Stream) -> f64 {
        (**self).quote(enquiry, stream)
    }

    fn observe(&mut self, outcome: &Outcome<'_>) {
        (**self).observe(outcome);
    }
}

/// Quotes uniformly between two multipliers, as every firm does before it has models: U[1, 1.2].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UniformPolicy {
    /// Lowest multiplier.
    pub low: f64,
    /// Highest multiplier.
    pub high: f64,
}

impl Default for UniformPolicy {
    fn default() -> Self {
        Self { low: 1.0, high: 1.2 }
    }
}

impl Policy for UniformPolicy {
    #[inline]
    fn quote(&mut self, _: &Enquiry<'_>, stream: &mut Stream) -> f64 {
        self.low + (self.high - self.low) * stream.unit()
    }
}

/// Quotes one multiplier to everybody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FixedPolicy(pub f64);

impl Policy for FixedPolicy {
    #[inline]
    fn quote(&mut self, _: &Enquiry<'_>, _: &mut Stream) -> f64 {
        self.0
    }
}

/// The published exploration around a policy: the quote times one of `FACTORS`, each with
/// probability `chance`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exploring<P> {
    policy: P,
    chance: f64,
}

/// What an exploring firm multiplies a quote by.
const FACTORS: [f64; 6] = [0.93, 0.95, 0.97, 1.03, 1.05, 1.07];

/// Probability of each factor in the published experiments.
pub const EXPLORATION: f64 = 0.02;

impl<P> Exploring<P> {
    /// Explores around `policy` with each factor at probability `chance`.
    ///
    /// # Errors
    /// [`Error::Setting`] unless 0 ≤ chance ≤ 1/6.
    pub fn new(policy: P, chance: f64) -> Result<Self, Error> {
        in_range("chance", chance, 0.0..=1.0 / 6.0, "a number between 0 and 1/6")?;
        Ok(Self { policy, chance })
    }
}

impl<P: Policy> Policy for Exploring<P> {
    #[inline]
    fn quote(&mut self, enquiry: &Enquiry<'_>, stream: &mut Stream) -> f64 {
        // Drawn first, so that what the policy itself draws moves no exploration.
        let place = stream.unit() / self.chance;
        let quote = self.policy.quote(enquiry, stream);
        FACTORS.get(place as usize).map_or(quote, |factor| quote * factor)
    }

    fn observe(&mut self, outcome: &Outcome<'_>) {
        self.policy.observe(outcome);
    }
}
