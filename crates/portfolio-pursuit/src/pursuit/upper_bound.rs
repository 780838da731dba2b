//! What no policy can exceed.

use serde::{Deserialize, Serialize};

use super::{
    Goal,
    grid::{Grid, Tabulated},
    responses::Responses,
};
use crate::Error;

/// How upper bounds are looked for; every point that the search visits is a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct UpperBoundConfig {
    /// Halvings of the step of the search, at least 1.
    pub halvings: usize,
    /// Most passes over the coordinates at a step, at least 1.
    pub passes: usize,
}

impl Default for UpperBoundConfig {
    fn default() -> Self {
        Self { halvings: 5, passes: 3 }
    }
}

impl UpperBoundConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        let counts = [("upper_bound.halvings", self.halvings), ("upper_bound.passes", self.passes)];
        let check = |(name, count)| Error::check(name, "at least 1", count, count >= 1);
        counts.into_iter().try_for_each(check)
    }
}

/// Bounds, £, on the expected reward of an epoch whose customers are drawn from some, with
/// probabilities of a sale that are known, whatever the policy does and knows of the past.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UpperBound {
    /// The Lagrangian dual, loose where the loss is not convex: the same as putting the concave
    /// envelope in the place of −L.
    ///
    /// ```text
    /// min_μ T E_s[h_s(μ·I_s)] + Σ_i max_n (−l_i(n) − μ_i n)
    /// ```
    pub dual: f64,
    /// A separable function that is above the value everywhere:
    ///
    /// ```text
    /// W(ρ, t) = (T − t) E_s[1{s in none} h_s(0)] + Σ_i v_i(ρ_i, t),   v_i(n, T) = −l_i(n)
    /// v_i(n, t) = v_i(n, t+1) + E_s[1{s ∈ i} λ_si h_s(μ·I_s + (Δ_i − μ_i)/λ_si)]
    /// Δ_i = v_i(n+1, t+1) − v_i(n, t+1),   λ_si = w_i / Σ_{j : s ∈ j} w_j
    /// ```
    ///
    /// h is convex and the λ of a customer sum to one, so what a step adds is at least
    /// `E h_s(Σ Δ_i I_i)`, as Bellman's equation asks, for any μ and w; the least found is kept. Where no
    /// customer is in two categories it is the value itself.
    pub separable: f64,
}

impl UpperBound {
    /// Bounds for customers like those of `responses`, whose bids must be the best there are and whose
    /// probabilities must fall with the offer.
    ///
    /// # Errors
    /// [`Error::Setting`] for the configuration, or if there are no customers.
    pub fn find(
        responses: &Responses,
        goal: &Goal,
        config: &UpperBoundConfig,
    ) -> Result<Self, Error> {
        config.validate()?;
        Error::check("customers", "at least 1", responses.len(), !responses.is_empty())?;
        let d = goal.categories();
        let reach = goal.largest_relief();
        let step = 0.25 * reach.min(200.0);
        let mut worth = vec![0.0; d];
        let thorough = UpperBoundConfig { halvings: 2 * config.halvings, ..*config };
        let dual = descend(&mut worth, &vec![step; d], &thorough, |at| dual(responses, goal, at));
        // μ from there, and w as far as worths may move: steeply where a category is small.
        let mut point = worth;
        point.extend(goal.target().iter().map(|target| -(target + 1.0).ln()));
        let mut steps = vec![0.1 * step; d];
        steps.extend(vec![0.5; d]);
        let grid = Grid::new(1.0, 1.01 * reach.max(1.0), 150);
        let separable = descend(&mut point, &steps, config, |at| {
            let (worth, logs) = at.split_at(d);
            separable(responses, goal, worth, logs, &grid)
        });
        Ok(Self { dual, separable })
    }

    /// The lower of the two, £.
    pub fn least(&self) -> f64 {
        self.dual.min(self.separable)
    }
}

/// Lowers `value` along one coordinate after another, with ever smaller steps.
fn descend(
    point: &mut [f64],
    steps: &[f64],
    config: &UpperBoundConfig,
    value: impl Fn(&[f64]) -> f64,
) -> f64 {
    let mut least = value(point);
    let mut shrink = 1.0;
    for _ in 0..config.halvings {
        for _ in 0..config.passes {
            let mut moved = false;
            for (i, step) in steps.iter().enumerate() {
                for by in [step * shrink, -step * shrink] {
                    let before = point[i];
                    point[i] += by;
                    let found = value(point);
                    if found < least {
                        (least, moved) = (found, true);
                        break;
                    }
                    point[i] = before;
                }
            }
            if !moved {
                break;
            }
        }
        shrink *= 0.5;
    }
    least
}

fn dual(responses: &Responses, goal: &Goal, worth: &[f64]) -> f64 {
    let horizon = goal.horizon();
    let n = responses.len();
    let mut near = 0;
    let gain = |s: usize| {
        let m = responses.members(s).iter().map(|i| worth[i]).sum();
        responses.gain_above(s, m, &mut near)
    };
    let gains = (0..n).map(gain).sum::<f64>() / n as f64;
    let most = |(i, worth): (usize, &f64)| {
        (0..=horizon)
            .map(|n| -goal.part(i, f64::from(n)) - worth * f64::from(n))
            .fold(f64::NEG_INFINITY, f64::max)
    };
    f64::from(horizon) * gains + worth.iter().enumerate().map(most).sum::<f64>()
}

