//! `forthright portfolio train`.

use std::path::PathBuf;

use clap::Args;
use portfolio_pursuit::{
    MarketModel as _, SyntheticMarket,
    experiment::{Arm, Arms, BidsOf, Way, World},
    quoting::{TRAINED_VERSION, Trained},
};
use rl_core::run;

use super::reproduce::Config;
use crate::{
    scale::Scale,
    terminal::{note, print},
};

/// Let the firms of one trial learn, fit our models to what one of them saw, and plan for its target
///
/// Writes what `quote --models` reads: the fitted models with the features they know, and the
/// categories with what a sale of each is worth at the start.
#[derive(Args)]
pub(crate) struct Train {
    /// The trial
    #[arg(long, default_value_t = 0)]
    trial: u64,
    /// Loss of a portfolio that misses its target wholly, £
    #[arg(long, default_value_t = 2000.0)]
    loss_scale: f64,
    /// Sizes and models of a scale of `reproduce`
    #[arg(long, value_enum, default_value_t = Scale::Smoke)]
    scale: Scale,
    /// Settings of your own in the place of the scale's
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where the models go, as JSON
    #[arg(long)]
    out: PathBuf,
}

impl Train {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut config = Config::read(self.scale, self.config.as_deref())?.experiment;
        let arm = Arm::new(BidsOf::Structural, Way::Table);
        config.arms = vec![arm];
        config.loss_scales = vec![self.loss_scale];
        config.validate()?;
        let market = SyntheticMarket::new(config.market.clone())?;
        note(format_args!("{} epochs in which all firms learn", config.burn_in));
        let world = World::burn_in(&market, &config, self.trial)?;
        let arms = Arms::fit(&world)?;
        let plan = arms.plan(&arm, self.loss_scale)?;
        let bids = world.structural()?;
        let worth: Vec<f64> = plan.table().map(|t| t.start().to_vec()).unwrap_or_default();
        let weights = bids.conversion().weights();
        let trained = Trained {
            version: TRAINED_VERSION,
            trial: self.trial,
            quotes: world.history.len(),
            loss_scale: self.loss_scale,
            schema: market.schema().clone(),
            categories: world.categories.iter().cloned().collect(),
            average: world.average.clone(),
            target: world.target.clone(),
            worth: worth.clone(),
            bids,
        };
        run::write_whole(&self.out, &format!("{}\n", serde_json::to_string_pretty(&trained)?))?;
        let mut table = crate::terminal::table(["category", "average", "target", "worth £"]);
        for (i, category) in world.categories.iter().enumerate() {
            table.add_row([
                category.to_string(),
                format!("{:.1}", world.average[i]),
                format!("{:.0}", world.target[i]),
                format!("{:.2}", worth.get(i).copied().unwrap_or_default()),
            ]);
        }
        print(table)?;
        print(format_args!(
            "prices are judged against {:.2} of the cheapest rival, {:.2} of three, {:.2} of five",
            weights[0], weights[1], weights[2]
        ))
    }
}
