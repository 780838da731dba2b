//! `forthright portfolio frontier`.

use std::path::PathBuf;

use clap::Args;
use portfolio_pursuit::experiment::{Arm, BidsOf, Way, WorldOutcome, summarize};
use rl_core::stats::Estimate;
use serde::Serialize;
use serde_json::json;

use super::{reproduce::Config, trials};
use crate::{scale::Scale, terminal::print};

/// What portfolios cost: profit against how far they end from their target
///
/// Our pursuit at a row of loss scales, and the industry's factors at a row of strengths, in the same
/// worlds. The distance is the loss over its scale: 0 on target, 1 wholly off.
#[derive(Args)]
pub(crate) struct Frontier {
    /// Loss scales of our pursuit, £
    #[arg(long, value_delimiter = ',', default_value = "0,500,1000,2000,5000,10000,20000")]
    loss_scales: Vec<f64>,
    /// Strengths of the industry's factors
    #[arg(long, value_delimiter = ',', default_value = "0.01,0.02,0.05,0.1")]
    strengths: Vec<f64>,
    /// Trials, at least 2
    #[arg(long)]
    trials: Option<usize>,
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

/// One point.
#[derive(Debug, Serialize)]
struct Point {
    arm: String,
    loss_scale: Option<f64>,
    profit: Estimate,
    true_profit: Estimate,
    distance: Estimate,
}

impl Frontier {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut config = Config::read(self.scale, self.config.as_deref())?.experiment;
        let table = Arm::new(BidsOf::Structural, Way::Table);
        let strength = |beta: &f64| Arm::new(BidsOf::Structural, Way::Multiplier { beta: *beta });
        config.arms = vec![table];
        config.loss_scales.clone_from(&self.loss_scales);
        config.trials = self.trials.unwrap_or(config.trials);
        config.arms.extend(self.strengths.iter().map(strength));
        let worlds = trials::run_all(&config, Vec::new(), None)?;
        let points = points(&worlds, &table.name())?;
        if self.json {
            return print(json!({ "version": 1, "points": points }));
        }
        let mut table = crate::terminal::table([
            "arm",
            "loss scale £",
            "profit £",
            "true profit £",
            "distance",
        ]);
        for point in &points {
            let scale = point.loss_scale.map_or("-".into(), |scale| format!("{scale:.0}"));
            let pounds = |e: &Estimate| format!("{:.0} ± {:.0}", e.value, e.std_error);
            table.add_row([
                point.arm.clone(),
                scale,
                pounds(&point.profit),
                pounds(&point.true_profit),
                format!("{:.3} ± {:.3}", point.distance.value, point.distance.std_error),
            ]);
        }
        print(table)
    }
}

/// The pursuit at every scale, the others once.
fn points(worlds: &[WorldOutcome], pursuit: &str) -> anyhow::Result<Vec<Point>> {
    let mut points: Vec<Point> = Vec::new();
    for summary in summarize(worlds, trials::CONFIDENCE)? {
        let pursues = summary.arm == pursuit;
        if !pursues && points.iter().any(|p| p.arm == summary.arm) {
            continue;
        }
        // The loss of a scale of 0 says nothing of the distance.
        let distance = distances(worlds, &summary.arm, summary.scale);
        points.push(Point {
            loss_scale: pursues.then_some(summary.scale),
            profit: summary.means[1],
            true_profit: summary.means[2],
            distance: rl_core::stats::mean(&distance, trials::CONFIDENCE)?,
            arm: summary.arm,
        });
    }
    Ok(points)
}

/// Mean relative distance from the target, by world.
fn distances(worlds: &[WorldOutcome], arm: &str, scale: f64) -> Vec<f64> {
    let unit = portfolio_pursuit::portfolio::Loss { scale: 1.0, ..Default::default() };
    worlds
        .iter()
        .filter_map(|world| {
            let same = |a: &&portfolio_pursuit::experiment::ArmOutcome| {
                a.arm == arm && a.scale.to_bits() == scale.to_bits()
            };
            let found = world.arms.iter().find(same)?;
            let sum: f64 = found.epochs.iter().map(|e| unit.of(&e.portfolio, &world.target)).sum();
            Some(sum / found.epochs.len() as f64)
        })
        .collect()
}
