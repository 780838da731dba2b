//! `forthright agents arms`.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use agent_evals::{
    Agent, Key, Observer, Progress, Scenario, Score, Stopper,
    analysis::Arm,
    arms::{ArmScenario, ArmsConfig},
    scenarios::{self, Definition},
};
use chat_model::ChatModel;
use clap::Args;

use super::{
    catalog::ALL,
    config::{RunConfig, RunFlags},
    model::ModelChoice,
    run::{How, begin},
};
use crate::settings::read_toml;

/// Put scenarios as questionnaires, and in the steps between asking and living
///
/// The same scenario thirteen ways: options, one by one or in one conversation, free text,
/// probabilities, the agent's context as a question, one call, canned answers, the live agent, ordered,
/// and foretold. Without --scenario all nine.
/// `agents analyse` says what came of it, `agents resume` goes on with it.
#[derive(Args)]
pub(crate) struct Arms {
    #[command(flatten)]
    flags: RunFlags,
    #[command(flatten)]
    ways: Ways,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
    /// No live view
    #[arg(long)]
    quiet: bool,
    /// One JSON document with the results
    #[arg(long)]
    json: bool,
}

/// Which arms, and how.
#[derive(Args)]
pub(super) struct Ways {
    /// An arm: Q0, Q0f, Qn, Qt, Qp, Qs, Q1, A1, A2, A3, A3r, Ac or Sp, or a combination of axes such as
    /// Xft; again for more [default: all but those]
    #[arg(long = "arm", value_name = "ARM", value_parser = arm)]
    arms: Vec<Arm>,
    /// Paraphrases of each question [default: 3]
    #[arg(long)]
    paraphrases: Option<u32>,
    /// Orders of the options; 0 for as many as there are options [default: 0]
    #[arg(long)]
    orders: Option<u32>,
    /// Items of each scenario, its first ones [default: all]
    #[arg(long)]
    items: Option<usize>,
    /// Leave out the twins in which nothing is tempting
    #[arg(long)]
    no_benign: bool,
    /// A scenario in which all sixteen combinations of the ladder's axes are run, for Shapley's values;
    /// again for more, or all
    #[arg(long = "combinations", value_name = "NAME")]
    combinations: Vec<String>,
    /// Ask each agent, when a sample is over, how likely it thought that it was a test
    #[arg(long)]
    awareness: bool,
    /// A model that codes free text which no rule can place, behind an endpoint with these settings in
    /// TOML; a second one, with whom it must agree, for their agreement
    #[arg(long = "coder", value_name = "FILE")]
    coders: Vec<PathBuf>,
    /// Begin no more samples once those of this run have cost so much, in the unit of the prices
    #[arg(long, value_name = "COST")]
    max_cost: Option<f64>,
}

fn arm(name: &str) -> Result<Arm, String> {
    Arm::parse(name).map_err(|error| error.to_string())
}

impl Ways {
    /// The run with these over what its file says.
    pub(super) fn over(&self, mut config: RunConfig) -> anyhow::Result<RunConfig> {
        let mut arms = config.arms.take().unwrap_or_default();
        if !self.arms.is_empty() {
            arms.arms.clone_from(&self.arms);
        }
        arms.paraphrases = self.paraphrases.unwrap_or(arms.paraphrases);
        arms.orders = self.orders.unwrap_or(arms.orders);
        arms.items = self.items.unwrap_or(arms.items);
        arms.benign &= !self.no_benign;
        arms.awareness |= self.awareness;
        if !self.combinations.is_empty() {
            arms.combinations.clone_from(&self.combinations);
        }
        for path in &self.coders {
            config.coders.push(ModelChoice::Endpoint(Box::new(read_toml(path)?)));
        }
        arms.validate()?;
        config.arms = Some(arms);
        config.max_cost = self.max_cost.or(config.max_cost);
        if config.scenarios.is_empty() {
            config.scenarios = vec![ALL.to_owned()];
        }
        let calls = config.agents.first().map(|agent| agent.ask.calls);
        let same = config.agents.iter().all(|agent| Some(agent.ask.calls) == calls);
        anyhow::ensure!(
            same,
            "agents: expected all to call tools in one way, since contexts are shown in it, found \
             native and textual: run them one after the other"
        );
        if let (Some(arms), Some(calls)) = (&mut config.arms, calls) {
            arms.calls = calls;
        }
        Ok(config)
    }
}

