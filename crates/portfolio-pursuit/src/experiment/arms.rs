//! All arms in one world.

use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use super::{Arm, BidsOf, ExperimentConfig, Way, World};
use crate::{
    Error, MarketModel, Policy,
    baseline::{IndustryMultiplier, IndustryPolicy},
    models::{Bids, PublishedBids, StructuralBids},
    policy::Exploring,
    portfolio::Loss,
    pursuit::{
        BackwardPursuit, Goal, MirrorPursuit, NoPursuit, PacingPursuit, PursuitPolicy, Responses,
        StaticPursuit, TablePursuit, UpperBound,
    },
};

/// What an arm made of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochOutcome {
    /// On own costs, £.
    pub profit: f64,
    /// On true costs, £.
    pub true_profit: f64,
    /// Of the portfolio at the end, £.
    pub loss: f64,
    /// Customers won.
    pub sales: u32,
    /// Counts at the end.
    pub portfolio: Vec<u32>,
}

impl EpochOutcome {
    /// Profit on own costs less the loss, £.
    pub fn reward(&self) -> f64 {
        self.profit - self.loss
    }

    /// Profit on true costs less the loss, £.
    pub fn true_reward(&self) -> f64 {
        self.true_profit - self.loss
    }
}

/// An arm at a loss scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmOutcome {
    /// The arm's name.
    pub arm: String,
    /// Loss scale, £.
    pub scale: f64,
    /// One for each test epoch.
    pub epochs: Vec<EpochOutcome>,
}

/// What no arm can exceed on average, as the informed firm sees the market, at a loss scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorldBound {
    /// Loss scale, £.
    pub scale: f64,
    /// On an epoch's reward.
    pub bound: UpperBound,
}

/// A world and what all arms made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorldOutcome {
    /// Number of the trial.
    pub trial: u64,
    /// Categories, as text.
    pub categories: Vec<String>,
    /// Counts at the end of a burn-in epoch, on average.
    pub average: Vec<f64>,
    /// ρ*.
    pub target: Vec<f64>,
    /// Every arm at every scale.
    pub arms: Vec<ArmOutcome>,
    /// At every scale, where an arm makes [`BidsOf::Informed`] bids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<WorldBound>,
}

/// Whatever bids, and what they say of past customers.
enum Side<'a> {
    Published(&'a PublishedBids, Responses),
    Structural(Box<StructuralBids>, Responses),
}

/// Bids of firm 0 in a world, with plans made from them.
pub struct Arms<'a, M> {
    world: &'a World<'a, M>,
    published: Option<Side<'a>>,
    structural: Option<Side<'a>>,
    informed: Option<Side<'a>>,
}

impl<'a, M: MarketModel> Arms<'a, M> {
    /// Fits whatever bids the configuration's arms make.
    ///
    /// # Errors
    /// [`Error::Fit`].
    pub fn fit(world: &'a World<'a, M>) -> Result<Self, Error> {
        let wanted = |bids| world.config.arms.iter().any(|arm| arm.bids == bids);
        let published = wanted(BidsOf::Published).then(|| {
            let bids = &world.firms[0];
            Side::Published(bids, responses(world, bids))
        });
        let side = |bids: StructuralBids| {
            let responses = responses(world, &bids);
            Side::Structural(Box::new(bids), responses)
        };
        let structural = wanted(BidsOf::Structural).then(|| world.structural()).transpose()?;
        let informed = wanted(BidsOf::Informed).then(|| world.informed()).transpose()?;
        Ok(Self {
            world,
            published,
            structural: structural.map(side),
            informed: informed.map(side),
        })
    }

