//! Full decisions: models, tables and the best price for every customer.

use std::time::Instant;

use portfolio_pursuit::{
    EpochConfig, Firm, MarketModel as _, SyntheticConfig, SyntheticMarket,
    experiment::{Arm, Arms, BidsOf, ExperimentConfig, Way, World},
    models::{ForestConfig, NetworkConfig, PublishedBidsConfig},
    policy::UniformPolicy,
    portfolio::Categories,
    run_epochs,
};
use rl_core::seed::Seed;
use serde_json::json;

use super::{Bench, Found, Metrics, claim, pool, rate};
use crate::terminal::note;

/// The market of the case `market`, in which firm 0 makes our bids for what our tables say.
pub(super) fn run(bench: &Bench, metrics: &mut Metrics) -> anyhow::Result<Found> {
    let epochs = (bench.epochs / 10).max(1);
    let arm = Arm::new(BidsOf::Structural, Way::Table);
    // What rivals learn in the burn-in is not asked for afterwards, so their models may be small.
    let published = PublishedBidsConfig {
        forest: ForestConfig { trees: 5, ..ForestConfig::default() },
        network: NetworkConfig {
            hidden: vec![16],
            learning_rate: 0.01,
            epochs: 20,
            ..NetworkConfig::default()
        },
        process_rows: 50,
        ..PublishedBidsConfig::default()
    };
    let config = ExperimentConfig {
        burn_in: 2,
        fit_after: vec![2],
        published,
        planning_customers: 500,
        arms: vec![arm],
        ..ExperimentConfig::default()
    };
    let market = SyntheticMarket::new(SyntheticConfig::default())?;
    let world = World::burn_in(&market, &config, 0)?;
    let arms = Arms::fit(&world)?;
    let plan = arms.plan(&arm, 2000.0)?;
    plan.policy()?;
    let (epoch, none, one) = (EpochConfig::default(), Categories::none(), pool(1)?);
    let firms = |_| {
        (0..market.firms())
            .map(|f| match plan.policy() {
                // It was made once already.
                Ok(policy) if f == 0 => Firm { policy, categories: &world.categories },
                _ => Firm { policy: Box::new(UniformPolicy::default()), categories: &none },
            })
            .collect()
    };
    let mut rates = Vec::new();
    for turn in 0..=bench.repeats {
        let (books, seconds) = one.install(|| {
            let begin = Instant::now();
            let books = run_epochs(&market, &epoch, Seed::new(1), 0..epochs, firms);
            books.map(|books| (books, begin.elapsed().as_secs_f64()))
        })?;
        let customers = (epochs * u64::from(epoch.customers)) as f64;
        let sales: u64 = books.iter().map(|b| u64::from(b[0].sales)).sum();
        let turned = json!({
            "case": "decisions", "turn": turn, "one": customers / seconds,
            "sales an epoch": sales as f64 / epochs as f64,
        });
        metrics.push(&turned)?;
        if turn > 0 {
            rates.push(customers / seconds);
        }
        note(format_args!("decisions: turn {turn} of {} measured", bench.repeats));
    }
    let mut table =
        crate::terminal::table(["decisions, the market included", "customers/s [95 %]"]);
    table.add_row(["one thread".to_owned(), rate(&rates)?]);
    let statement = [
        "portfolio.decisions.rate",
        "customers/s on one core with six quoting firms, one of which decides by models and tables",
        ">= 100000",
    ];
    Ok(Found { table, claims: claim(statement, &rates)?.into_iter().collect() })
}
