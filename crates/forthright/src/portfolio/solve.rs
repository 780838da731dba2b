//! `forthright portfolio solve`.

use std::path::PathBuf;

use clap::Args;
use portfolio_pursuit::{
    baseline::IndustryMultiplier,
    exact::{Evaluation, Instance, Solution, bellman_residual, evaluate, solve, solve_fitted},
    next_value::{Basis, Regression},
    portfolio::Members,
};
use serde_json::json;

use crate::terminal::print;

/// Strengths of the industry's multiplier that are tried.
const STRENGTHS: [f64; 3] = [0.02, 0.05, 0.1];

/// Solve a small instance exactly, and say how far short simpler policies fall
///
/// Without an instance: twenty customers of two types, whose solution is known to many digits.
/// "closed" is the share of the way from the myopic policy to the optimum.
#[derive(Args)]
pub(crate) struct Solve {
    /// The instance in TOML: horizon, prices, types, target, loss
    #[arg(long)]
    instance: Option<PathBuf>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

impl Solve {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let instance = match &self.instance {
            None => Instance::golden(),
            Some(path) => crate::settings::read_toml(path)?,
        };
        let solution = solve(&instance)?;
        let residual = bellman_residual(&instance, solution.table());
        let policies = policies(&instance, &solution)?;
        if self.json {
            let policies: Vec<_> = policies
                .iter()
                .map(|(name, found)| json!({ "policy": name, "evaluation": found }))
                .collect();
            return print(json!({
                "version": 1,
                "instance": instance,
                "bellman_residual": residual,
                "policies": policies,
            }));
        }
        let [optimum, myopic] = [policies[0].1.reward, policies[1].1.reward];
        let mut table =
            crate::terminal::table(["policy", "profit £", "loss £", "reward £", "closed", "E ρ_T"]);
        for (name, found) in &policies {
            let closed = (found.reward - myopic) / (optimum - myopic);
            let counts: Vec<String> = found.portfolio.iter().map(|n| format!("{n:.4}")).collect();
            table.add_row([
                name.clone(),
                format!("{:.5}", found.profit),
                format!("{:.5}", found.loss),
                format!("{:.5}", found.reward),
                if optimum > myopic { format!("{:.1} %", 100.0 * closed) } else { "-".to_owned() },
                counts.join(", "),
            ]);
        }
        print(table)?;
        print(format_args!("Bellman residual: £{residual:.1e}"))
    }
}

/// Policies and what they are worth: the optimum first, the myopic one second.
fn policies(instance: &Instance, solution: &Solution) -> anyhow::Result<Vec<(String, Evaluation)>> {
    let optimum = evaluate(instance, |t, p, kind| solution.decide(t, p, kind))?;
    let best: Vec<usize> = (0..instance.types.len()).map(|i| instance.best_price(i, 1.0)).collect();
    let myopic = evaluate(instance, |_, _, kind| best[kind])?;
    let average = myopic.portfolio.clone();
    let mut policies = vec![("optimum".to_owned(), optimum), ("myopic".to_owned(), myopic)];
    for strength in STRENGTHS {
        let multiplier = IndustryMultiplier::new(&average, &instance.target, strength)?;
        let quoted: Vec<usize> = (0..instance.types.len())
            .map(|i| {
                let members = Members::new(instance.types[i].categories.iter().copied());
                nearest(&instance.prices, instance.prices[best[i]] * multiplier.factor(members))
            })
            .collect();
        let found = evaluate(instance, |_, _, kind| quoted[kind])?;
        policies.push((format!("industry multiplier, {strength}"), found));
    }
    let categories = instance.target.len();
    let bases = [
        ("linear next step", Basis::Linear),
        ("quadratic next step", Basis::Quadratic),
        ("hinges next step", Basis::hinges_at_every_count(categories, instance.horizon)),
    ];
    // Fitted where that many customers can lead.
    let reachable = |p: &[u32], time: u32| f64::from(u8::from(instance.reachable(p, time)));
    for (name, basis) in bases {
        let fitted = solve_fitted(instance, || Regression::new(basis.clone()), reachable)?;
        let found = evaluate(instance, |t, p, kind| fitted.decide(t, p, kind))?;
        policies.push((name.to_owned(), found));
    }
    Ok(policies)
}

/// The place of the price nearest to one.
fn nearest(prices: &[f64], price: f64) -> usize {
    let distance = |i: &usize| (prices[*i] - price).abs();
    (0..prices.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or_default()
}
