//! How customers answer to whatever k they are quoted at, worked out once.

use super::grid::Grid;
use crate::{
    models::{Bids, OFFERS},
    portfolio::Members,
};

/// Customers like those to come, with the probability of a sale and the offer at every k.
///
/// Between the points of a grid of k both are interpolated, so that planning costs no call of a
/// model.
#[derive(Debug, Clone)]
pub struct Responses {
    grid: Grid,
    members: Vec<Members>,
    cost: Vec<f64>,
    /// Probability and offer, `[customers, points]`.
    table: Vec<[f64; 2]>,
}

/// Half the number of steps of k, which lie within 1 ± [`REACH`], two thousandths apart around 1.
const HALF: i32 = 80;
const WIDTH: f64 = 0.03;
const REACH: f64 = 3.0;

/// A customer at some k.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Response {
    /// Probability of a sale.
    pub probability: f64,
    /// Offer over the own cost.
    pub offer: f64,
}

impl Responses {
    /// Asks `bids` about customers, given by features, own cost and categories.
    pub fn new<'a, B: Bids>(
        bids: &B,
        customers: impl IntoIterator<Item = (&'a [f64], f64, Members)>,
    ) -> Self {
        let grid = Grid::new(WIDTH, REACH, HALF);
        let points: Vec<f64> = grid.points().iter().map(|x| 1.0 + x).collect();
        let (mut members, mut cost, mut table) = (Vec::new(), Vec::new(), Vec::new());
        let (mut offers, mut probabilities) = (Vec::new(), Vec::new());
        for (row, c, m) in customers {
            let prospect = bids.prospect(row, c);
            bids.offers(&prospect, &points, &mut offers);
            bids.probabilities(&prospect, &offers, &mut probabilities);
            table.extend(probabilities.iter().zip(&offers).map(|(p, a)| [*p, *a]));
            members.push(m);
            cost.push(c);
        }
        Self { grid, members, cost, table }
    }

    /// Number of customers.
    pub fn len(&self) -> usize {
        self.cost.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cost.is_empty()
    }

    /// Own cost of a customer, £.
    pub fn cost(&self, customer: usize) -> f64 {
        self.cost[customer]
    }

    /// Categories of a customer.
    pub fn members(&self, customer: usize) -> Members {
        self.members[customer]
    }

    /// A customer at some k.
    #[inline]
    pub fn at(&self, customer: usize, k: f64) -> Response {
        self.between(customer, self.grid.place(k - 1.0))
    }

    #[inline]
    fn between(&self, customer: usize, (index, share): (usize, f64)) -> Response {
        let at = customer * self.grid.points().len() + index;
        let [low, high] = [self.table[at], self.table[at + 1]];
        let between = |i: usize| low[i] + share * (high[i] - low[i]);
        Response { probability: between(0), offer: between(1) }
    }

    /// Expected gain from a customer whose sale is worth `worth` £ beside the profit, where the cost
    /// is `1 + loading` times the estimate, £:
    ///
    /// ```text
    /// h_s(m) = max_a p(a) (C (a − 1 − loading) + m)
    /// ```
    #[inline]
    pub fn gain(&self, customer: usize, worth: f64, loading: f64) -> f64 {
        let cost = self.cost[customer];
        let k = 1.0 + loading - worth / cost;
        let Response { probability, offer } = self.at(customer, k);
        cost * probability * (offer - k)
    }

    /// [`Responses::gain`] with k looked for from `near`, which is moved there.
    #[inline]
    pub(super) fn gain_near(
        &self,
        customer: usize,
        worth: f64,
        loading: f64,
        near: &mut usize,
    ) -> f64 {
        let cost = self.cost[customer];
        let k = 1.0 + loading - worth / cost;
        let place = self.grid.place_near(k - 1.0, *near);
        *near = place.0;
        let Response { probability, offer } = self.between(customer, place);
        cost * probability * (offer - k)
    }

    /// What [`Responses::gain`] without loading cannot exceed: between two k the chord of
    /// `max_a p(a) (a − k)`, which is convex in k, and beyond them the steepest line there can be. The
    /// place among the k is looked for from `near`, which is moved there.
    ///
    /// Holds for bids that are the best there are, with a probability that falls with the offer.
    #[inline]
    pub(super) fn gain_above(&self, customer: usize, worth: f64, near: &mut usize) -> f64 {
        let cost = self.cost[customer];
        let x = -worth / cost;
        let points = self.grid.points();
        let row = &self.table[customer * points.len()..][..points.len()];
        let at = |j: usize| row[j][0] * (row[j][1] - 1.0 - points[j]);
        let over = points[0] - x;
        if over > 0.0 {
            // At the lowest offer no other is taken more often.
            let [probability, offer] = row[0];
            let slope = if offer <= OFFERS[0] { probability } else { 1.0 };
            return cost * (at(0) + slope * over);
        }
        let (index, share) = self.grid.place_near(x, *near);
        *near = index;
        cost * (at(index) + share * (at(index + 1) - at(index)))
    }

