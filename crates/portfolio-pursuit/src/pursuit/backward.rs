//! The published way: fitted backward induction, one regression for every customer of the epoch.

use std::collections::BTreeMap;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution as _};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use super::{Goal, Pursuit, responses::Responses};
use crate::{
    Error,
    next_value::{Basis, NextValue as _, Regression},
    portfolio::Members,
};

/// What a value function is fitted with at every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// `c + Σ_i w_i ρ_i`, as published: k then does not depend on the portfolio.
    #[default]
    Linear,
    /// All products of degree 2 and below.
    Quadratic,
    /// `c + Σ_i f_i(ρ_i)` with each `f_i` piecewise linear.
    Hinges,
}

/// How values are learned. The default is as published, but for the terminal step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct BackwardConfig {
    /// What is fitted.
    pub step: Step,
    /// Portfolios to which a step is fitted, at least 3.
    pub portfolios: usize,
    /// Customers over which a portfolio's value is averaged, at least 1.
    pub customers: usize,
    /// Knots of [`Step::Hinges`] in a category, at least 1.
    pub knots: usize,
    /// Takes L(ρ + I) − L(ρ) for the last sale's change of value, as the published code does, where it
    /// is the opposite.
    pub published_sign: bool,
}

impl Default for BackwardConfig {
    fn default() -> Self {
        Self { step: Step::Linear, portfolios: 24, customers: 500, knots: 4, published_sign: false }
    }
}

impl BackwardConfig {
    /// With hinges, and portfolios enough for them.
    pub fn hinges() -> Self {
        Self { step: Step::Hinges, portfolios: 72, customers: 100, knots: 3, ..Self::default() }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        let portfolios = self.portfolios;
        Error::check("backward.portfolios", "at least 3", portfolios, portfolios >= 3)?;
        let counts = [("backward.customers", self.customers), ("backward.knots", self.knots)];
        for (name, count) in counts {
            Error::check(name, "at least 1", count, count >= 1)?;
        }
        Ok(())
    }
}

/// Backward induction over sampled portfolios:
///
/// ```text
/// k(s,ρ,t) = 1 − [V(ρ+I(s), t) − V(ρ, t)] / C(s),   V(ρ, T) = −L(ρ, ρ*)
/// y(ρ) = V(ρ, t+1) + mean_s C p (a − k(s, ρ, t+1)),   V(·, t) = regression of y on ρ
/// ```
///
/// The regressions are used as they are; the published code trains a network on what they say.
#[derive(Debug, Clone)]
pub struct BackwardPursuit {
    goal: Goal,
    sign: f64,
    /// Of t from 1 to T−1.
    values: Vec<Regression>,
}

impl BackwardPursuit {
    /// Learns from customers like those of `responses`, around the counts `average` that an epoch ends
    /// with when profit alone is sought; stream `step` of the seed, by t.
    ///
    /// # Errors
    /// [`Error::Setting`] for the configuration or if there are no customers; [`Error::Length`] for
    /// `average`.
    pub fn learn(
        responses: &Responses,
        goal: &Goal,
        average: &[f64],
        loading: f64,
        config: &BackwardConfig,
        seed: Seed,
    ) -> Result<Self, Error> {
        config.validate()?;
        Error::check("customers", "at least 1", responses.len(), !responses.is_empty())?;
        let (expected, found) = (goal.categories(), average.len());
        if expected != found {
            return Err(Error::Length { name: "average", expected, found });
        }
        let horizon = goal.horizon();
        let sign = if config.published_sign { -1.0 } else { 1.0 };
        let mut values: Vec<Regression> = Vec::with_capacity(horizon as usize);
        for t in (1..horizon).rev() {
            let mut rng = seed.derive("step", u64::from(t)).rng();
            let portfolios = portfolios(goal, average, t, config.portfolios, &mut rng);
            let next = values.last();
            let targets: Vec<f64> = portfolios
                .iter()
                .map(|portfolio| {
                    let mut worth: BTreeMap<u32, f64> = BTreeMap::new();
                    let mut sum = 0.0;
                    for _ in 0..config.customers {
                        let s = rng.random_range(0..responses.len());
                        let members = responses.members(s);
                        let m = *worth.entry(members.bits()).or_insert_with(|| match next {
                            Some(value) => value.gain(portfolio, members),
                            None => sign * relief(goal, portfolio, members),
                        });
                        sum += responses.gain(s, m, loading);
                    }
                    let later = next.map_or_else(|| -goal.of(portfolio), |v| v.value(portfolio));
                    later + sum / config.customers as f64
                })
                .collect();
            let basis = match config.step {
                Step::Linear => Basis::Linear,
                Step::Quadratic => Basis::Quadratic,
                Step::Hinges => Basis::Hinges {
                    knots: (0..expected).map(|i| knots(&portfolios, i, config.knots)).collect(),
                },
            };
            let mut value = Regression::new(basis);
            value.fit(&portfolios, &targets, &vec![1.0; targets.len()])?;
            values.push(value);
        }
        values.reverse();
        Ok(Self { goal: goal.clone(), sign, values })
    }

