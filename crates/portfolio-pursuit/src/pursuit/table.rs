//! Our method: a table for each category.

use super::{
    Goal, Pursuit,
    grid::{Grid, Tabulated},
    responses::Responses,
};
use crate::{Error, portfolio::Members};

/// How tables are worked out.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TableConfig {
    /// Sweeps over what categories are worth to each other, at least 1.
    pub sweeps: usize,
    /// Share of the old worth that is kept after a sweep, from 0 to below 1.
    pub damping: f64,
}

impl Default for TableConfig {
    fn default() -> Self {
        Self { sweeps: 6, damping: 0.5 }
    }
}

impl TableConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        Error::check("table.sweeps", "at least 1", self.sweeps, self.sweeps >= 1)?;
        let held = (0.0..1.0).contains(&self.damping);
        Error::check("table.damping", "a number from 0 to below 1", self.damping, held)
    }
}

/// Value as a sum over categories, each exact at every count and time, given what the other categories
/// of a customer are worth:
///
/// ```text
/// V(ρ, t) ≈ V₀(t) + Σ_i v_i(ρ_i, t),   v_i(n, T) = −l_i(n)
/// v_i(n, t) = v_i(n, t+1) + E_s[ 1{s ∈ i} (h_s(Δ_i + o_s) − h_s(o_s)) ]
/// Δ_i = v_i(n+1, t+1) − v_i(n, t+1),   o_s = Σ_{j ≠ i} μ_j I_j(s),   μ_j = Δ_j at (0, 0)
/// ```
///
/// L is a sum over categories, and a sale moves each by at most one, so categories meet only in
/// customers that are in several; for them μ stands in for what the others are worth at the moment.
/// Where no customer is in two it is exact, given the responses. μ is found by damped sweeps.
#[derive(Debug, Clone)]
pub struct TablePursuit {
    /// Δ of each category, `[t][n ≤ t]`, t from 0 to T−1: worth of a sale to customer t.
    worth: Vec<Vec<Vec<f32>>>,
    start: Vec<f64>,
}

impl TablePursuit {
    /// Plans for customers like those of `responses`, at costs `1 + loading` times the estimates.
    ///
    /// # Errors
    /// [`Error::Setting`] for the configuration or if there are no customers.
    pub fn plan(
        responses: &Responses,
        goal: &Goal,
        loading: f64,
        config: &TableConfig,
    ) -> Result<Self, Error> {
        config.validate()?;
        Error::check("customers", "at least 1", responses.len(), !responses.is_empty())?;
        let d = goal.categories();
        let reach = goal.largest_relief().max(1.0);
        let grid = Grid::new(1.0, 1.01 * reach, 150);
        let mut start = vec![0.0; d];
        let mut worth: Vec<Vec<Vec<f32>>> = vec![Vec::new(); d];
        // Without overlaps the first sweep is the answer.
        for _ in 0..config.sweeps {
            let mut found = vec![0.0; d];
            for i in 0..d {
                let gains = gains(responses, i, &start, loading, &grid);
                worth[i] = table(goal, i, &gains);
                found[i] = f64::from(worth[i][0][0]);
            }
            let change = |(old, new): (&mut f64, &f64)| {
                *old = config.damping * *old + (1.0 - config.damping) * new;
            };
            start.iter_mut().zip(&found).for_each(change);
        }
        Ok(Self { worth, start })
    }

    /// μ: what a sale of each category is worth before the first customer, £.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// What a sale of one category is worth to customer `time` at a count, £.
    ///
    /// Counts above `time`, which a portfolio that starts empty cannot have, are taken for `time`.
    pub fn category(&self, category: usize, count: u32, time: u32) -> f64 {
        let rows = &self.worth[category];
        let row = &rows[(time as usize).min(rows.len() - 1)];
        f64::from(row[(count as usize).min(row.len() - 1)])
    }
}

/// `m ↦ E_s[ 1{s ∈ i} (h_s(m + o_s) − h_s(o_s)) ]`.
fn gains<'a>(
    responses: &Responses,
    category: usize,
    worth: &[f64],
    loading: f64,
    grid: &'a Grid,
) -> Tabulated<'a> {
    let points = grid.points();
    let mut sums = vec![0.0; points.len()];
    for s in (0..responses.len()).filter(|s| responses.members(*s).contains(category)) {
        let others: f64 =
            responses.members(s).iter().filter(|j| *j != category).map(|j| worth[j]).sum();
        let without = responses.gain(s, others, loading);
        let mut near = usize::MAX;
        for (sum, m) in sums.iter_mut().zip(points) {
            *sum += responses.gain_near(s, m + others, loading, &mut near) - without;
        }
    }
    let n = responses.len() as f64;
    Tabulated::new(grid, sums.into_iter().map(|s| s / n).collect())
}

/// Δ of one category at every time and count.
fn table(goal: &Goal, category: usize, gains: &Tabulated<'_>) -> Vec<Vec<f32>> {
    let horizon = goal.horizon() as usize;
    // v(n, t+1) for n up to t+1.
    let mut value: Vec<f64> = (0..=horizon).map(|n| -goal.part(category, n as f64)).collect();
    let mut worth = vec![Vec::new(); horizon];
    for t in (0..horizon).rev() {
        let mut row = Vec::with_capacity(t + 1);
        let mut near = 0;
        for n in 0..=t {
            let delta = value[n + 1] - value[n];
            row.push(delta as f32);
            value[n] += gains.at(delta, &mut near);
        }
        worth[t] = row;
    }
    worth
}

impl Pursuit for TablePursuit {
    fn worth(&mut self, members: Members, portfolio: &[u32], time: u32) -> f64 {
        (&*self).worth(members, portfolio, time)
    }
}

impl Pursuit for &TablePursuit {
    fn worth(&mut self, members: Members, portfolio: &[u32], time: u32) -> f64 {
        members.iter().map(|i| self.category(i, portfolio[i], time)).sum()
    }
}
