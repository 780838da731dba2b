//! Worths by count and time, portfolios on their way, and prices by segment, of the first trial.

use portfolio_pursuit::{
    SyntheticMarket,
    experiment::{Arm, Arms, BidsOf, Way, World},
};
use serde_json::json;

use super::Run;

/// Customers between two points of a path.
const EVERY: u32 = 20;
/// Cost at which k is shown, £.
const COST: f64 = 1000.0;

impl Run {
    /// Numbers that the report plots.
    pub(super) fn pictures(&mut self) -> anyhow::Result<()> {
        let mut config = self.config.experiment.clone();
        let ways = [Way::Table, Way::Multiplier { beta: 0.02 }, Way::Myopic];
        config.arms = ways.map(|way| Arm::new(BidsOf::Structural, way)).to_vec();
        let scale = config.loss_scales.iter().copied().fold(0.0, f64::max);
        let horizon = config.epoch.customers;
        let market = SyntheticMarket::new(config.market.clone())?;
        let world = World::burn_in(&market, &config, config.first_trial)?;
        let arms = Arms::fit(&world)?;
        let rivals = world.rivals(0)?;

        let table = arms.plan(&config.arms[0], scale)?;
        for (i, category) in world.categories.iter().enumerate() {
            let Some(tables) = table.table() else { continue };
            let most = (1.6 * world.target[i]).ceil() as u32 + 10;
            for time in [horizon / 4, horizon / 2, 3 * horizon / 4, horizon - horizon / 20] {
                for count in (0..most.min(time)).step_by((most as usize / 40).max(1)) {
                    let k = 1.0 - tables.category(i, count, time) / COST;
                    self.metrics.push(&json!({
                        "series": format!("after {time} customers"),
                        "x": format!("sales so far in category {i}"),
                        format!("sales so far in category {i}"): count,
                        format!("k at cost {COST} of category {i}"): k,
                    }))?;
                }
            }
            self.samples.push(&json!({
                "picture": format!("category {i}"), "is": category.to_string(),
                "target": world.target[i], "loss scale": scale,
            }))?;
        }

        let mut offers: Vec<Vec<f64>> = Vec::new();
        let mut members = Vec::new();
        for arm in &config.arms {
            let plan = arms.plan(arm, scale)?;
            let mut quoted = Vec::new();
            members.clear();
            let mut path = Vec::new();
            world.play(0, plan.policy()?, &rivals, |step| {
                quoted.push(step.offers[0]);
                members.push(world.categories.members(step.features));
                if step.time % EVERY == 0 {
                    path.push((step.time, step.portfolio.to_vec()));
                }
            })?;
            for (time, portfolio) in path {
                for (i, count) in portfolio.iter().enumerate() {
                    self.metrics.push(&json!({
                        "series": arm.name(), "step": time,
                        format!("sales in category {i} with target {}", world.target[i]): count,
                    }))?;
                }
            }
            offers.push(quoted);
        }
        let [pursued, _, myopic] = &offers[..] else { return Ok(()) };
        let block = (horizon as usize / 10).max(1);
        for i in 0..world.categories.len() {
            for from in (0..pursued.len()).step_by(block) {
                let within = from..(from + block).min(pursued.len());
                let ratios: Vec<f64> = within
                    .filter(|c| members[*c].contains(i))
                    .map(|c| 100.0 * (pursued[c] / myopic[c] - 1.0))
                    .collect();
                if !ratios.is_empty() {
                    self.metrics.push(&json!({
                        "series": format!("category {i}"), "step": from,
                        "offer over the myopic one in percent":
                            ratios.iter().sum::<f64>() / ratios.len() as f64,
                    }))?;
                }
            }
        }
        Ok(())
    }
}
