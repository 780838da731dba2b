//! `forthright klq oracle`.

use std::path::PathBuf;

use clap::Args;
use klq::oracle::{Study, StudyConfig, Summary, study};
use serde_json::json;

use crate::terminal::print;

/// The gap that counts as closed.
pub(crate) const CLOSED: f64 = 1e-3;

/// What is compared, in the order of [`Study::summaries`].
pub(crate) const METHODS: [&str; 3] = ["klq", "ppo", "klq whitened"];

/// Train KLQ, PPO and KLQ with whitening on random problems whose optimum is known exactly
///
/// The gap is the exact J* − J of the policy that was reached.
#[derive(Args)]
pub(crate) struct Oracle {
    /// Number of random problems
    #[arg(long, default_value_t = 20)]
    problems: u64,
    /// Seed of the first; the others follow
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Settings in TOML, all optional
    #[arg(long)]
    config: Option<PathBuf>,
    /// One JSON document with the curves
    #[arg(long)]
    json: bool,
}

impl Oracle {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = match &self.config {
            None => StudyConfig::default(),
            Some(path) => crate::settings::read_toml(path)?,
        };
        let seeds: Vec<u64> = (self.seed..self.seed.saturating_add(self.problems)).collect();
        let study = study(&config, &seeds)?;
        if self.json {
            return print(json!({ "version": 1, "threshold": CLOSED, "study": study }));
        }
        print(table(&study))?;
        print(format_args!(
            "KLQ with whitening ends higher than without on {} of {} problems",
            study.whitened_higher(),
            seeds.len()
        ))
    }
}

fn table(study: &Study) -> comfy_table::Table {
    let closed = format!("gap below {CLOSED}");
    let mut table =
        crate::terminal::table(["method", closed.as_str(), "worst gap", "geometric mean"]);
    for (name, summary) in METHODS.iter().zip(study.summaries(CLOSED)) {
        let Summary { n, below, worst, geometric_mean } = summary;
        let cells =
            [format!("{below} of {n}"), format!("{worst:.2e}"), format!("{geometric_mean:.2e}")];
        table.add_row(std::iter::once((*name).to_owned()).chain(cells));
    }
    table
}