    /// What a sale to customer `time`, of these categories, adds to the value, £.
    pub fn gain(&self, members: Members, portfolio: &[u32], time: u32) -> f64 {
        match self.values.get(time as usize) {
            Some(value) => value.gain(portfolio, members),
            None => self.sign * relief(&self.goal, portfolio, members),
        }
    }
}

/// How much a sale lowers the loss.
fn relief(goal: &Goal, portfolio: &[u32], members: Members) -> f64 {
    members.iter().map(|i| goal.relief(i, portfolio[i])).sum()
}

/// Counts of a category that occur, the ends left out, which bend nothing; at quantiles if there are
/// more than `most`.
fn knots(portfolios: &[Vec<u32>], category: usize, most: usize) -> Vec<f64> {
    let mut counts: Vec<u32> = portfolios.iter().map(|p| p[category]).collect();
    counts.sort_unstable();
    counts.dedup();
    let inner = counts.get(1..counts.len().saturating_sub(1)).unwrap_or_default();
    if inner.len() <= most {
        return inner.iter().map(|n| f64::from(*n)).collect();
    }
    (1..=most).map(|j| f64::from(inner[j * inner.len() / (most + 1)])).collect()
}

impl Pursuit for BackwardPursuit {
    fn worth(&mut self, members: Members, portfolio: &[u32], time: u32) -> f64 {
        (&*self).worth(members, portfolio, time)
    }
}

impl Pursuit for &BackwardPursuit {
    fn worth(&mut self, members: Members, portfolio: &[u32], time: u32) -> f64 {
        self.gain(members, portfolio, time)
    }
}

