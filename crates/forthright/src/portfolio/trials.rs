//! Trials of the published protocol, one after another or side by side.

use std::{collections::BTreeSet, ops::ControlFlow, sync::Mutex};

use anyhow::Context as _;
use portfolio_pursuit::{
    MarketModel, SyntheticMarket,
    experiment::{
        Arm, ArmSummary, Contrast, ExperimentConfig, Quantity, WorldBound, WorldOutcome, contrast,
        run, summarize,
    },
};
use rl_core::{
    run::LineWriter,
    stats::{Estimate, mean},
};

use crate::{Unfinished, interrupt, progress::Progress};

/// How sure intervals are.
pub(super) const CONFIDENCE: f64 = 0.95;

/// The arms of these names.
pub(super) fn arms(names: &[String]) -> anyhow::Result<Vec<Arm>> {
    let named = |name: &String| {
        Arm::named(name).with_context(|| {
            let known: Vec<String> = Arm::all().iter().map(Arm::name).collect();
            format!("arms: {name} is none; there are {} and others like them", known.join(", "))
        })
    };
    names.iter().map(named).collect()
}

/// Runs every trial that is not among `before`, writing each to `lines` as it ends.
///
/// An interrupted run is an [`Unfinished`] one.
pub(super) fn run_all(
    config: &ExperimentConfig,
    before: Vec<WorldOutcome>,
    lines: Option<&mut LineWriter>,
) -> anyhow::Result<Vec<WorldOutcome>> {
    config.validate()?;
    let market = SyntheticMarket::new(config.market.clone())?;
    interrupt::listen("finishing the trials that have begun");
    let there: BTreeSet<u64> = before.iter().map(|world| world.trial).collect();
    let all = config.first_trial..config.first_trial + config.trials as u64;
    let left: Vec<u64> = all.filter(|trial| !there.contains(trial)).collect();
    let done = (config.trials - left.len()) as u64;
    let state = Mutex::new((Progress::new(done, config.trials as u64), done, lines, Ok(())));
    let fresh = run(&market, config, &left, |world| {
        // A lock that a panic has left is not worth a second one.
        let Ok(mut state) = state.lock() else { return ControlFlow::Break(()) };
        let (progress, count, lines, written) = &mut *state;
        *count += 1;
        progress.at(*count, &format!("trial {} of {} firms", world.trial, market.firms()));
        if let (Some(lines), Ok(())) = (lines, &*written) {
            *written = serde_json::to_value(world)
                .context("writing a trial")
                .and_then(|value| Ok(lines.push(&value)?));
        }
        if written.is_err() || interrupt::asked() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    if let Ok((progress, _, _, written)) = state.into_inner() {
        progress.finish();
        written?;
    }
    let mut worlds = before;
    worlds.extend(fresh);
    worlds.sort_by_key(|world| world.trial);
    if worlds.len() < config.trials {
        anyhow::bail!(Unfinished(format!(
            "stopped after {} of {} trials; with a folder, the same command with --resume goes on",
            worlds.len(),
            config.trials
        )));
    }
    Ok(worlds)
}

/// All arms at all scales, and each less the first of its scale.
pub(super) fn table(worlds: &[WorldOutcome]) -> anyhow::Result<comfy_table::Table> {
    let mut table = crate::terminal::table([
        "loss scale £",
        "arm",
        "reward £",
        "profit £",
        "true profit £",
        "loss £",
        "less the first, £ (95 % interval)",
    ]);
    let summaries = summarize(worlds, CONFIDENCE)?;
    let mut firsts: Vec<&ArmSummary> = Vec::new();
    for summary in &summaries {
        let same = |f: &&&ArmSummary| f.scale.to_bits() == summary.scale.to_bits();
        let gap = match firsts.iter().find(same) {
            None => {
                firsts.push(summary);
                "-".to_owned()
            }
            Some(first) => {
                let quantity = Quantity::Reward;
                let gap = contrast(
                    worlds,
                    &summary.arm,
                    &first.arm,
                    summary.scale,
                    quantity,
                    CONFIDENCE,
                )?;
                let [low, high] = gap.difference.interval;
                format!("{:.0} ({low:.0} to {high:.0})", gap.difference.value)
            }
        };
        let mean = |i: usize| format!("{:.0}", summary.means[i].value);
        let scale = format!("{:.0}", summary.scale);
        table.add_row([scale, summary.arm.clone(), mean(0), mean(1), mean(2), mean(3), gap]);
    }
    for (scale, bound) in bounds(worlds)? {
        let row = [format!("{scale:.0}"), BOUND.to_owned(), format!("{:.0}", bound.value)];
        table.add_row(row.into_iter().chain(std::iter::repeat_n("-".to_owned(), 4)));
    }
    Ok(table)
}

/// What [`bounds`] are called beside arms.
pub(super) const BOUND: &str = "upper bound on any, true probabilities known";

/// Upper bounds on rewards by loss scale, over worlds; none where no arm knows true probabilities.
pub(super) fn bounds(worlds: &[WorldOutcome]) -> anyhow::Result<Vec<(f64, Estimate)>> {
    let scales = worlds.first().map_or(&[][..], |world| &world.bounds);
    let of = |scale: f64| -> Vec<f64> {
        let same = |b: &&WorldBound| b.scale.to_bits() == scale.to_bits();
        let bounds = worlds.iter().filter_map(|world| world.bounds.iter().find(same));
        bounds.map(|b| b.bound.least()).collect()
    };
    scales.iter().map(|b| Ok((b.scale, mean(&of(b.scale), CONFIDENCE)?))).collect()
}

/// A contrast of rewards and the like; none if an arm was not run.
pub(super) fn gap(
    worlds: &[WorldOutcome],
    [arm, against]: [&str; 2],
    scale: f64,
    quantity: Quantity,
) -> Option<Contrast> {
    contrast(worlds, arm, against, scale, quantity, CONFIDENCE).ok()
}
