//! The dual of a book's problem: shadow prices, found by bisecting one after another.

use super::joint::{JointLimits, LIMITS, Ladder};

/// Coordinate sweeps of the dual; each halves every bracket to rounding.
const SWEEPS: usize = 30;
const BISECTIONS: usize = 60;
/// A limit missed by less than this share of it is held.
const SLACK: f64 = 1e-9;

/// A book, limits, and what is to be maximized within them.
pub(super) struct Problem<'a> {
    pub(super) ladders: &'a [Ladder],
    pub(super) limits: &'a JointLimits,
    pub(super) held: [bool; LIMITS],
    /// Weight of profit; 0 where one limit's side is the objective.
    pub(super) profit: f64,
    pub(super) instead: Option<usize>,
}

/// What comes of the best prices at given shadow prices.
pub(super) struct Point {
    pub(super) prices: [f64; LIMITS],
    /// Each limit's side less its floor; negative where it is missed.
    pub(super) room: [f64; LIMITS],
    /// The objective at the chosen prices.
    pub(super) objective: f64,
    /// The dual function: above whatever holds the limits.
    pub(super) dual: f64,
}

impl Problem<'_> {
    fn at(&self, prices: [f64; LIMITS]) -> Point {
        let mut room = self.limits.floors().map(|floor| -floor);
        let mut dual = 0.0;
        for ladder in self.ladders {
            let (place, worth) = self.limits.best_for(ladder, prices, self.profit, self.instead);
            let adds = self.limits.adds(ladder, ladder.rungs[place]);
            room.iter_mut().zip(adds).for_each(|(room, add)| *room += add);
            dual += worth;
        }
        let inner = |b: [f64; LIMITS]| prices.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        dual -= inner(self.limits.floors());
        Point { prices, room, objective: dual - inner(room), dual }
    }

    fn holds(&self, point: &Point, slack: [f64; LIMITS]) -> bool {
        (0..LIMITS).all(|j| !self.held[j] || point.room[j] >= -slack[j])
    }

    /// What counts as rounding of a limit's side.
    fn slack(&self, j: usize) -> f64 {
        let side = |l: &Ladder| {
            l.rungs.iter().map(|r| self.limits.adds(l, *r)[j].abs()).fold(0.0, f64::max)
        };
        SLACK * self.ladders.iter().map(side).sum::<f64>()
    }

    /// Minimizes the dual by bisecting one shadow price after another, each of whose sides rises with
    /// its price. Returns the best point that holds every limit, with the least of all duals.
    pub(super) fn solve(&self, steepest: f64) -> Option<Point> {
        let slack: [f64; LIMITS] = std::array::from_fn(|j| self.slack(j));
        let mut prices = [0.0; LIMITS];
        let mut best: Option<Point> = None;
        let mut least = f64::INFINITY;
        let mut keep = |point: Point| {
            least = least.min(point.dual);
            let better = best.as_ref().is_none_or(|b| point.objective > b.objective);
            if self.holds(&point, slack) && better {
                best = Some(point);
            }
        };
        keep(self.at(prices));
        for _ in 0..SWEEPS {
            let before = prices;
            for j in (0..LIMITS).filter(|&j| self.held[j]) {
                prices[j] = self.bisect(prices, (j, slack[j]), steepest, &mut keep);
            }
            let moved =
                prices.iter().zip(before).any(|(now, then)| (now - then).abs() > 1e-12 * now);
            if !moved || prices.iter().any(|price| *price >= steepest) {
                break;
            }
        }
        best.map(|point| Point { dual: least, ..point })
    }

    /// The least price of limit j at which it holds, the others' being given.
    fn bisect(
        &self,
        mut prices: [f64; LIMITS],
        (j, slack): (usize, f64),
        steepest: f64,
        keep: &mut impl FnMut(Point),
    ) -> f64 {
        let mut holds = |price: f64| {
            prices[j] = price;
            let point = self.at(prices);
            let enough = point.room[j] >= -slack;
            keep(point);
            enough
        };
        if holds(0.0) {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, steepest * 1e-9);
        while !holds(high) {
            if high >= steepest {
                return high;
            }
            (low, high) = (high, 4.0 * high);
        }
        for _ in 0..BISECTIONS {
            let middle = f64::midpoint(low, high);
            if holds(middle) {
                high = middle;
            } else {
                low = middle;
            }
            if high - low <= 1e-13 * high {
                break;
            }
        }
        high
    }
}
