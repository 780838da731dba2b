//! Means over worlds, with intervals.

use rl_core::stats::{self, Estimate};
use serde::Serialize;

use super::{EpochOutcome, WorldOutcome};
use crate::Error;

/// What is averaged, £ an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Profit on own costs less loss.
    Reward,
    /// On own costs.
    Profit,
    /// On true costs.
    TrueProfit,
    /// Of the portfolio.
    Loss,
    /// Profit on true costs less loss.
    TrueReward,
}

impl Quantity {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Reward, Self::Profit, Self::TrueProfit, Self::Loss, Self::TrueReward];

    fn of(self, epoch: &EpochOutcome) -> f64 {
        match self {
            Self::Reward => epoch.reward(),
            Self::Profit => epoch.profit,
            Self::TrueProfit => epoch.true_profit,
            Self::Loss => epoch.loss,
            Self::TrueReward => epoch.true_reward(),
        }
    }
}

/// An arm at a scale, over all worlds; each world counts once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmSummary {
    /// The arm's name.
    pub arm: String,
    /// Loss scale, £.
    pub scale: f64,
    /// Mean of each [`Quantity`], £ an epoch, in the order of [`Quantity::ALL`].
    pub means: Vec<Estimate>,
}

/// One arm less another, in the same worlds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contrast {
    /// The one.
    pub arm: String,
    /// The other.
    pub against: String,
    /// Loss scale, £.
    pub scale: f64,
    /// What is compared.
    pub quantity: Quantity,
    /// Mean difference, £ an epoch, with Student's interval over worlds.
    pub difference: Estimate,
    /// Median of the worlds' differences, £ an epoch.
    pub median: f64,
    /// Cohen's d of the paired differences; none where worlds do not differ.
    pub effect: Option<f64>,
    /// In how many worlds it is above 0.
    pub above: usize,
}

/// Mean of a quantity over the epochs of each world.
fn by_world(worlds: &[WorldOutcome], arm: &str, scale: f64, quantity: Quantity) -> Vec<f64> {
    worlds
        .iter()
        .filter_map(|world| {
            let found =
                world.arms.iter().find(|a| a.arm == arm && a.scale.to_bits() == scale.to_bits())?;
            let sum: f64 = found.epochs.iter().map(|e| quantity.of(e)).sum();
            Some(sum / found.epochs.len() as f64)
        })
        .collect()
}

/// Every arm at every scale that the first world has.
///
/// # Errors
/// [`Error::Stats`] if there are fewer than two worlds.
pub fn summarize(worlds: &[WorldOutcome], confidence: f64) -> Result<Vec<ArmSummary>, Error> {
    let arms = worlds.first().map_or(&[][..], |world| &world.arms);
    arms.iter()
        .map(|arm| {
            let mean = |quantity| {
                Ok(stats::mean(&by_world(worlds, &arm.arm, arm.scale, quantity), confidence)?)
            };
            let means = Quantity::ALL.into_iter().map(mean).collect::<Result<_, Error>>()?;
            Ok(ArmSummary { arm: arm.arm.clone(), scale: arm.scale, means })
        })
        .collect()
}

/// One arm less another at a scale.
///
/// # Errors
/// [`Error::Stats`] if there are fewer than two worlds that have both.
pub fn contrast(
    worlds: &[WorldOutcome],
    arm: &str,
    against: &str,
    scale: f64,
    quantity: Quantity,
    confidence: f64,
) -> Result<Contrast, Error> {
    let [ours, theirs] = [arm, against].map(|name| by_world(worlds, name, scale, quantity));
    let mut gaps: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a - b).collect();
    let difference = stats::mean(&gaps, confidence)?;
    let effect = stats::cohen_dz(&ours, &theirs, confidence).ok().map(|d| d.value);
    let above = gaps.iter().filter(|gap| **gap > 0.0).count();
    gaps.sort_unstable_by(f64::total_cmp);
    let median = f64::midpoint(gaps[(gaps.len() - 1) / 2], gaps[gaps.len() / 2]);
    Ok(Contrast {
        arm: arm.to_owned(),
        against: against.to_owned(),
        scale,
        quantity,
        difference,
        median,
        effect,
        above,
    })
}

/// By how much of the upper bound an arm's reward falls short of it, on average over worlds, with
/// Student's interval; the bound holds for expectations, so a world may exceed it by chance.
///
/// # Errors
/// [`Error::Stats`] if there are fewer than two worlds that have both.
pub fn short_of_bound(
    worlds: &[WorldOutcome],
    arm: &str,
    scale: f64,
    confidence: f64,
) -> Result<Estimate, Error> {
    let short = worlds.iter().filter_map(|world| {
        let same = |found: &f64| found.to_bits() == scale.to_bits();
        let bound = world.bounds.iter().find(|b| same(&b.scale))?.bound.least();
        let reward = by_world(std::slice::from_ref(world), arm, scale, Quantity::Reward);
        Some(1.0 - reward.first()? / bound)
    });
    Ok(stats::mean(&short.collect::<Vec<_>>(), confidence)?)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{ArmOutcome, WorldBound},
        *,
    };
    use crate::pursuit::UpperBound;

    fn world(trial: u64, rewards: [[f64; 2]; 2]) -> WorldOutcome {
        let arms = ["a", "b"].into_iter().zip(rewards).map(|(arm, rewards)| ArmOutcome {
            arm: arm.into(),
            scale: 2000.0,
            epochs: rewards
                .iter()
                .map(|r| EpochOutcome {
                    profit: r + 10.0,
                    true_profit: r + 4.0,
                    loss: 10.0,
                    sales: 1,
                    portfolio: vec![1],
                })
                .collect(),
        });
        let (categories, average, target) = (Vec::new(), Vec::new(), Vec::new());
        let bound = UpperBound { dual: 500.0, separable: 400.0 };
        let bounds = vec![WorldBound { scale: 2000.0, bound }];
        WorldOutcome { trial, categories, average, target, arms: arms.collect(), bounds }
    }

    #[test]
    fn worlds_are_the_unit() {
        let worlds = [
            world(0, [[100.0, 110.0], [90.0, 96.0]]),
            world(1, [[300.0, 310.0], [284.0, 286.0]]),
            world(2, [[50.0, 60.0], [60.0, 70.0]]),
        ];
        let summary = &summarize(&worlds, 0.95).unwrap()[0];
        assert_eq!((summary.arm.as_str(), summary.means[0].n), ("a", 3));
        assert!((summary.means[0].value - 155.0).abs() < 1e-9);
        assert!((summary.means[4].value - 149.0).abs() < 1e-9, "true profit less loss");
        let gap = contrast(&worlds, "a", "b", 2000.0, Quantity::Reward, 0.95).unwrap();
        // Differences 12, 20, -10.
        assert!((gap.difference.value - 22.0 / 3.0).abs() < 1e-9);
        assert!((gap.difference.std_error - 8.969_082_3).abs() < 1e-6);
        assert_eq!((gap.above, gap.difference.n), (2, 3));
        assert!((gap.median - 12.0).abs() < 1e-12);
        // Rewards 105, 305 and 55 of a bound of 400.
        let short = short_of_bound(&worlds, "a", 2000.0, 0.95).unwrap();
        assert!((short.value - (1.0 - 155.0 / 400.0)).abs() < 1e-12 && short.n == 3);
        assert!(short_of_bound(&worlds, "c", 2000.0, 0.95).is_err());
        assert!(contrast(&worlds[..1], "a", "b", 2000.0, Quantity::Reward, 0.95).is_err());
    }
}