fn separable(responses: &Responses, goal: &Goal, worth: &[f64], logs: &[f64], grid: &Grid) -> f64 {
    let n = responses.len() as f64;
    let weights: Vec<f64> = logs.iter().map(|log| log.exp()).collect();
    let points = grid.points();
    let mut sums = vec![vec![0.0; points.len()]; worth.len()];
    let mut outside = 0.0;
    for s in 0..responses.len() {
        let members = responses.members(s);
        if members.is_empty() {
            outside += responses.gain_above(s, 0.0, &mut 0);
            continue;
        }
        let all: f64 = members.iter().map(|i| worth[i]).sum();
        let weight: f64 = members.iter().map(|i| weights[i]).sum();
        for i in members.iter() {
            let share = weights[i] / weight;
            let mut near = usize::MAX;
            for (sum, delta) in sums[i].iter_mut().zip(points) {
                let m = all + (delta - worth[i]) / share;
                *sum += share * responses.gain_above(s, m, &mut near);
            }
        }
    }
    let start = |(i, sums): (usize, Vec<f64>)| {
        // Chords of a convex function, so never below it.
        let gains = Tabulated::new(grid, sums.into_iter().map(|sum| sum / n).collect());
        first_value(goal, i, &gains)
    };
    let parts: f64 = sums.into_iter().enumerate().map(start).sum();
    f64::from(goal.horizon()) * outside / n + parts
}

/// `v_i(0, 0)`.
fn first_value(goal: &Goal, category: usize, gains: &Tabulated<'_>) -> f64 {
    let horizon = goal.horizon() as usize;
    let mut value: Vec<f64> = (0..=horizon).map(|n| -goal.part(category, n as f64)).collect();
    for t in (0..horizon).rev() {
        let mut near = 0;
        for n in 0..=t {
            let delta = value[n + 1] - value[n];
            value[n] += gains.at(delta, &mut near);
        }
    }
    value[0]
}

#[cfg(test)]
mod tests {
    use super::{super::InstanceBids, *};
    use crate::exact::{CustomerType, Instance, solve};

    fn bounds(instance: &Instance) -> (UpperBound, f64) {
        let (responses, goal) = InstanceBids(instance).problem(6).unwrap();
        let config = UpperBoundConfig { halvings: 8, passes: 6 };
        let found = UpperBound::find(&responses, &goal, &config).unwrap();
        let optimum = solve(instance).unwrap().table().value(0, &vec![0; goal.categories()]);
        (found, optimum)
    }

    #[test]
    fn without_shared_customers_the_bound_is_the_value() {
        let (found, optimum) = bounds(&Instance::golden());
        let gap = found.separable - optimum;
        // What chords between two k and two worths add.
        assert!((0.0..0.2).contains(&gap), "{gap}");
        assert!(found.dual > found.separable + 1.0 && found.dual < optimum + 40.0, "{found:?}");
    }

    #[test]
    fn with_shared_customers_it_is_above_the_value_and_below_the_dual() {
        let mut shared = Instance::golden();
        let both = CustomerType { cost: 150.0, categories: vec![0, 1], ..shared.types[0].clone() };
        shared.types.push(both);
        shared.types.iter_mut().for_each(|kind| kind.probability = 1.0 / 3.0);
        let (found, optimum) = bounds(&shared);
        let gap = found.separable - optimum;
        assert!(gap > 0.0 && found.separable < found.dual, "{found:?} {optimum}");
        assert!(gap < 0.5 * (found.dual - optimum), "{found:?} {optimum}");
    }

    /// Every μ and w gives a bound.
    #[test]
    fn every_point_of_the_search_is_a_bound() {
        let mut shared = Instance::golden();
        let both = CustomerType { cost: 150.0, categories: vec![0, 1], ..shared.types[0].clone() };
        shared.types.push(both);
        shared.types.iter_mut().for_each(|kind| kind.probability = 1.0 / 3.0);
        let (responses, goal) = InstanceBids(&shared).problem(3).unwrap();
        let optimum = solve(&shared).unwrap().table().value(0, &[0, 0]);
        let grid = Grid::new(1.0, 1.01 * goal.largest_relief(), 150);
        for worth in [[0.0, 0.0], [10.0, -5.0], [-20.0, 30.0]] {
            assert!(dual(&responses, &goal, &worth) > optimum);
            for logs in [[0.0, 0.0], [1.0, -1.0], [-0.5, 2.0]] {
                let found = separable(&responses, &goal, &worth, &logs, &grid);
                assert!(found > optimum, "{worth:?} {logs:?}: {found} {optimum}");
            }
        }
    }

    #[test]
    fn customers_in_no_category_bring_their_profit() {
        let mut third = Instance::golden();
        third.types.push(CustomerType { categories: vec![], ..third.types[1].clone() });
        third.types.iter_mut().for_each(|kind| kind.probability = 1.0 / 3.0);
        let (found, optimum) = bounds(&third);
        let gap = found.separable - optimum;
        assert!((0.0..0.2).contains(&gap), "{gap}");
    }

    #[test]
    fn without_a_loss_all_is_profit() {
        let mut free = Instance::golden();
        free.loss.scale = 0.0;
        let (found, optimum) = bounds(&free);
        assert!((found.dual - optimum).abs() < 1e-6, "{found:?} {optimum}");
        assert!((found.separable - optimum).abs() < 0.1, "{found:?} {optimum}");
        assert!((optimum - 90.72261).abs() < 1e-5);
    }
}
