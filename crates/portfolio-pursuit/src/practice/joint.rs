//! Limits that all policies of a book hold together, through shadow prices.

use serde::{Deserialize, Serialize};

use super::dual::Problem;
use crate::{Error, error::in_range};

/// A price that a policy may have, and what would come of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rung {
    /// The price, in £.
    pub price: f64,
    /// Probability that it is taken.
    pub acceptance: f64,
}

/// One policy of a book with the prices it may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder {
    /// Expected cost, in £.
    pub cost: f64,
    /// What owning it is worth beside its profit, in £: V(ρ + I) − V(ρ).
    pub worth: f64,
    /// Its last price, in £, where it has one.
    pub previous: Option<f64>,
    /// The prices, in order; at least one.
    pub rungs: Vec<Rung>,
}

/// What a book must hold in expectation.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct JointLimits {
    /// Least number of policies that are sold.
    pub volume: Option<f64>,
    /// Largest ratio of expected cost to premium, over what is sold.
    pub loss_ratio: Option<f64>,
    /// Largest change of premium over what is sold of policies with a last price, as a share of their
    /// last premium: 0.05 lets the book's prices rise by 5 %.
    pub rate_change: Option<f64>,
}

/// What one more unit of each limit would be worth: £ a sale, £ per £ of expected cost, £ per £ of
/// premium. A limit that does not bind has the price 0.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ShadowPrices {
    /// Of the volume floor.
    pub volume: f64,
    /// Of the loss-ratio ceiling.
    pub loss_ratio: f64,
    /// Of the rate-change ceiling.
    pub rate_change: f64,
}

/// Prices that hold every limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Joint {
    /// The shadow prices.
    pub shadow_prices: ShadowPrices,
    /// For each policy, the place of its price on its ladder.
    pub choices: Vec<usize>,
    /// Expected sales.
    pub volume: f64,
    /// Expected premium, in £.
    pub premium: f64,
    /// Expected cost over expected premium; none without sales.
    pub loss_ratio: Option<f64>,
    /// Relative change of premium; none without policies that have a last price.
    pub rate_change: Option<f64>,
    /// Expected profit and worth, in £.
    pub value: f64,
    /// What no choice of prices that holds the limits can exceed, in £: the dual bound.
    pub bound: f64,
}

pub(super) const LIMITS: usize = 3;
const NAMES: [&str; LIMITS] = ["volume", "loss_ratio", "rate_change"];
/// Shadow prices above this many times the largest value at stake mean that nothing helps.
const STEEPEST: f64 = 1e6;

impl JointLimits {
    /// Checks every limit.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        if let Some(volume) = self.volume {
            in_range("volume", volume, 0.0.., "0 or a number above")?;
        }
        if let Some(ratio) = self.loss_ratio {
            in_range("loss_ratio", ratio, f64::MIN_POSITIVE.., "a number above 0")?;
        }
        self.rate_change.map_or(Ok(()), |x| in_range("rate_change", x, -1.0.., "-1 or above"))
    }

    fn given(&self) -> [bool; LIMITS] {
        [self.volume.is_some(), self.loss_ratio.is_some(), self.rate_change.is_some()]
    }

    /// What a price adds to the side of each limit that must not fall below [`floors`](Self::floors):
    /// p, p(λ·price − cost), and p((1 + r)·previous − price).
    #[inline]
    pub(super) fn adds(&self, ladder: &Ladder, rung: Rung) -> [f64; LIMITS] {
        let Rung { price, acceptance: p } = rung;
        let within = |limit: f64| ladder.previous.map_or(0.0, |last| (1.0 + limit) * last - price);
        [
            p,
            self.loss_ratio.map_or(0.0, |limit| p * (limit * price - ladder.cost)),
            self.rate_change.map_or(0.0, |limit| p * within(limit)),
        ]
    }

    pub(super) fn floors(&self) -> [f64; LIMITS] {
        [self.volume.unwrap_or(0.0), 0.0, 0.0]
    }

    /// The place of the best price at given shadow prices: argmax p(price − cost + worth) + `Σ_j μ_j
    /// adds_j`. With prices found beforehand, a stream of policies is quoted one at a time.
    #[inline]
    pub fn best(&self, ladder: &Ladder, prices: &ShadowPrices) -> usize {
        self.best_for(ladder, prices.to_array(), 1.0, None).0
    }

    /// The best place, weighing profit and, where asked for, one limit's side as the objective.
    #[inline]
    pub(super) fn best_for(
        &self,
        ladder: &Ladder,
        prices: [f64; LIMITS],
        profit: f64,
        instead: Option<usize>,
    ) -> (usize, f64) {
        let mut best = (0, f64::NEG_INFINITY);
        for (place, rung) in ladder.rungs.iter().enumerate() {
            let adds = self.adds(ladder, *rung);
            let margin = rung.acceptance * (rung.price - ladder.cost + ladder.worth);
            let shadow: f64 = prices.iter().zip(adds).map(|(price, add)| price * add).sum();
            let worth = profit * margin + instead.map_or(0.0, |j| adds[j]) + shadow;
            if worth > best.1 {
                best = (place, worth);
            }
        }
        best
    }
}