    /// Every so many of the customers, so that about `count` are left.
    #[must_use]
    pub fn thinned(&self, count: usize) -> Self {
        let every = (self.len() / count.max(1)).max(1);
        let chosen = || (0..self.len()).step_by(every);
        let width = self.grid.points().len();
        Self {
            grid: self.grid.clone(),
            members: chosen().map(|i| self.members[i]).collect(),
            cost: chosen().map(|i| self.cost[i]).collect(),
            table: chosen().flat_map(|i| &self.table[i * width..][..width]).copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Mixture;

    struct Curve;

    impl Bids for Curve {
        type Prospect = f64;

        fn prospect(&self, row: &[f64], _: f64) -> f64 {
            row[0]
        }

        fn offer(&self, market: &f64, k: f64) -> f64 {
            curve(*market).best_offer(k)
        }

        fn probability(&self, market: &f64, offer: f64) -> f64 {
            curve(*market).probability(offer)
        }
    }

    fn curve(market: f64) -> Mixture<'static> {
        Mixture { level: -0.5, slope: 45.0, market, shifts: &[-0.02, 0.0, 0.02] }
    }

    #[test]
    fn gains_are_the_maximum_to_a_penny() {
        let rows = [[1.04], [1.09]];
        let customers = rows.iter().map(|row| (&row[..], 800.0, Members::NONE));
        let responses = Responses::new(&Curve, customers);
        for (i, row) in rows.iter().enumerate() {
            for worth in [-900.0, -55.0, -3.3, 0.0, 0.7, 12.0, 140.0, 700.0, 5000.0] {
                let value = |a: f64| curve(row[0]).probability(a) * (800.0 * (a - 1.0) + worth);
                let best = (0..=100_000).map(|j| OFFERS[0] + f64::from(j) / 1e5).map(value);
                let best = best.fold(f64::NEG_INFINITY, f64::max);
                let found = responses.gain(i, worth, 0.0);
                assert!((found - best).abs() < 0.03 + 1e-3 * best.abs(), "{worth}: {found} {best}");
            }
        }
    }

    #[test]
    fn a_loading_raises_the_cost() {
        let responses = Responses::new(&Curve, [(&[1.05][..], 1000.0, Members::NONE)]);
        let gap = responses.gain(0, 20.0, 0.02) - responses.gain(0, 0.0, 0.0);
        assert!(gap.abs() < 1e-9, "{gap}");
    }

    #[test]
    fn thinning_keeps_customers_whole() {
        let rows: Vec<[f64; 1]> = (0..10).map(|i| [1.0 + f64::from(i) / 100.0]).collect();
        let all = Responses::new(
            &Curve,
            rows.iter().enumerate().map(|(i, r)| (&r[..], 100.0 + i as f64, Members::new([i % 3]))),
        );
        let few = all.thinned(5);
        assert_eq!(few.len(), 5);
        assert_eq!((few.cost(2), few.members(2)), (all.cost(4), all.members(4)));
        assert_eq!(few.at(2, 1.03), all.at(4, 1.03));
    }

    /// Any price is worth no more, however much or little a sale is; nor much less.
    #[test]
    fn gains_lie_below_their_bound_far_and_near() {
        struct Flat;

        impl Bids for Flat {
            type Prospect = ();

            fn prospect(&self, _: &[f64], _: f64) {}

            fn offer(&self, (): &(), k: f64) -> f64 {
                flat().best_offer(k)
            }

            fn probability(&self, (): &(), offer: f64) -> f64 {
                flat().probability(offer)
            }
        }

        fn flat() -> Mixture<'static> {
            Mixture { level: 0.5, slope: 0.3, market: 1.0, shifts: &[0.0] }
        }

        let row = [1.05];
        let one = || std::iter::once((&row[..], 800.0, Members::NONE));
        let most = |worth: f64, p: &dyn Fn(f64) -> f64| {
            let value = |a: f64| p(a) * (800.0 * (a - 1.0) + worth);
            (0..=20_000).map(|j| value(1.0 + f64::from(j) / 2e4)).fold(f64::NEG_INFINITY, f64::max)
        };
        let steep = Responses::new(&Curve, one());
        let flat_one = Responses::new(&Flat, one());
        for times in [-2.9, -0.4, -0.01, 0.0, 0.003, 0.2, 1.4, 2.9, 3.4, 20.0] {
            let worth = 800.0 * times;
            let truth = most(worth, &|a| curve(1.05).probability(a));
            let bound = steep.gain_above(0, worth, &mut 0);
            assert!(
                bound > truth - 1e-4 && bound < truth + 0.5 + 0.001 * truth,
                "{times}: {bound} {truth}"
            );
            // Here the best offer is not yet the lowest where the table of k ends.
            let truth = most(worth, &|a| flat().probability(a));
            let bound = flat_one.gain_above(0, worth, &mut 0);
            assert!(bound > truth - 1e-4, "{times}: {bound} {truth}");
        }
    }
}
