//! `forthright portfolio evaluate`.

use std::path::PathBuf;

use clap::Args;
use portfolio_pursuit::experiment::summarize;
use serde_json::json;

use super::{reproduce::Config, trials};
use crate::{scale::Scale, terminal::print};

/// Compare ways of bidding and of pursuing a target in paired worlds, with intervals
///
/// In every trial six firms learn from each other; then each arm plays the same epochs in the place of
/// one of them: the same customers, the same rivals' offers. An arm is whose bids it makes, a dot, and
/// how it pursues the target, as in `structural.table` or `published.multiplier_0.02.explores`.
#[derive(Args)]
pub(crate) struct Evaluate {
    /// Arms, the first being what others are compared with [default: those of the scale]
    #[arg(long, value_delimiter = ',')]
    arms: Vec<String>,
    /// Loss scales, £
    #[arg(long, value_delimiter = ',')]
    loss_scales: Vec<f64>,
    /// Trials, at least 2
    #[arg(long)]
    trials: Option<usize>,
    /// The first of them
    #[arg(long)]
    first_trial: Option<u64>,
    /// Sizes and models of a scale of `reproduce`
    #[arg(long, value_enum, default_value_t = Scale::Smoke)]
    scale: Scale,
    /// Settings of your own in the place of the scale's
    #[arg(long)]
    config: Option<PathBuf>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut config = Config::read(self.scale, self.config.as_deref())?.experiment;
        if !self.arms.is_empty() {
            config.arms = trials::arms(&self.arms)?;
        }
        if !self.loss_scales.is_empty() {
            config.loss_scales.clone_from(&self.loss_scales);
        }
        config.trials = self.trials.unwrap_or(config.trials);
        config.first_trial = self.first_trial.unwrap_or(config.first_trial);
        let worlds = trials::run_all(&config, Vec::new(), None)?;
        if self.json {
            let summaries = summarize(&worlds, trials::CONFIDENCE)?;
            return print(json!({ "version": 1, "summaries": summaries, "worlds": worlds }));
        }
        print(trials::table(&worlds)?)
    }
}