/// Portfolios after t customers, as published: all there can be if they are few; else a third on a
/// segment between low and high rates, and as many around the average as around the target.
fn portfolios(
    goal: &Goal,
    average: &[f64],
    t: u32,
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<u32>> {
    let d = goal.categories();
    let side = u64::from(t) + 1;
    if side.checked_pow(d as u32).is_some_and(|all| all < count as u64) {
        let all = 0..side.pow(d as u32);
        let digit = |code: u64, i: usize| (code / side.pow(i as u32) % side) as u32;
        return all.map(|code| (0..d).map(|i| digit(code, i)).collect()).collect();
    }
    let mut out = drawn(goal, average, t, count, rng);
    out.sort_unstable();
    out.dedup();
    out
}

/// The same where they are many, each as often as it is drawn.
fn drawn(
    goal: &Goal,
    average: &[f64],
    t: u32,
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<u32>> {
    let horizon = f64::from(goal.horizon());
    let (d, target) = (goal.categories(), goal.target());
    let mut out: Vec<Vec<u32>> = Vec::with_capacity(count);
    let third = count / 3;
    for j in 0..third {
        // As published: u ends near two thirds.
        let u = j as f64 / (count as f64 / 2.0 - 1.0);
        let portfolio = (0..d).map(|i| {
            let low = 0.1 * average[i].min(target[i]) / horizon;
            let high = 1.9 * average[i].max(target[i]) / horizon;
            let mean = f64::from(t) * (u * low + (1.0 - u) * high);
            let up = rng.random_bool(mean.fract().clamp(0.0, 1.0));
            (mean as u32 + u32::from(up)).min(t)
        });
        out.push(portfolio.collect());
    }
    for j in third..count {
        let around = if j - third < (count - third) / 2 { average } else { target };
        let draw = |center: &f64| {
            let rate = ((center + 1.0) / horizon).clamp(0.0, 1.0);
            Binomial::new(u64::from(t), rate).map_or(0, |b| b.sample(rng) as u32)
        };
        out.push(around.iter().map(draw).collect());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{super::InstanceBids, *};
    use crate::{exact::Instance, portfolio::Loss};

    #[test]
    fn few_portfolios_are_all_visited_and_many_are_not() {
        let goal = Goal::new(Loss::default(), vec![30.0, 4.0], 100).unwrap();
        let mut rng = Seed::new(1).rng();
        let all = portfolios(&goal, &[20.0, 8.0], 3, 24, &mut rng);
        assert_eq!(all.len(), 16);
        let mut distinct = all.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 16);
        let some = portfolios(&goal, &[20.0, 8.0], 60, 24, &mut rng);
        assert!(some.len() <= 24 && some.len() > 15);
        assert!(some.iter().flatten().all(|n| *n <= 60));
    }

    /// Means by hand, of 24 portfolios after 60 of 100 customers: eight on the segment, eight around the
    /// average, eight around the target.
    #[test]
    fn portfolios_lie_where_they_were_published_to() {
        let goal = Goal::new(Loss::default(), vec![30.0, 4.0], 100).unwrap();
        let average = [20.0, 8.0];
        let mut rng = Seed::new(2).rng();
        let times = 4000;
        let mut sums = vec![[0.0; 2]; 24];
        for _ in 0..times {
            for (sum, portfolio) in sums.iter_mut().zip(drawn(&goal, &average, 60, 24, &mut rng)) {
                sum.iter_mut().zip(portfolio).for_each(|(s, n)| *s += f64::from(n));
            }
        }
        for (j, sum) in sums.iter().enumerate() {
            for i in 0..2 {
                let found = sum[i] / f64::from(times);
                let expected = if j < 8 {
                    // From 1.9 times the larger of average and target, by elevenths of the way to a
                    // tenth of the smaller.
                    let (low, high) = ([2.0, 0.4][i], [57.0, 15.2][i]);
                    0.6 * (high - (high - low) * j as f64 / 11.0)
                } else if j < 16 {
                    0.6 * (average[i] + 1.0)
                } else {
                    0.6 * (goal.target()[i] + 1.0)
                };
                // A binomial count has a deviation below 4.
                assert!((found - expected).abs() < 0.3, "{j} {i}: {found} {expected}");
            }
        }
    }

    #[test]
    fn knots_are_spread_over_the_counts_between_the_ends() {
        let portfolios: Vec<Vec<u32>> = (0..10).map(|n| vec![7, n]).collect();
        assert_eq!(knots(&portfolios, 1, 3), [3.0, 5.0, 7.0]);
        assert_eq!(knots(&portfolios, 1, 8), (1..9).map(f64::from).collect::<Vec<_>>());
        assert!(knots(&portfolios, 0, 3).is_empty());
    }

    /// Two customers, all alike: y(n) = −l(n) + h(l(n) − l(n+1)) before the last.
    #[test]
    fn a_step_is_bellmans_equation() {
        let mut two = Instance::golden();
        (two.horizon, two.target) = (2, vec![1.0]);
        two.types.truncate(1);
        two.types[0].probability = 1.0;
        let (responses, goal) = InstanceBids(&two).problem(1).unwrap();
        let (config, loading) =
            (BackwardConfig { customers: 7, ..BackwardConfig::default() }, 0.07);
        let plan =
            BackwardPursuit::learn(&responses, &goal, &[0.5], loading, &config, Seed::new(1))
                .unwrap();
        let y =
            |n: u32| -goal.part(0, f64::from(n)) + responses.gain(0, goal.relief(0, n), loading);
        let found = plan.gain(Members::new([0]), &[0], 0);
        assert!((found - (y(1) - y(0))).abs() < 1e-9, "{found} {}", y(1) - y(0));
        let last = plan.gain(Members::new([0]), &[1], 1);
        assert!((last - goal.relief(0, 1)).abs() < 1e-12);
    }
}