impl ShadowPrices {
    fn to_array(self) -> [f64; LIMITS] {
        [self.volume, self.loss_ratio, self.rate_change]
    }

    fn from_array([volume, loss_ratio, rate_change]: [f64; LIMITS]) -> Self {
        Self { volume, loss_ratio, rate_change }
    }
}

/// Chooses a price for every policy so that profit and worth are largest and all limits hold in
/// expectation.
///
/// Maximizes the Lagrangian policy by policy and its shadow prices by dual ascent. Prices come from
/// ladders, so the value may fall short of the best by the gap between [`Joint::value`] and
/// [`Joint::bound`], which shrinks as policies become many and rungs close.
///
/// # Errors
/// [`Error::Setting`] for limits out of range and ladders without rungs; [`Error::Bounds`] if the limits
/// cannot all hold, saying which and by how much.
pub fn hold_jointly(ladders: &[Ladder], limits: &JointLimits) -> Result<Joint, Error> {
    limits.validate()?;
    if let Some(i) = ladders.iter().position(|l| l.rungs.is_empty()) {
        return Err(Error::setting(format!("prices of policy {i}"), "at least one", 0));
    }
    let held = limits.given();
    let stake = |l: &Ladder| {
        l.rungs.iter().map(|r| (r.price - l.cost + l.worth).abs()).fold(l.cost, f64::max)
    };
    let steepest = STEEPEST * ladders.iter().map(stake).fold(1.0, f64::max);
    let problem = Problem { ladders, limits, held, profit: 1.0, instead: None };
    let Some(point) = problem.solve(steepest) else {
        return Err(Error::Bounds(conflicts(ladders, limits, steepest)));
    };
    let shadow_prices = ShadowPrices::from_array(point.prices);
    let choices: Vec<usize> = ladders.iter().map(|l| limits.best(l, &shadow_prices)).collect();
    Ok(sum_up(ladders, choices, shadow_prices, point.dual))
}

fn sum_up(
    ladders: &[Ladder],
    choices: Vec<usize>,
    shadow_prices: ShadowPrices,
    bound: f64,
) -> Joint {
    let (mut volume, mut premium, mut cost, mut value) = (0.0, 0.0, 0.0, 0.0);
    let (mut renewed, mut previous) = (0.0, 0.0);
    for (ladder, &place) in ladders.iter().zip(&choices) {
        let Rung { price, acceptance: p } = ladder.rungs[place];
        volume += p;
        premium += p * price;
        cost += p * ladder.cost;
        value += p * (price - ladder.cost + ladder.worth);
        if let Some(last) = ladder.previous {
            renewed += p * price;
            previous += p * last;
        }
    }
    let ratio = |a: f64, b: f64| (b > 0.0).then(|| a / b);
    Joint {
        shadow_prices,
        choices,
        volume,
        premium,
        loss_ratio: ratio(cost, premium),
        rate_change: ratio(renewed - previous, previous),
        value,
        bound,
    }
}

