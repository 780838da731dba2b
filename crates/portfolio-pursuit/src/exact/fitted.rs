//! Backward induction through a fitted model of the next step's value: what a learner of that form
//! would find with all the data in the world.

use super::{
    Instance,
    instance::best,
    solve::{expected, terminal},
    table::{Layer, check_size},
};
use crate::{
    Error,
    next_value::{NextValue, k_value},
    portfolio::Members,
};

/// The policy of backward induction through fitted models.
#[derive(Debug, Clone)]
pub struct Fitted<N> {
    instance: Instance,
    members: Vec<Members>,
    acceptance: Vec<Vec<f64>>,
    /// Models of V(·, t), t = 1..T − 1.
    models: Vec<N>,
}

impl<N: NextValue> Fitted<N> {
    /// k(s, ρ, t + 1) by the model, or by −L at the last step.
    pub fn k(&self, time: u32, portfolio: &[u32], kind: usize) -> f64 {
        let gain = match self.models.get(time as usize) {
            Some(model) => model.gain(portfolio, self.members[kind]),
            None => terminal_gain(&self.instance, portfolio, self.members[kind]),
        };
        k_value(gain, self.instance.types[kind].cost)
    }

    /// The price it asks, as its place on the grid.
    pub fn decide(&self, time: u32, portfolio: &[u32], kind: usize) -> usize {
        let k = self.k(time, portfolio, kind);
        best(&self.acceptance[kind], &self.instance.prices, k).0
    }

    /// The models of V(·, t), t = 1..T − 1.
    pub fn models(&self) -> &[N] {
        &self.models
    }
}

fn terminal_gain(instance: &Instance, portfolio: &[u32], members: Members) -> f64 {
    let mut with = portfolio.to_vec();
    members.add_to(&mut with);
    instance.loss.of(portfolio, &instance.target) - instance.loss.of(&with, &instance.target)
}

/// Backward induction in which V(·, t + 1) is known only through a model fitted to all of {0..t + 1}^d
/// with weights `weight(ρ, t + 1)`; the last step's is −L itself.
///
/// # Errors
/// What [`Instance::validate`] refuses, and [`Error::TooLarge`].
pub fn solve_fitted<N: NextValue>(
    instance: &Instance,
    model: impl Fn() -> N,
    weight: impl Fn(&[u32], u32) -> f64,
) -> Result<Fitted<N>, Error> {
    instance.validate()?;
    let (members, acceptance) = (instance.members(), instance.acceptance());
    let d = instance.target.len();
    // As much work as an exact solution, whose limits hold here too.
    check_size(instance.horizon, d)?;
    let terminal = terminal(instance);
    let mut models: Vec<N> = Vec::new();
    for time in (1..instance.horizon).rev() {
        let layer = Layer::zeros(time as usize + 1, d);
        let (mut portfolios, mut values, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        layer.for_each(d, |_, portfolio| {
            let next = models.last();
            let stay = match next {
                Some(model) => model.value(portfolio),
                None => terminal.values[terminal.place(portfolio)],
            };
            let step = expected(instance, &acceptance, |kind| {
                let gain = match next {
                    Some(model) => model.gain(portfolio, members[kind]),
                    None => terminal_gain(instance, portfolio, members[kind]),
                };
                k_value(gain, instance.types[kind].cost)
            });
            portfolios.push(portfolio.to_vec());
            values.push(stay + step);
            weights.push(weight(portfolio, time));
        });
        let mut fitted = model();
        fitted.fit(&portfolios, &values, &weights)?;
        models.push(fitted);
    }
    models.reverse();
    Ok(Fitted { instance: instance.clone(), members, acceptance, models })
}