    /// Bounds on the reward of an epoch at a loss scale, on the true probabilities as
    /// [`BidsOf::Informed`] know them; none if no arm makes such bids.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn bound(&self, scale: f64) -> Result<Option<UpperBound>, Error> {
        let Some(Side::Published(_, responses) | Side::Structural(_, responses)) = &self.informed
        else {
            return Ok(None);
        };
        let found =
            UpperBound::find(responses, &self.goal(scale)?, &self.world.config.upper_bound)?;
        Ok(Some(found))
    }

    fn goal(&self, scale: f64) -> Result<Goal, Error> {
        let loss = Loss { scale, ..Loss::default() };
        Goal::new(loss, self.world.target.clone(), self.world.config.epoch.customers)
    }

    /// One arm at one scale, made ready for any number of epochs.
    ///
    /// # Errors
    /// [`Error::Setting`]; [`Error::Fit`] if the arm's bids were not among those fitted.
    pub fn plan(&self, arm: &Arm, scale: f64) -> Result<Plan<'_>, Error> {
        let world = self.world;
        let goal = self.goal(scale)?;
        let side = match arm.bids {
            BidsOf::Published => &self.published,
            BidsOf::Structural => &self.structural,
            BidsOf::Informed => &self.informed,
        };
        let what = || Error::Fit { what: format!("the bids of {} are not there", arm.name()) };
        let side = side.as_ref().ok_or_else(what)?;
        let (Side::Published(_, responses) | Side::Structural(_, responses)) = side;
        let seed = world.seed.derive("plan", 0);
        let pursuit = pursuit(arm, responses, &goal, &world.average, world.config, seed)?;
        Ok(Plan {
            arm: *arm,
            pursuit,
            side,
            average: &world.average,
            target: &world.target,
            exploration: world.config.exploration,
        })
    }
}

/// An arm that is ready.
pub struct Plan<'a> {
    arm: Arm,
    pursuit: Planned,
    side: &'a Side<'a>,
    average: &'a [f64],
    target: &'a [f64],
    exploration: f64,
}

impl Plan<'_> {
    /// The arm's policy at the start of an epoch.
    ///
    /// # Errors
    /// [`Error::Setting`] if exploration is out of its range.
    pub fn policy(&self) -> Result<Box<dyn Policy + '_>, Error> {
        let base: Box<dyn Policy + '_> = match self.side {
            Side::Published(bids, _) => self.around(*bids)?,
            Side::Structural(bids, _) => self.around(&**bids)?,
        };
        if self.arm.explores {
            return Ok(Box::new(Exploring::new(base, self.exploration)?));
        }
        Ok(base)
    }

    /// Our tables, if that is what the arm goes by.
    pub fn table(&self) -> Option<&TablePursuit> {
        match &self.pursuit {
            Planned::Table(table) => Some(table),
            _ => None,
        }
    }

    fn around<'b, B: Bids>(&'b self, bids: &'b B) -> Result<Box<dyn Policy + 'b>, Error> {
        let Arm { way, loading, .. } = self.arm;
        Ok(match &self.pursuit {
            Planned::Nothing => {
                let policy = PursuitPolicy::new(bids, NoPursuit, loading);
                match way {
                    Way::Multiplier { beta } => {
                        let multiplier = IndustryMultiplier::new(self.average, self.target, beta)?;
                        Box::new(IndustryPolicy { bid: policy, multiplier })
                    }
                    _ => Box::new(policy),
                }
            }
            // Tables are large and never change.
            Planned::Table(table) => Box::new(PursuitPolicy::new(bids, table, loading)),
            Planned::Backward(plan) => Box::new(PursuitPolicy::new(bids, plan, loading)),
            Planned::Static(plan) => Box::new(PursuitPolicy::new(bids, plan.clone(), loading)),
            Planned::Pacing(plan) => Box::new(PursuitPolicy::new(bids, plan.clone(), loading)),
            Planned::Mirror(plan) => Box::new(PursuitPolicy::new(bids, plan.clone(), loading)),
        })
    }
}

enum Planned {
    Nothing,
    Table(TablePursuit),
    Backward(BackwardPursuit),
    Static(StaticPursuit),
    Pacing(PacingPursuit),
    Mirror(MirrorPursuit),
}