/// Which limits cannot hold, and by how much: each alone, or else each with the others held.
fn conflicts(ladders: &[Ladder], limits: &JointLimits, steepest: f64) -> Vec<String> {
    let given = limits.given();
    let most = |j: usize, held: [bool; LIMITS]| {
        let problem = Problem { ladders, limits, held, profit: 0.0, instead: Some(j) };
        problem.solve(steepest).map(|point| point.room[j])
    };
    let said = |j: usize, room: f64, beside: &str| {
        let short = -room;
        match j {
            0 => {
                let floor = limits.floors()[0];
                let found = floor - short;
                format!(
                    "volume: {floor:.2} sales are asked for, {found:.2} can be had{beside}, {short:.2} too few"
                )
            }
            1 => format!(
                "loss_ratio: expected cost exceeds what the ratio allows by £{short:.2}{beside}"
            ),
            _ => format!(
                "rate_change: premium exceeds what the change allows by £{short:.2}{beside}"
            ),
        }
    };
    let all = (0..LIMITS).filter(|&j| given[j]);
    let alone: Vec<String> = all
        .clone()
        .filter_map(|j| {
            most(j, [false; LIMITS]).filter(|room| *room < 0.0).map(|room| said(j, room, ""))
        })
        .collect();
    if !alone.is_empty() {
        return alone;
    }
    all.map(|j| {
        let mut held = given;
        held[j] = false;
        match most(j, held) {
            Some(room) if room < 0.0 => said(j, room, " while the other limits hold"),
            _ => format!("{}: no prices were found that hold it beside the others", NAMES[j]),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Demand 2 − a at a times a cost of £100: without limits a = 1.5 sells half.
    fn book(n: usize, previous: Option<f64>) -> Vec<Ladder> {
        let rung = |i: u32| f64::from(i) / 1000.0;
        let rungs = (1000..=2000).map(rung).map(|a| Rung { price: 100.0 * a, acceptance: 2.0 - a });
        vec![Ladder { cost: 100.0, worth: 0.0, previous, rungs: rungs.collect() }; n]
    }

    fn held(limits: JointLimits) -> Joint {
        let joint = hold_jointly(&book(10, Some(150.0)), &limits).unwrap();
        assert!(joint.value <= joint.bound + 1e-9 && joint.bound - joint.value < 0.3, "{joint:?}");
        joint
    }

    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "expected {expected}, found {found}");
    }

    #[test]
    fn without_limits_every_price_is_the_best() {
        let joint = held(JointLimits::default());
        close(joint.volume, 5.0, 1e-9);
        close(joint.loss_ratio.unwrap(), 1.0 / 1.5, 1e-9);
        close(joint.rate_change.unwrap(), 0.0, 1e-9);
        assert_eq!(joint.shadow_prices, ShadowPrices::default());
    }

    #[test]
    fn shadow_prices_are_those_of_the_closed_form() {
        // (2 − a)(100(a − 1) + μ) is largest at a = (300 − μ)/200: a volume of 0.6 needs μ = 20.
        let joint = held(JointLimits { volume: Some(6.0), ..JointLimits::default() });
        close(joint.shadow_prices.volume, 20.0, 0.2);
        close(joint.volume, 6.0, 0.011);
        // A loss ratio of 0.6 needs a = 1/0.6, and 1 + 0.6 μ = (a − 1)/(2 − a) = 2.
        let joint = held(JointLimits { loss_ratio: Some(0.6), ..JointLimits::default() });
        close(joint.shadow_prices.loss_ratio, 1.0 / 0.6, 0.01);
        close(joint.loss_ratio.unwrap(), 0.6, 1e-3);
        // Prices down by 4 % of £150 need a = 1.44; the slope of (2 − a)(100(a − 1) + 100μ(1.44 − a))
        // there is 56 − 44 − 56μ, so μ = 3/14.
        let joint = held(JointLimits { rate_change: Some(-0.04), ..JointLimits::default() });
        close(joint.shadow_prices.rate_change, 3.0 / 14.0, 0.005);
        close(joint.rate_change.unwrap(), -0.04, 1e-3);
    }

    #[test]
    fn only_the_tighter_of_two_limits_has_a_price() {
        let limits =
            JointLimits { volume: Some(6.0), rate_change: Some(-0.04), ..JointLimits::default() };
        let joint = held(limits);
        assert!(joint.volume >= 6.0 - 1e-9 && joint.rate_change.unwrap() <= -0.04 + 1e-9);
        close(joint.shadow_prices.volume, 20.0, 0.2);
        close(joint.shadow_prices.rate_change, 0.0, 1e-3);
    }

    #[test]
    fn what_cannot_hold_is_named_with_its_shortfall() {
        let refused = |limits| hold_jointly(&book(10, None), &limits).unwrap_err().to_string();
        let limits = JointLimits { volume: Some(12.0), ..JointLimits::default() };
        assert_eq!(
            refused(limits),
            "bounds cannot all hold: volume: 12.00 sales are asked for, 10.00 can be had, 2.00 too few"
        );
        // A ratio of 0.6 allows at most a third of the book to be sold.
        let limits =
            JointLimits { volume: Some(6.0), loss_ratio: Some(0.6), ..JointLimits::default() };
        let message = refused(limits);
        assert!(message.contains("6.00 sales are asked for, 3.33 can be had while"), "{message}");
        assert!(message.contains("loss_ratio: expected cost exceeds"), "{message}");
    }

    proptest! {
        #[test]
        fn limits_hold_and_nothing_feasible_beats_the_bound(
            costs in proptest::collection::vec((50.0..200.0_f64, 5.0..30.0_f64, -20.0..20.0_f64), 1..5),
            volume in 0.0..0.9_f64,
            ratio in 0.8..1.2_f64,
        ) {
            let ladders: Vec<Ladder> = costs.iter().map(|&(cost, slope, worth)| Ladder {
                cost, worth, previous: None,
                rungs: [0.95, 1.0, 1.05, 1.1, 1.2].iter().map(|a| Rung {
                    price: a * cost,
                    acceptance: 1.0 / (1.0 + (slope * (a - 1.05)).exp()),
                }).collect(),
            }).collect();
            let most: f64 = ladders.iter().map(|l| l.rungs[0].acceptance).sum();
            let limits = JointLimits { volume: Some(volume * most), loss_ratio: Some(ratio), rate_change: None };
            // Brute force over all prices.
            let n = ladders.len();
            let feasible = (0..5_usize.pow(n as u32)).filter_map(|code| {
                let choices: Vec<usize> = (0..n).map(|i| code / 5_usize.pow(i as u32) % 5).collect();
                let j = sum_up(&ladders, choices, ShadowPrices::default(), 0.0);
                (j.volume >= volume * most && j.loss_ratio.unwrap() <= ratio).then_some(j.value)
            });
            let best = feasible.fold(f64::NEG_INFINITY, f64::max);
            match hold_jointly(&ladders, &limits) {
                Ok(joint) => {
                    prop_assert!(joint.volume >= volume * most * (1.0 - 1e-6));
                    prop_assert!(joint.loss_ratio.unwrap() <= ratio * (1.0 + 1e-6));
                    prop_assert!(joint.value <= best + 1e-6 && best <= joint.bound + 1e-6);
                }
                Err(Error::Bounds(said)) => prop_assert!(!said.is_empty()),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}
