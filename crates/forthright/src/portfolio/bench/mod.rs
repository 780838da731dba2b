//! `forthright portfolio bench`: the market, decisions and whole trials, beside the same in Python.

mod decisions;
mod market;
mod trial;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use rl_core::run::{Claim, LineWriter, Statement};
use serde::Serialize;

use crate::{
    bench::{chosen, counted, estimate},
    session::Session,
    terminal::print,
};

/// The market, decisions and a whole trial, and how long Python takes for the same
///
/// market: six quoting firms without models, on one thread, on two, and in NumPy. decisions: the same
/// market with one firm that makes our bids for what our tables say a sale is worth, on one thread.
/// trial: burn-in, planning and test of the published protocol with the published models, on one
/// thread, and in plain Python with scikit-learn, one customer at a time.
///
/// Sides take turns, so that what the machine does meanwhile meets all; the first turn of market and
/// decisions warms up and does not count. Rates and ratios are medians over turns with bootstrap
/// intervals.
#[derive(Args)]
pub(crate) struct Bench {
    /// A Python with NumPy, and scikit-learn for trials: measure the same there too
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Only cases whose name contains this: market, decisions, trial
    #[arg(long)]
    filter: Option<String>,
    /// Turns of market and decisions that count
    #[arg(long, default_value_t = 7)]
    repeats: usize,
    /// Epochs of a thousand customers that a turn of the market takes; decisions take a tenth of them
    #[arg(long, default_value_t = 1000)]
    epochs: u64,
    /// Epochs of a thousand customers that a turn of NumPy takes
    #[arg(long, default_value_t = 50)]
    peer_epochs: u64,
    #[command(flatten)]
    trial: trial::Size,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    Market,
    Decisions,
    Trial,
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::Market => "market",
            Self::Decisions => "decisions",
            Self::Trial => "trial",
        }
    }
}

/// What was compared.
#[derive(Serialize)]
struct Work {
    repeats: usize,
    epochs: u64,
    peer_epochs: u64,
    trial: trial::Size,
}

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let Self { repeats, epochs, peer_epochs, .. } = *self;
        counted([("repeats", repeats as u64), ("epochs", epochs), ("peer-epochs", peer_epochs)])?;
        self.trial.validate()?;
        let cases = chosen(Case::value_variants(), Case::name, self.filter.as_deref())?;
        let work = Work { repeats, epochs, peer_epochs, trial: self.trial.clone() };
        let session = Session::open(&self.out, &work, 0, "cpu")?;
        let mut metrics = session.dir.lines("metrics.jsonl")?;
        let mut claims = Vec::new();
        for case in cases {
            let found = match case {
                Case::Market => market::run(self, &mut metrics)?,
                Case::Decisions => decisions::run(self, &mut metrics)?,
                Case::Trial => trial::run(self, &mut metrics)?,
            };
            print(found.table)?;
            claims.extend(found.claims);
        }
        session.conclude(&claims)
    }
}

/// What came of a case.
struct Found {
    table: comfy_table::Table,
    claims: Vec<Claim>,
}

/// A claim of ours about the median over turns; none without turns.
fn claim([id, says, target]: [&str; 3], values: &[f64]) -> anyhow::Result<Option<Claim>> {
    let Some((value, interval)) = estimate(values)? else { return Ok(None) };
    let statement = Statement { id, says, source: "ours", target };
    Ok(Some(Claim::measured(statement, value, Some(interval), values.len(), "bench")?))
}

/// A case's own threads.
fn pool(threads: usize) -> anyhow::Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.context("starting threads")
}

fn ratios(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a / b).collect()
}

fn rate(rates: &[f64]) -> anyhow::Result<String> {
    Ok(estimate(rates)?.map_or("–".to_owned(), |(value, [low, high])| {
        format!("{value:.0} [{low:.0}, {high:.0}]")
    }))
}

/// Where turns are written.
type Metrics = LineWriter;
