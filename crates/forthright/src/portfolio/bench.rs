//! `forthright portfolio bench`: the market beside the same market in NumPy.

use std::{path::PathBuf, time::Instant};

use anyhow::Context as _;
use clap::Args;
use portfolio_pursuit::{
    EpochConfig, Firm, MarketModel as _, SyntheticConfig, SyntheticMarket, policy::UniformPolicy,
    portfolio::Categories, run_epochs,
};
use rl_core::{
    run::{Claim, Statement},
    seed::Seed,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    bench::{OpenMp, Side, cell, cell_with_interval, estimate},
    session::Session,
    terminal::{note, print},
};

/// The same market in NumPy.
const PEER: &str = include_str!("../../peers/portfolio.py");

/// The market with six quoting firms and no model calls, on one thread, on two, and in NumPy
///
/// All take turns, so that what the machine does meanwhile meets all; the first turn warms up and does
/// not count. Rates and ratios are medians over turns with bootstrap intervals.
#[derive(Args)]
pub(crate) struct Bench {
    /// A Python with NumPy: measure the same market there too
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Turns that count
    #[arg(long, default_value_t = 7)]
    repeats: usize,
    /// Epochs of a thousand customers that a turn takes
    #[arg(long, default_value_t = 1000)]
    epochs: u64,
    /// Epochs of a thousand customers that a turn of NumPy takes
    #[arg(long, default_value_t = 50)]
    peer_epochs: u64,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
}

/// What was compared.
#[derive(Serialize)]
struct Work {
    repeats: usize,
    epochs: u64,
    peer_epochs: u64,
}

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

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let Self { repeats, epochs, peer_epochs, .. } = *self;
        let counts =
            [("repeats", repeats as u64), ("epochs", epochs), ("peer-epochs", peer_epochs)];
        for (flag, count) in counts {
            anyhow::ensure!(count > 0, "--{flag}: expected at least 1, found 0");
        }
        let session = Session::open(&self.out, &Work { repeats, epochs, peer_epochs }, 0, "cpu")?;
        let mut metrics = session.dir.lines("metrics.jsonl")?;
        let ours = Ours::new(epochs)?;
        let peer = self.peer.as_ref();
        let none: [&str; 0] = [];
        let mut peer =
            peer.map(|python| Side::peer(python, PEER, none, OpenMp::Chosen)).transpose()?;
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
            metrics.push(&json!({ "turn": turn, "one": one, "two": two, "peer": answered }))?;
            if turn > 0 {
                rates.one.push(one);
                rates.two.push(two);
                rates.peer.extend(answered);
            }
            note(format_args!("turn {turn} of {repeats} measured"));
        }
        print(rates.table(library.as_deref())?)?;
        session.conclude(&rates.claims()?)
    }
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
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.context("starting threads")?;
        let (config, none) = (EpochConfig::default(), Categories::none());
        let firms = |_| {
            (0..self.market.firms())
                .map(|f| Firm {
                    policy: Box::new(UniformPolicy::default()),
                    categories: if f == 0 { &self.categories } else { &none },
                })
                .collect()
        };
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
    fn table(&self, library: Option<&str>) -> anyhow::Result<comfy_table::Table> {
        let mut table = super::table(&["market", "customers/s [95 %]", "times as fast [95 %]"]);
        let rows = [("one thread", &self.one), ("two threads", &self.two)];
        for (name, rates) in rows {
            let ratio = estimate(&ratios(rates, &self.peer))?;
            table.add_row([name.to_owned(), rate(rates)?, cell_with_interval(ratio)]);
        }
        if let Some(library) = library {
            table.add_row([library.to_owned(), rate(&self.peer)?, cell(Some(1.0), 2)]);
        }
        Ok(table)
    }

    fn claims(&self) -> anyhow::Result<Vec<Claim>> {
        let scaling = ratios(&self.two, &self.one);
        let against = ratios(&self.one, &self.peer);
        let statements = [
            (
                "portfolio.market.rate",
                "customers/s on one core with six quoting firms",
                ">= 1000000",
                &self.one,
            ),
            ("portfolio.market.scaling", "customers/s on two threads over one", ">= 1.8", &scaling),
            ("portfolio.market.numpy", "customers/s on one core over NumPy's", ">= 10", &against),
        ];
        let measured = statements.into_iter().filter(|(_, _, _, values)| !values.is_empty());
        measured
            .map(|(id, says, target, values)| {
                let (value, interval) = estimate(values)?.context("values are there")?;
                let statement = Statement { id, says, source: "ours", target };
                Ok(Claim::measured(statement, value, Some(interval), values.len(), "bench")?)
            })
            .collect()
    }
}

fn ratios(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a / b).collect()
}

fn rate(rates: &[f64]) -> anyhow::Result<String> {
    Ok(estimate(rates)?.map_or("–".to_owned(), |(value, [low, high])| {
        format!("{value:.0} [{low:.0}, {high:.0}]")
    }))
}
