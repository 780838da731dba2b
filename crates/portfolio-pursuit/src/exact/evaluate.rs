//! What a policy is worth on an instance, by summing over all that can happen or by playing.

use serde::Serialize;

use super::{Instance, table::Layer};
use crate::{Error, Stream};

/// What to expect of a policy, in £.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// E Σ C(a − 1) over sales.
    pub profit: f64,
    /// E `L(ρ_T, ρ*)`.
    pub loss: f64,
    /// Profit less loss.
    pub reward: f64,
    /// E `ρ_T`.
    pub portfolio: Vec<f64>,
}

/// Evaluates a policy exactly; `decide` gives the place of a price on the grid for a time, a
/// portfolio and a type.
///
/// # Errors
/// What [`Instance::validate`] refuses.
pub fn evaluate(
    instance: &Instance,
    decide: impl Fn(u32, &[u32], usize) -> usize,
) -> Result<Evaluation, Error> {
    instance.validate()?;
    let (members, acceptance) = (instance.members(), instance.acceptance());
    let d = instance.target.len();
    let mut profit = 0.0;
    let mut now = Layer::zeros(1, d);
    now.values[0] = 1.0;
    for time in 0..instance.horizon {
        let mut next = Layer::zeros(time as usize + 2, d);
        let shifts: Vec<usize> = members.iter().map(|m| next.shift(*m)).collect();
        now.for_each(d, |place, portfolio| {
            let mass = now.values[place];
            if mass <= 0.0 {
                return;
            }
            let at = next.place(portfolio);
            for (i, kind) in instance.types.iter().enumerate() {
                let price = decide(time, portfolio, i);
                let arrives = mass * kind.probability;
                let wins = arrives * acceptance[i][price];
                profit += wins * kind.cost * (instance.prices[price] - 1.0);
                next.values[at + shifts[i]] += wins;
                next.values[at] += arrives - wins;
            }
        });
        now = next;
    }
    let (mut loss, mut portfolio) = (0.0, vec![0.0; d]);
    now.for_each(d, |place, counts| {
        let mass = now.values[place];
        loss += mass * instance.loss.of(counts, &instance.target);
        portfolio.iter_mut().zip(counts).for_each(|(e, &n)| *e += mass * f64::from(n));
    });
    Ok(Evaluation { profit, loss, reward: profit - loss, portfolio })
}

/// Plays one epoch and returns its reward, in £.
///
/// # Errors
/// What [`Instance::validate`] refuses.
pub fn simulate(
    instance: &Instance,
    decide: impl Fn(u32, &[u32], usize) -> usize,
    stream: &mut Stream,
) -> Result<f64, Error> {
    instance.validate()?;
    let (members, acceptance) = (instance.members(), instance.acceptance());
    let mut portfolio = vec![0; instance.target.len()];
    let mut profit = 0.0;
    for time in 0..instance.horizon {
        let mut left = stream.unit();
        let drawn = instance.types.iter().position(|kind| {
            left -= kind.probability;
            left < 0.0
        });
        // Rounding may leave a sliver above the last type.
        let kind = drawn.unwrap_or(instance.types.len() - 1);
        let price = decide(time, &portfolio, kind);
        if stream.unit() < acceptance[kind][price] {
            profit += instance.types[kind].cost * (instance.prices[price] - 1.0);
            members[kind].add_to(&mut portfolio);
        }
    }
    Ok(profit - instance.loss.of(&portfolio, &instance.target))
}
