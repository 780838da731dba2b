//! `forthright portfolio simulate`.

mod customers;

use std::{path::PathBuf, time::Instant};

use anyhow::Context as _;
use clap::Args;
use portfolio_pursuit::{
    Books, EpochConfig, Firm, MarketModel as _, Policy, SyntheticConfig, SyntheticMarket,
    policy::{FixedPolicy, UniformPolicy},
    portfolio::Categories,
    run_epochs,
};
use rl_core::{
    seed::Seed,
    stats::{Estimate, mean},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Unfinished,
    progress::Progress,
    terminal::{note, print},
};

/// How sure intervals are.
const CONFIDENCE: f64 = 0.95;
/// Epochs between two looks at whether the user wants to stop.
const CHUNK: u64 = 1000;

/// How a firm quotes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Quotes {
    /// Uniformly between two multiples of its cost.
    Uniform {
        /// The lower one.
        low: f64,
        /// The higher one.
        high: f64,
    },
    /// One multiple of its cost.
    Fixed(f64),
}

/// What is simulated.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// The market.
    market: SyntheticConfig,
    /// An epoch.
    epoch: EpochConfig,
    /// How each firm quotes; the last one's way holds for all firms after it.
    firms: Vec<Quotes>,
}

impl Default for Settings {
    fn default() -> Self {
        let UniformPolicy { low, high } = UniformPolicy::default();
        let (market, epoch) = (SyntheticConfig::default(), EpochConfig::default());
        Self { market, epoch, firms: vec![Quotes::Uniform { low, high }] }
    }
}

/// Let firms quote to a synthetic market, and count what each wins and earns
///
/// The same seed gives the same customers for any number of threads.
#[derive(Args)]
pub(crate) struct Simulate {
    /// Epochs
    #[arg(long, default_value_t = 100)]
    epochs: u64,
    /// Root seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; 0 for as many as there are cores
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Market, epoch and firms in TOML, all optional
    #[arg(long)]
    config: Option<PathBuf>,
    /// Write customers to this CSV file instead, as an insurer's table might look, with firm 0's costs
    #[arg(long, value_name = "FILE")]
    write_customers: Option<PathBuf>,
    /// Customers of that file
    #[arg(long, default_value_t = 100_000)]
    rows: u64,
    /// Share of its values that are missing
    #[arg(long, default_value_t = 0.02)]
    missing: f64,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

impl Simulate {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let settings = match &self.config {
            None => Settings::default(),
            Some(path) => crate::settings::read_toml(path)?,
        };
        anyhow::ensure!(!settings.firms.is_empty(), "firms: expected at least one, found none");
        let market = SyntheticMarket::new(settings.market.clone())?;
        if let Some(path) = &self.write_customers {
            let missing = self.missing;
            anyhow::ensure!(
                (0.0..=1.0).contains(&missing),
                "missing: expected a number between 0 and 1, found {missing}"
            );
            customers::write(path, &market, Seed::new(self.seed), self.rows, missing)?;
            note(format_args!("{} customers in {}", self.rows, path.display()));
            return Ok(());
        }
        anyhow::ensure!(self.epochs > 0, "epochs: expected at least 1, found 0");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build();
        let pool = pool.context("starting threads")?;
        let begin = Instant::now();
        let none = Categories::none();
        let firms = |_| {
            (0..market.firms())
                .map(|f| Firm { policy: settings.policy(f), categories: &none })
                .collect::<Vec<_>>()
        };
        let seed = Seed::new(self.seed);
        crate::interrupt::listen("finishing these epochs");
        let mut progress = Progress::new(0, self.epochs);
        let mut books = Vec::new();
        loop {
            let done = books.len() as u64;
            let next = done..self.epochs.min(done + CHUNK);
            books.extend(pool.install(|| run_epochs(&market, &settings.epoch, seed, next, firms))?);
            progress.at(books.len() as u64, "epochs");
            if books.len() as u64 == self.epochs || crate::interrupt::asked() {
                break;
            }
        }
        progress.finish();
        let seconds = begin.elapsed().as_secs_f64();
        self.report(&settings, &books, seconds, pool.current_num_threads())?;
        if (books.len() as u64) < self.epochs {
            let said = format!("stopped after {} of {} epochs", books.len(), self.epochs);
            anyhow::bail!(Unfinished(said));
        }
        Ok(())
    }

    fn report(
        &self,
        settings: &Settings,
        books: &[Vec<Books>],
        seconds: f64,
        threads: usize,
    ) -> anyhow::Result<()> {
        let customers = books.len() as u64 * u64::from(settings.epoch.customers);
        let sold: u64 = books.iter().flatten().map(|b| u64::from(b.sales)).sum();
        let walked = 1.0 - sold as f64 / customers as f64;
        let rate = customers as f64 / seconds;
        let of = |f: usize, value: fn(&Books) -> f64| {
            let values: Vec<f64> = books.iter().map(|epoch| value(&epoch[f])).collect();
            mean(&values, CONFIDENCE)
        };
        let firms: Vec<_> = (0..settings.market.firms)
            .map(|f| {
                let sales = of(f, |b| f64::from(b.sales));
                (sales, of(f, |b| b.profit), of(f, |b| b.true_profit))
            })
            .collect();
        if self.json {
            let firms: Vec<_> = firms
                .iter()
                .map(|(sales, profit, true_profit)| {
                    let [sales, profit, true_profit] =
                        [sales, profit, true_profit].map(|e| e.as_ref().ok());
                    json!({ "sales": sales, "profit": profit, "true_profit": true_profit })
                })
                .collect();
            return print(json!({
                "version": 1,
                "settings": settings,
                "seed": self.seed,
                "epochs": books.len(),
                "walked_away": walked,
                "firms": firms,
                "threads": threads,
                "customers_per_second": rate,
            }));
        }
        let header = ["firm", "sales an epoch", "profit £, own cost", "profit £, true cost"];
        let mut table = crate::terminal::table(header);
        for (f, (sales, profit, true_profit)) in firms.iter().enumerate() {
            let row = [sales, profit, true_profit].map(|e| show(e.as_ref().ok()));
            table.add_row(std::iter::once(f.to_string()).chain(row));
        }
        print(table)?;
        print(format_args!("{:.1} % of {customers} customers took no offer", 100.0 * walked))?;
        note(format_args!("{rate:.0} customers/s with {threads} threads"));
        Ok(())
    }
}

impl Settings {
    fn policy(&self, firm: usize) -> Box<dyn Policy> {
        match self.firms[firm.min(self.firms.len() - 1)] {
            Quotes::Uniform { low, high } => Box::new(UniformPolicy { low, high }),
            Quotes::Fixed(multiple) => Box::new(FixedPolicy(multiple)),
        }
    }
}

/// A mean with its interval; alone, a single epoch has none.
fn show(estimate: Option<&Estimate>) -> String {
    estimate.map_or("-".to_owned(), |e| {
        format!("{:.1} [{:.1}, {:.1}]", e.value, e.interval[0], e.interval[1])
    })
}
