//! The instance whose solution is known.

use portfolio_pursuit::{
    exact::{Instance, evaluate, solve},
    portfolio::Members,
    pursuit::{
        BackwardConfig, BackwardPursuit, InstanceBids, Pursuit as _, Step, TableConfig,
        TablePursuit, UpperBound, UpperBoundConfig,
    },
};
use rl_core::{run::Statement, seed::Seed};
use serde_json::json;

use super::Run;

/// Reward of the optimum as computed independently, £.
const OPTIMUM: f64 = 48.82174;

impl Run {
    /// How far each way of learning goes from the myopic policy to the optimum; exact.
    pub(super) fn golden(&mut self) -> anyhow::Result<()> {
        let golden = Instance::golden();
        let exact = solve(&golden)?;
        let optimum = evaluate(&golden, |t, p, kind| exact.decide(t, p, kind))?;
        let price = |kind: usize, worth: f64| {
            golden.best_price(kind, 1.0 - worth / golden.types[kind].cost)
        };
        let myopic = evaluate(&golden, |_, _, kind| price(kind, 0.0))?;
        let (responses, goal) = InstanceBids(&golden).problem(2)?;
        let table = TablePursuit::plan(&responses, &goal, 0.0, &TableConfig::default())?;
        let settings = BackwardConfig {
            portfolios: 1000,
            customers: 400,
            knots: golden.horizon as usize,
            ..BackwardConfig::default()
        };
        let learn = |step| {
            let settings = BackwardConfig { step, ..settings };
            let (average, seed) = (&myopic.portfolio, Seed::new(1));
            BackwardPursuit::learn(&responses, &goal, average, 0.0, &settings, seed)
        };
        let (linear, hinges) = (learn(Step::Linear)?, learn(Step::Hinges)?);
        let members = |kind: usize| Members::new([kind]);
        let found = [
            evaluate(&golden, |t, p, kind| price(kind, (&table).worth(members(kind), p, t)))?,
            evaluate(&golden, |t, p, kind| price(kind, hinges.gain(members(kind), p, t)))?,
            evaluate(&golden, |t, p, kind| price(kind, linear.gain(members(kind), p, t)))?,
        ];
        let names = ["table", "hinges", "linear"];
        let all = [("optimum", &optimum), ("myopic", &myopic)];
        for (name, e) in all.into_iter().chain(names.into_iter().zip(&found)) {
            self.metrics.push(&json!({
                "golden instance": name, "profit": e.profit, "loss": e.loss, "reward": e.reward,
            }))?;
        }
        let statement = Statement {
            id: "portfolio.golden_optimum",
            says: "distance of the exact solution of the small instance from the known one, £",
            source: "ours",
            target: "<= 0.00001",
        };
        self.claims.measured(statement, (optimum.reward - OPTIMUM).abs(), None, 1)?;
        let bound = UpperBound::find(&responses, &goal, &UpperBoundConfig::default())?;
        self.metrics.push(&json!({
            "golden instance": "upper bound", "reward": bound.separable, "dual": bound.dual,
        }))?;
        let statement = Statement {
            id: "portfolio.golden_bound",
            says: "how far the upper bound on any policy is from the optimum of the small instance, £",
            source: "ours",
            target: "<= 0.2",
        };
        self.claims.measured(statement, (bound.separable - optimum.reward).abs(), None, 1)?;
        let closed = |reward: f64| (reward - myopic.reward) / (optimum.reward - myopic.reward);
        for (i, says, source, target) in [
            (
                0,
                "share of the way from myopic to optimal that our tables go on the small instance",
                "ours",
                ">= 0.99",
            ),
            (1, "share of that way that backward induction with hinges goes", "ours", ">= 0.98"),
            (
                2,
                "share of that way that backward induction with the published linear step goes: it cannot react to the portfolio",
                "ours",
                "<= 0.5",
            ),
        ] {
            let id = format!("portfolio.golden_{}", names[i]);
            let statement = Statement { id: &id, says, source, target };
            self.claims.measured(statement, closed(found[i].reward), None, 1)?;
        }
        Ok(())
    }
}
