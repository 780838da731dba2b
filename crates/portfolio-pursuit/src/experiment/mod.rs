//! The published protocol, with paired worlds.
//!
//! A trial is a world: six firms learn from each other in a burn-in, then firm 0 gets categories and a
//! target, and every arm plays the same test epochs in its place: the same customers, the same rivals'
//! offers, the same numbers that decide between offers. Arms explore or not as they are told, so that
//! both comparisons can be made: with equal exploration, and as published.

mod arms;
mod config;
mod summary;
mod world;

pub use arms::{ArmOutcome, Arms, EpochOutcome, Plan, WorldOutcome, run_world};
pub use config::{Arm, BidsOf, ExperimentConfig, Way};
pub use summary::{ArmSummary, Contrast, Quantity, contrast, summarize};
pub use world::World;

use rayon::prelude::*;

use crate::{Error, MarketModel};

/// Runs all trials, in parallel; the same for any number of threads, and in the order of trials.
///
/// `done` is called after every trial, in whatever order they end.
///
/// # Errors
/// [`Error::Setting`] for the configuration, [`Error::Fit`].
pub fn run<M: MarketModel>(
    market: &M,
    config: &ExperimentConfig,
    done: impl Fn(&WorldOutcome) + Sync,
) -> Result<Vec<WorldOutcome>, Error> {
    config.validate()?;
    (0..config.trials as u64)
        .into_par_iter()
        .map(|i| {
            let world = run_world(market, config, config.first_trial + i)?;
            done(&world);
            Ok(world)
        })
        .collect()
}