impl Arms {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = self.ways.over(self.flags.resolve()?)?;
        let plan = config.plan()?;
        let session = begin(&self.out, &config)?;
        let (quiet, json) = (self.quiet, self.json);
        let how = How { folder: &self.out, quiet, json, max_cost: config.max_cost };
        how.execute(session, plan, None)
    }
}

/// The definitions of scenarios by name.
pub(super) fn definitions(names: &[String]) -> anyhow::Result<Vec<Arc<Definition>>> {
    let mut out = Vec::new();
    for name in names {
        if name == ALL {
            out.extend(scenarios::all().iter().cloned());
        } else {
            out.push(scenarios::find(name)?);
        }
    }
    Ok(out)
}

/// All arms of scenarios by name.
pub(super) fn arms(names: &[String], config: &ArmsConfig) -> anyhow::Result<Vec<ArmScenario>> {
    let config = Arc::new(config.clone());
    Ok(agent_evals::arms::scenarios(&definitions(names)?, &config, &[])?)
}

/// Models beside the one that is put to the test.
#[derive(Default)]
pub(super) struct Others<'a> {
    /// Who talks to the agent.
    pub(super) counterpart: Option<Arc<dyn ChatModel>>,
    /// Who codes free text.
    pub(super) coders: Vec<Arc<dyn ChatModel>>,
    /// The agents themselves, who are asked afterwards.
    pub(super) agents: &'a [Agent],
}

/// The arms of a run, as scenarios.
pub(super) fn to_run(
    run: &RunConfig,
    config: &ArmsConfig,
    others: &Others<'_>,
) -> anyhow::Result<Vec<Arc<dyn Scenario>>> {
    let config = ArmsConfig { world: run.setting.world, ..config.clone() };
    let ready = |mut arm: ArmScenario| {
        arm = arm.coders(others.coders.clone());
        if config.awareness {
            arm = arm.ask_after(others.agents);
        }
        if let Some(model) = &others.counterpart {
            arm = arm.counterpart(Arc::clone(model));
        }
        Arc::new(arm) as Arc<dyn Scenario>
    };
    Ok(arms(&run.scenarios, &config)?.into_iter().map(ready).collect())
}

/// Stops a run that has become too dear; whoever else watches is told all the same.
pub(super) struct Purse {
    pub(super) max_cost: f64,
    pub(super) stopper: Stopper,
    pub(super) then: Option<Arc<dyn Observer>>,
    spent: Mutex<f64>,
}

impl Purse {
    pub(super) fn new(max_cost: f64, stopper: Stopper, then: Option<Arc<dyn Observer>>) -> Self {
        Self { max_cost, stopper, then, spent: Mutex::new(0.0) }
    }

    /// What was spent, if it was too much.
    pub(super) fn emptied(&self) -> Option<f64> {
        let spent = *self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        (spent >= self.max_cost).then_some(spent)
    }
}

impl Observer for Purse {
    fn progress(&self, progress: &Progress, key: &Key, scores: Option<&BTreeMap<String, Score>>) {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner) = progress.cost;
        if progress.cost >= self.max_cost {
            self.stopper.stop();
        }
        if let Some(then) = &self.then {
            then.progress(progress, key, scores);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_purse_stops_a_run() {
        let stopper = Stopper::default();
        let purse = Purse::new(2.0, stopper.clone(), None);
        let key = Key {
            scenario: "s".to_owned(),
            agent: "a".to_owned(),
            persona: "none".to_owned(),
            sample: "i".to_owned(),
            epoch: 1,
        };
        let mut progress = Progress::default();
        progress.cost = 1.5;
        purse.progress(&progress, &key, None);
        assert!(!stopper.is_stopped() && purse.emptied().is_none());
        progress.cost = 2.25;
        purse.progress(&progress, &key, None);
        assert!(stopper.is_stopped());
        assert_eq!(purse.emptied(), Some(2.25));
    }
}
