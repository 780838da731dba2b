//! Backward induction.

use super::{
    Instance, Table,
    instance::best,
    table::{Layer, check_size},
};
use crate::{Error, next_value::k_value, portfolio::Members};

/// The optimal policy of an instance.
#[derive(Debug, Clone)]
pub struct Solution {
    instance: Instance,
    members: Vec<Members>,
    acceptance: Vec<Vec<f64>>,
    table: Table,
}

impl Solution {
    /// V.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// k(s, ρ, t + 1): what decides the price for a type at time t.
    pub fn k(&self, time: u32, portfolio: &[u32], kind: usize) -> f64 {
        let gain = self.table.gain(time + 1, portfolio, self.members[kind]);
        k_value(gain, self.instance.types[kind].cost)
    }

    /// The optimal price, as its place on the grid.
    pub fn decide(&self, time: u32, portfolio: &[u32], kind: usize) -> usize {
        let k = self.k(time, portfolio, kind);
        best(&self.acceptance[kind], &self.instance.prices, k).0
    }
}

/// Solves an instance exactly.
///
/// ```text
/// V(ρ, T) = −L(ρ, ρ*)
/// V(ρ, t) = V(ρ, t+1) + E_s[ C(s) max_a p(s, a)(a − k(s, ρ, t+1)) ]
/// k(s, ρ, t+1) = 1 − [V(ρ + I(s), t+1) − V(ρ, t+1)] / C(s)
/// ```
///
/// # Errors
/// [`Error::TooLarge`] beyond a hundred million states, and what [`Instance::validate`] refuses.
pub fn solve(instance: &Instance) -> Result<Solution, Error> {
    instance.validate()?;
    let (members, acceptance) = (instance.members(), instance.acceptance());
    let d = instance.target.len();
    check_size(instance.horizon, d)?;
    let mut layers = vec![terminal(instance)];
    for t in (0..instance.horizon as usize).rev() {
        let next = &layers[layers.len() - 1];
        let shifts: Vec<usize> = members.iter().map(|m| next.shift(*m)).collect();
        let layer = Layer::from_fn(t + 1, d, |portfolio| {
            let at = next.place(portfolio);
            let k = |kind: usize| {
                let gain = next.values[at + shifts[kind]] - next.values[at];
                k_value(gain, instance.types[kind].cost)
            };
            next.values[at] + expected(instance, &acceptance, k)
        });
        layers.push(layer);
    }
    layers.reverse();
    Ok(Solution { instance: instance.clone(), members, acceptance, table: Table { layers } })
}

/// `E_s[ C max_a p(a)(a − k) ]`.
pub(super) fn expected(
    instance: &Instance,
    acceptance: &[Vec<f64>],
    k: impl Fn(usize) -> f64,
) -> f64 {
    let kinds = instance.types.iter().zip(acceptance).enumerate();
    kinds.map(|(i, (t, p))| t.probability * t.cost * best(p, &instance.prices, k(i)).1).sum()
}

/// −L at every portfolio of the last time.
pub(super) fn terminal(instance: &Instance) -> Layer {
    let side = instance.horizon as usize + 1;
    let d = instance.target.len();
    Layer::from_fn(side, d, |portfolio| -instance.loss.of(portfolio, &instance.target))
}

/// Largest distance, in £, of a table from Bellman's equation in its plain form,
///
/// ```text
/// V(ρ, t) = E_s max_a { p(a) [C(a − 1) + V(ρ + I, t+1)] + (1 − p(a)) V(ρ, t+1) },
/// ```
///
/// and from −L at the end.
pub fn bellman_residual(instance: &Instance, table: &Table) -> f64 {
    let (members, acceptance) = (instance.members(), instance.acceptance());
    let last = instance.horizon;
    let mut worst = 0.0_f64;
    for time in 0..=last {
        table.layers[time as usize].for_each(instance.target.len(), |_, portfolio| {
            let right = if time == last {
                -instance.loss.of(portfolio, &instance.target)
            } else {
                let stay = table.value(time + 1, portfolio);
                let best = |i: usize| {
                    let mut with = portfolio.to_vec();
                    members[i].add_to(&mut with);
                    let go = table.value(time + 1, &with);
                    let cost = instance.types[i].cost;
                    let of = |(p, a): (&f64, &f64)| p * (cost * (a - 1.0) + go) + (1.0 - p) * stay;
                    let all = acceptance[i].iter().zip(&instance.prices).map(of);
                    all.fold(f64::NEG_INFINITY, f64::max)
                };
                instance.types.iter().enumerate().map(|(i, t)| t.probability * best(i)).sum()
            };
            worst = worst.max((right - table.value(time, portfolio)).abs());
        });
    }
    worst
}
