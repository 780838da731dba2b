//! Constant worths, best on average.

use serde::{Deserialize, Serialize};

use super::{Goal, Pursuit, responses::Responses};
use crate::{Error, portfolio::Members};

/// How constant worths are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct FluidConfig {
    /// Customers that stand for all, at least 1.
    pub customers: usize,
    /// Halvings of the step of the search, at least 1.
    pub halvings: usize,
}

impl Default for FluidConfig {
    fn default() -> Self {
        Self { customers: 500, halvings: 7 }
    }
}

impl FluidConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, count) in
            [("fluid.customers", self.customers), ("fluid.halvings", self.halvings)]
        {
            Error::check(name, "at least 1", count, count >= 1)?;
        }
        Ok(())
    }
}

/// Worths μ that do not change, or that are worked out again after every so many customers:
///
/// ```text
/// max_μ  R E[C p (a − 1 − loading)] − E L(ρ + N),   N_i ~ Normal(R E[p I_i], same)
/// ```
///
/// with k = 1 + loading − μ·I/C and R customers to come. Counts are spread as a Poisson variable's would
/// be, which rounds the corner of L at its target; found by a search along the coordinates.
#[derive(Debug, Clone)]
pub struct StaticPursuit {
    responses: Responses,
    goal: Goal,
    loading: f64,
    config: FluidConfig,
    worth: Vec<f64>,
    rates: Vec<f64>,
    /// Customers after which it plans again; none if never.
    every: Option<u32>,
}

impl StaticPursuit {
    /// Plans for a whole epoch, and again after `every` customers if there is such a number.
    ///
    /// # Errors
    /// [`Error::Setting`] for the configuration, if there are no customers, or if `every` is 0.
    pub fn plan(
        responses: &Responses,
        goal: &Goal,
        loading: f64,
        config: &FluidConfig,
        every: Option<u32>,
    ) -> Result<Self, Error> {
        config.validate()?;
        Error::check("customers", "at least 1", responses.len(), !responses.is_empty())?;
        Error::check("every", "at least 1", 0, every != Some(0))?;
        let d = goal.categories();
        let mut pursuit = Self {
            responses: responses.thinned(config.customers),
            goal: goal.clone(),
            loading,
            config: *config,
            worth: vec![0.0; d],
            rates: vec![0.0; d],
            every,
        };
        let step = 0.5 * goal.largest_relief().min(200.0);
        pursuit.search(&vec![0; d], 0, step, 3);
        Ok(pursuit)
    }

    /// μ, £.
    pub fn worths(&self) -> &[f64] {
        &self.worth
    }

    /// Sales of each category to a customer, on average.
    pub fn rates(&self) -> &[f64] {
        &self.rates
    }

    /// Objective and rates of μ.
    fn value(&self, worth: &[f64], portfolio: &[u32], time: u32) -> (f64, Vec<f64>) {
        let mut rates = vec![0.0; worth.len()];
        let mut profit = 0.0;
        let n = self.responses.len() as f64;
        for s in 0..self.responses.len() {
            let members = self.responses.members(s);
            let m: f64 = members.iter().map(|i| worth[i]).sum();
            let cost = self.responses.cost(s);
            let sold = self.responses.at(s, 1.0 + self.loading - m / cost);
            profit += cost * sold.probability * (sold.offer - 1.0 - self.loading) / n;
            members.iter().for_each(|i| rates[i] += sold.probability / n);
        }
        let left = f64::from(self.goal.horizon() - time);
        let loss: f64 = rates
            .iter()
            .enumerate()
            .map(|(i, rate)| {
                let (mean, spread) = (f64::from(portfolio[i]) + left * rate, (left * rate).sqrt());
                let part = |(z, w): (f64, f64)| w * self.goal.part(i, (mean + spread * z).max(0.0));
                NORMAL.into_iter().map(part).sum::<f64>()
            })
            .sum();
        (left * profit - loss, rates)
    }

    fn search(&mut self, portfolio: &[u32], time: u32, mut step: f64, sweeps: usize) {
        let mut worth = self.worth.clone();
        let (mut best, mut rates) = self.value(&worth, portfolio, time);
        for _ in 0..self.config.halvings {
            for _ in 0..sweeps {
                let mut moved = false;
                for i in 0..worth.len() {
                    for by in [step, -step] {
                        let before = worth[i];
                        worth[i] += by;
                        let (value, r) = self.value(&worth, portfolio, time);
                        if value > best {
                            (best, rates, moved) = (value, r, true);
                            break;
                        }
                        worth[i] = before;
                    }
                }
                if !moved {
                    break;
                }
            }
            step *= 0.5;
        }
        (self.worth, self.rates) = (worth, rates);
    }
}

/// Nodes and weights of Gauss and Hermite for a standard normal variable.
const NORMAL: [(f64, f64); 5] = [
    (-2.856_970_013_872_806, 0.011_257_411_327_720_7),
    (-1.355_626_179_974_266, 0.222_075_922_005_612_6),
    (0.0, 0.533_333_333_333_333_3),
    (1.355_626_179_974_266, 0.222_075_922_005_612_6),
    (2.856_970_013_872_806, 0.011_257_411_327_720_7),
];

impl Pursuit for StaticPursuit {
    fn worth(&mut self, members: Members, portfolio: &[u32], time: u32) -> f64 {
        if self.every.is_some_and(|every| time > 0 && time.is_multiple_of(every)) {
            self.search(portfolio, time, 8.0, 2);
        }
        members.iter().map(|i| self.worth[i]).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::InstanceBids, *};
    use crate::exact::Instance;

    /// Customers all alike, so that the objective is known but for one integral.
    #[test]
    fn the_objective_is_profit_less_the_expected_loss() {
        let mut alike = Instance::golden();
        (alike.horizon, alike.target) = (40, vec![2.0]);
        alike.types.truncate(1);
        alike.types[0].probability = 1.0;
        let (responses, goal) = InstanceBids(&alike).problem(1).unwrap();
        let (loading, worth) = (0.02, 3.0);
        let config = FluidConfig::default();
        let plan = StaticPursuit::plan(&responses, &goal, loading, &config, None).unwrap();
        let sold = responses.at(0, 1.02 - 0.03);
        let (left, before) = (25.0, 10.0);
        let profit = left * sold.probability * 100.0 * (sold.offer - 1.02);
        // E l(N) by a fine sum, N normal with the variance of a Poisson variable.
        let (mean, spread) = (before + left * sold.probability, (left * sold.probability).sqrt());
        let (mut loss, mut mass) = (0.0, 0.0);
        for i in -3000..=3000 {
            let z = f64::from(i) / 500.0;
            let density = (-0.5 * z * z).exp();
            loss += density * goal.part(0, (mean + spread * z).max(0.0));
            mass += density;
        }
        let (found, rates) = plan.value(&[worth], &[10], 15);
        assert!((found - (profit - loss / mass)).abs() < 0.02, "{found} {}", profit - loss / mass);
        assert!((rates[0] - sold.probability).abs() < 1e-12);
    }
}
