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

pub use arms::{ArmOutcome, Arms, EpochOutcome, Plan, WorldBound, WorldOutcome, run_world};
pub use config::{Arm, BidsOf, ExperimentConfig, Way};
pub use summary::{ArmSummary, Contrast, Quantity, contrast, short_of_bound, summarize};
pub use world::World;

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
};

use rayon::prelude::*;

use crate::{Error, MarketModel};

/// Runs trials in parallel; the same for any number of threads, and in the order given.
///
/// `done` is called after every trial, in whatever order they end; once it breaks, trials that have not
/// begun are left out.
///
/// # Errors
/// [`Error::Setting`] for the configuration, [`Error::Fit`].
pub fn run<M: MarketModel>(
    market: &M,
    config: &ExperimentConfig,
    trials: &[u64],
    done: impl Fn(&WorldOutcome) -> ControlFlow<()> + Sync,
) -> Result<Vec<WorldOutcome>, Error> {
    config.validate()?;
    let stop = AtomicBool::new(false);
    let worlds = trials.par_iter().map(|trial| {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let world = run_world(market, config, *trial)?;
        if done(&world).is_break() {
            stop.store(true, Ordering::Relaxed);
        }
        Ok(Some(world))
    });
    let worlds: Vec<Option<WorldOutcome>> = worlds.collect::<Result<_, Error>>()?;
    Ok(worlds.into_iter().flatten().collect())
}
