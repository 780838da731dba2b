//! From trials to claims.

use portfolio_pursuit::experiment::{Quantity, WorldOutcome, short_of_bound};
use rl_core::run::Statement;

use super::Run;
use crate::portfolio::trials::{CONFIDENCE, gap};

const PAPER: &str = "arXiv 2408.00713";

/// Gains over the baseline with the same bids that a prototype reached, by loss scale, £ an epoch.
const GOALS: [(f64, &str); 3] = [(2000.0, ">= 88"), (5000.0, ">= 372"), (10_000.0, ">= 1254")];

/// One arm less another, and what it should show.
struct Question {
    id: &'static str,
    says: &'static str,
    source: &'static str,
    arms: [&'static str; 2],
    quantity: Quantity,
    /// Of the lower end of the interval.
    target: &'static str,
}

/// A gain that is to be there.
const GAIN: &str = "> 0";
/// Something that is not to be spent.
const NOT_SPENT: &str = ">= 0";

const OURS: &str = "structural.table";
const BASELINE: &str = "structural.multiplier_0.02";
const LOADED: &str = "structural.table.loading_0.02";
const LOADED_BASELINE: &str = "structural.multiplier_0.02.loading_0.02";

/// Asked at every loss scale.
const QUESTIONS: &[Question] = &[
    Question {
        id: "fair",
        says: "reward of our tables less that of the industry's factors, the same bids, neither exploring",
        source: "ours",
        arms: [OURS, BASELINE],
        quantity: Quantity::Reward,
        target: GAIN,
    },
    Question {
        id: "fair_exploring",
        says: "the same with both exploring",
        source: "ours",
        arms: ["structural.table.explores", "structural.multiplier_0.02.explores"],
        quantity: Quantity::Reward,
        target: GAIN,
    },
    Question {
        id: "fair_true",
        says: "the same, neither exploring, of profit on true costs less loss",
        source: "ours",
        arms: [OURS, BASELINE],
        quantity: Quantity::TrueReward,
        target: GAIN,
    },
    Question {
        id: "spent",
        says: "the same, neither exploring, of profit on true costs alone",
        source: "ours",
        arms: [OURS, BASELINE],
        quantity: Quantity::TrueProfit,
        target: NOT_SPENT,
    },
    Question {
        id: "loaded",
        says: "reward of our tables less that of the industry's factors, the same bids on costs loaded by 2 %",
        source: "ours",
        arms: [LOADED, LOADED_BASELINE],
        quantity: Quantity::Reward,
        target: GAIN,
    },
    Question {
        id: "loaded_true",
        says: "the same of profit on true costs less loss",
        source: "ours",
        arms: [LOADED, LOADED_BASELINE],
        quantity: Quantity::TrueReward,
        target: GAIN,
    },
    Question {
        id: "loaded_spent",
        says: "the same of profit on true costs alone",
        source: "ours",
        arms: [LOADED, LOADED_BASELINE],
        quantity: Quantity::TrueProfit,
        target: NOT_SPENT,
    },
    Question {
        id: "loaded_over_unloaded",
        says: "reward of our tables on costs loaded by 2 % less that of the industry's factors on plain ones",
        source: "ours",
        arms: [LOADED, BASELINE],
        quantity: Quantity::Reward,
        target: GAIN,
    },
    Question {
        id: "loaded_over_unloaded_true",
        says: "the same of profit on true costs less loss",
        source: "ours",
        arms: [LOADED, BASELINE],
        quantity: Quantity::TrueReward,
        target: GAIN,
    },
    Question {
        id: "loaded_over_unloaded_spent",
        says: "the same of profit on true costs alone",
        source: "ours",
        arms: [LOADED, BASELINE],
        quantity: Quantity::TrueProfit,
        target: NOT_SPENT,
    },
    Question {
        id: "loading",
        says: "what loading by 2 % gives our tables, of profit on true costs less loss",
        source: "ours",
        arms: [LOADED, OURS],
        quantity: Quantity::TrueReward,
        target: GAIN,
    },
    Question {
        id: "over_published_pursuit",
        says: "reward of our bids and tables less that of the published bids with linear backward induction",
        source: "ours",
        arms: [OURS, "published.linear"],
        quantity: Quantity::Reward,
        target: GAIN,
    },
    Question {
        id: "over_published_baseline",
        says: "reward of our bids and tables less that of the published bids with the industry's factors",
        source: "ours",
        arms: [OURS, "published.multiplier_0.02"],
        quantity: Quantity::Reward,
        target: GAIN,
    },
    Question {
        id: "bids",
        says: "of that, what comes from the bids: the industry's factors on our bids less on the published ones",
        source: "ours",
        arms: [BASELINE, "published.multiplier_0.02"],
        quantity: Quantity::Reward,
        target: GAIN,
    },
    Question {
        id: "over_static",
        says: "reward of our tables less that of constant worths",
        source: "ours",
        arms: [OURS, "structural.static"],
        quantity: Quantity::Reward,
        target: GAIN,
    },
    Question {
        id: "over_resolve",
        says: "reward of our tables less that of constant worths worked out again every 50 customers",
        source: "ours",
        arms: [OURS, "structural.resolve_50"],
        quantity: Quantity::Reward,
        target: GAIN,
    },
    Question {
        id: "over_pacing",
        says: "reward of our tables less that of controllers",
        source: "ours",
        arms: [OURS, "structural.pacing"],
        quantity: Quantity::Reward,
        target: GAIN,
    },
    Question {
        id: "over_mirror",
        says: "reward of our tables less that of dual mirror descent",
        source: "ours",
        arms: [OURS, "structural.mirror_from_plan"],
        quantity: Quantity::Reward,
        target: GAIN,
    },
    Question {
        id: "published",
        says: "reward of the published pursuit, not exploring, less that of the baseline, exploring, as published",
        source: PAPER,
        arms: ["published.linear", "published.multiplier_0.02.explores"],
        quantity: Quantity::Reward,
        target: GAIN,
    },
    Question {
        id: "published_fair",
        says: "the same with neither exploring",
        source: PAPER,
        arms: ["published.linear", "published.multiplier_0.02"],
        quantity: Quantity::Reward,
        target: GAIN,
    },
    Question {
        id: "handicap",
        says: "what exploring costs the published baseline",
        source: "ours",
        arms: ["published.multiplier_0.02", "published.multiplier_0.02.explores"],
        quantity: Quantity::Reward,
        target: GAIN,
    },
];

impl Run {
    /// Claims about gains, where the scale has worlds enough to judge them.
    pub(super) fn compare(&mut self, worlds: &[WorldOutcome]) -> anyhow::Result<()> {
        if !self.config.compare {
            return Ok(());
        }
        for scale in self.config.experiment.loss_scales.clone() {
            for question in QUESTIONS {
                let Some(found) = gap(worlds, question.arms, scale, question.quantity) else {
                    continue;
                };
                let e = found.difference;
                let id = format!("portfolio.{}_{scale:.0}", question.id);
                let says = format!(
                    "lower end of the interval of: {}; £ an epoch at a loss scale of £{scale:.0}; mean {:.0}, median {:.0}",
                    question.says, e.value, found.median
                );
                let Question { source, target, .. } = *question;
                let statement = Statement { id: &id, says: &says, source, target };
                self.claims.measured(statement, e.interval[0], Some(e.interval), e.n)?;
            }
            let goal = GOALS.iter().find(|(at, _)| at.to_bits() == scale.to_bits());
            let found = gap(worlds, [OURS, BASELINE], scale, Quantity::Reward);
            if let (Some((_, target)), Some(found)) = (goal, found) {
                let e = found.difference;
                let id = format!("portfolio.goal_{scale:.0}");
                let says = format!(
                    "mean reward of our tables less that of the industry's factors, the same bids, £ an epoch at a loss scale of £{scale:.0}"
                );
                let statement = Statement { id: &id, says: &says, source: "ours", target };
                self.claims.measured(statement, e.value, Some(e.interval), e.n)?;
            }
            for (arm, whose) in
                [("informed.table", "a firm that knows true probabilities"), (OURS, "ours")]
            {
                let Ok(short) = short_of_bound(worlds, arm, scale, CONFIDENCE) else { continue };
                let id =
                    format!("portfolio.bound_{}_{scale:.0}", arm.split('.').next().unwrap_or(arm));
                let says = format!(
                    "share of the upper bound on any policy with true probabilities by which the reward of {whose} falls short of it, by tables, at a loss scale of £{scale:.0}"
                );
                let statement =
                    Statement { id: &id, says: &says, source: "ours", target: "<= 0.05" };
                self.claims.measured(statement, short.value, Some(short.interval), short.n)?;
            }
            let informed = [OURS, BASELINE]
                .map(|arm| gap(worlds, ["informed.table", arm], scale, Quantity::Reward));
            if let [Some(left), Some(all)] = informed {
                let id = format!("portfolio.of_informed_{scale:.0}");
                let says = format!(
                    "reward of a firm whose models are fitted to true probabilities less ours, as a share of its gain over the baseline with our bids, at a loss scale of £{scale:.0}"
                );
                let statement =
                    Statement { id: &id, says: &says, source: "ours", target: "<= 0.5" };
                let share = left.difference.value / all.difference.value;
                self.claims.measured(statement, share, None, left.difference.n)?;
            }
        }
        Ok(())
    }
}