fn pursuit(
    arm: &Arm,
    responses: &Responses,
    goal: &Goal,
    average: &[f64],
    config: &ExperimentConfig,
    seed: Seed,
) -> Result<Planned, Error> {
    let loading = arm.loading;
    let fluid = |every| StaticPursuit::plan(responses, goal, loading, &config.fluid, every);
    let backward = |settings| {
        let learned = BackwardPursuit::learn(responses, goal, average, loading, settings, seed)?;
        Ok(Planned::Backward(learned))
    };
    match arm.way {
        Way::Myopic | Way::Multiplier { .. } => Ok(Planned::Nothing),
        Way::Linear => backward(&config.linear),
        Way::Hinges => backward(&config.hinges),
        Way::Table => {
            Ok(Planned::Table(TablePursuit::plan(responses, goal, loading, &config.table)?))
        }
        Way::Static => Ok(Planned::Static(fluid(None)?)),
        Way::Resolve { every } => Ok(Planned::Static(fluid(Some(every))?)),
        Way::Pacing => {
            Ok(Planned::Pacing(PacingPursuit::new(&fluid(None)?, goal, &config.pacing)?))
        }
        Way::MirrorFromZero => Ok(Planned::Mirror(MirrorPursuit::new(goal, &config.mirror)?)),
        Way::MirrorFromPlan => {
            let plan = fluid(None)?;
            Ok(Planned::Mirror(MirrorPursuit::from_plan(&plan, goal, &config.mirror)?))
        }
    }
}

/// What bids say of the newest customers that firm 0 remembers.
fn responses<M: MarketModel, B: Bids>(world: &World<'_, M>, bids: &B) -> Responses {
    let history = &world.history;
    let from = history.len().saturating_sub(world.config.planning_customers);
    let customers = (from..history.len()).map(|i| {
        let row = history.row(i);
        (row, history.cost[i], world.categories.members(row))
    });
    Responses::new(bids, customers)
}

/// Runs every arm of the configuration at every scale through the same test epochs.
///
/// # Errors
/// [`Error::Setting`] for the configuration, [`Error::Fit`].
pub fn run_world<M: MarketModel>(
    market: &M,
    config: &ExperimentConfig,
    trial: u64,
) -> Result<WorldOutcome, Error> {
    let world = World::burn_in(market, config, trial)?;
    let fitted = Arms::fit(&world)?;
    let rivals: Vec<Vec<Vec<f64>>> =
        (0..config.test_epochs).map(|epoch| world.rivals(epoch)).collect::<Result<_, _>>()?;
    let mut arms = Vec::new();
    for arm in &config.arms {
        let mut epochs: Option<Vec<EpochOutcome>> = None;
        for &scale in &config.loss_scales {
            let loss = Loss { scale, ..Loss::default() };
            let mut outcome = match epochs.take() {
                // The same offers, judged by another loss.
                Some(epochs) => epochs,
                None => play(&world, &fitted.plan(arm, scale)?, &rivals)?,
            };
            for epoch in &mut outcome {
                epoch.loss = loss.of(&epoch.portfolio, &world.target);
            }
            if !arm.way.sees_loss() {
                epochs = Some(outcome.clone());
            }
            arms.push(ArmOutcome { arm: arm.name(), scale, epochs: outcome });
        }
    }
    let mut bounds = Vec::new();
    for &scale in &config.loss_scales {
        bounds.extend(fitted.bound(scale)?.map(|bound| WorldBound { scale, bound }));
    }
    let categories = world.categories.iter().map(ToString::to_string).collect();
    let (average, target) = (world.average.clone(), world.target.clone());
    Ok(WorldOutcome { trial, categories, average, target, arms, bounds })
}

fn play<M: MarketModel>(
    world: &World<'_, M>,
    plan: &Plan<'_>,
    rivals: &[Vec<Vec<f64>>],
) -> Result<Vec<EpochOutcome>, Error> {
    let each = rivals.iter().enumerate().map(|(epoch, rivals)| {
        let books = world.play(epoch as u64, plan.policy()?, rivals, |_| {})?;
        Ok(EpochOutcome {
            profit: books.profit,
            true_profit: books.true_profit,
            loss: 0.0,
            sales: books.sales,
            portfolio: books.portfolio,
        })
    });
    each.collect()
}
