//! The market with six quoting firms and no model calls.

use std::time::Instant;

use portfolio_pursuit::{
    EpochConfig, Firm, MarketModel as _, SyntheticConfig, SyntheticMarket, policy::UniformPolicy,
    portfolio::Categories, run_epochs,
};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Bench, Found, Metrics, claim, pool, rate, ratios};
use crate::{
    bench::{OpenMp, Side, cell, cell_with_interval, estimate},
    terminal::note,
};

/// The same market in NumPy.
const PEER: &str = include_str!("../../../peers/portfolio.py");

/// What NumPy says of one turn.
#[derive(Deserialize)]
struct Answer {
    seconds: f64,
    walked: f64,
    library: String,
}

/// Customers a second, turn by turn.
#[derive(Default, Serialize)]
struct Rates {
    one: Vec<f64>,
    two: Vec<f64>,
    peer: Vec<f64>,
}

pub(super) fn run(bench: &Bench, metrics: &mut Metrics) -> anyhow::Result<Found> {
    let Bench { repeats, epochs, peer_epochs, .. } = *bench;
    let ours = Ours::new(epochs)?;
    let none: [&str; 0] = [];
    let start = |python| Side::peer(python, PEER, none, OpenMp::Chosen);
    let mut peer = bench.peer.as_deref().map(start).transpose()?;
    let (mut rates, mut library) = (Rates::default(), None);
    for turn in 0..=repeats {
        let (one, walked) = ours.turn(1)?;
        let (two, _) = ours.turn(2)?;
        let mut answered = None;
        if let Some(peer) = &mut peer {
            let customers = 1000 * peer_epochs;
            let case = json!({ "customers": customers, "batch": 4096, "seed": turn });
            let answer: Answer = peer.ask(&case.to_string())?;
            // Both sides must have simulated the same market.
            let error = (0.25 * (1.0 / customers as f64 + 1e-3 / epochs as f64)).sqrt();
            anyhow::ensure!(
                (walked - answer.walked).abs() < 6.0 * error,
                "customers without an offer: expected NumPy's share {}, found {walked}",
                answer.walked
            );
            answered = Some(customers as f64 / answer.seconds);
            library = Some(answer.library);
        }
        let turned = json!({
            "case": "market", "turn": turn, "one": one, "two": two, "peer": answered,
        });
        metrics.push(&turned)?;
        if turn > 0 {
            rates.one.push(one);
            rates.two.push(two);
            rates.peer.extend(answered);
        }
        note(format_args!("market: turn {turn} of {repeats} measured"));
    }
    rates.found(library.as_deref())
}

/// Our side: six firms that quote at random, one of which counts five categories.
struct Ours {
    market: SyntheticMarket,
    categories: Categories,
    epochs: u64,
}

impl Ours {
    fn new(epochs: u64) -> anyhow::Result<Self> {
        let market = SyntheticMarket::new(SyntheticConfig::default())?;
        let mut stream = portfolio_pursuit::Stream::at(Seed::new(0), 0);
        let categories = Categories::published(5, market.schema(), &mut stream)?;
        Ok(Self { market, categories, epochs })
    }

    /// Customers a second, and the share that took no offer.
    fn turn(&self, threads: usize) -> anyhow::Result<(f64, f64)> {
        let (config, none) = (EpochConfig::default(), Categories::none());
        let firms = |_| {
            (0..self.market.firms())
                .map(|f| Firm {
                    policy: Box::new(UniformPolicy::default()),
                    categories: if f == 0 { &self.categories } else { &none },
                })
                .collect()
        };
        let pool = pool(threads)?;
        let begin = Instant::now();
        let books = pool
            .install(|| run_epochs(&self.market, &config, Seed::new(0), 0..self.epochs, firms))?;
        let seconds = begin.elapsed().as_secs_f64();
        let customers = (self.epochs * u64::from(config.customers)) as f64;
        let sales: u64 = books.iter().flatten().map(|b| u64::from(b.sales)).sum();
        Ok((customers / seconds, 1.0 - sales as f64 / customers))
    }
}

impl Rates {
    fn found(&self, library: Option<&str>) -> anyhow::Result<Found> {
        let header = ["market", "customers/s [95 %]", "times as fast [95 %]"];
        let mut table = crate::terminal::table(header);
        let rows = [("one thread", &self.one), ("two threads", &self.two)];
        for (name, rates) in rows {
            let ratio = estimate(&ratios(rates, &self.peer))?;
            table.add_row([name.to_owned(), rate(rates)?, cell_with_interval(ratio)]);
        }
        if let Some(library) = library {
            table.add_row([library.to_owned(), rate(&self.peer)?, cell(Some(1.0), 2)]);
        }
        let scaling = ratios(&self.two, &self.one);
        let against = ratios(&self.one, &self.peer);
        let claims = [
            claim(
                [
                    "portfolio.market.rate",
                    "customers/s on one core with six quoting firms",
                    ">= 1000000",
                ],
                &self.one,
            )?,
            claim(
                ["portfolio.market.scaling", "customers/s on two threads over one", ">= 1.8"],
                &scaling,
            )?,
            claim(
                ["portfolio.market.numpy", "customers/s on one core over NumPy's", ">= 10"],
                &against,
            )?,
        ];
        Ok(Found { table, claims: claims.into_iter().flatten().collect() })
    }
}
