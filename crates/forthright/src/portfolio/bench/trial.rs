//! A whole trial of the published protocol with the published models.

use std::time::Instant;

use clap::Args;
use portfolio_pursuit::{
    EpochConfig, Firm, MarketModel as _, SyntheticConfig, SyntheticMarket,
    experiment::{Arm, Arms, BidsOf, ExperimentConfig, Way, World},
    models::{ForestConfig, NetworkConfig, PublishedBidsConfig},
    policy::UniformPolicy,
    portfolio::{Categories, Loss},
    pursuit::BackwardConfig,
    run_epoch,
};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Bench, Found, Metrics, claim, pool, ratios};
use crate::{
    bench::{OpenMp, Side, cell_with_interval, estimate},
    terminal::note,
};

/// The same trial in plain Python; its first lines say what is equal and what is not.
const PEER: &str = include_str!("../../../peers/portfolio_trial.py");

/// How large a trial is, on both sides.
#[derive(Debug, Clone, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Size {
    /// Trials that are measured
    #[arg(long, default_value_t = 3)]
    trials: usize,
    /// Customers of an epoch of a trial; published: 1000
    #[arg(long, default_value_t = 200)]
    trial_customers: u32,
    /// Epochs in which firms learn; published: 6
    #[arg(long, default_value_t = 3)]
    trial_burn_in: u64,
    /// Epochs in which two arms are compared; published: 8
    #[arg(long, default_value_t = 2)]
    trial_test_epochs: u64,
    /// Trees of a forest; published: 100
    #[arg(long, default_value_t = 30)]
    trial_trees: usize,
    /// Widths of the network's layers; published: 512,512,512
    #[arg(long, value_delimiter = ',', default_value = "64,64")]
    trial_hidden: Vec<usize>,
    /// Rows of the Gaussian process; published: 500
    #[arg(long, default_value_t = 150)]
    trial_process_rows: usize,
    /// Restarts of the peer's Gaussian process; published: 50
    #[arg(long, default_value_t = 50)]
    trial_restarts: usize,
    /// Customers that planning draws for a portfolio; published: 500
    #[arg(long, default_value_t = 100)]
    trial_planning_customers: usize,
}

impl Size {
    pub(super) fn validate(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.trials > 0, "--trials: expected at least 1, found 0");
        Ok(self.config().validate()?)
    }

    fn config(&self) -> ExperimentConfig {
        let published = PublishedBidsConfig {
            forest: ForestConfig { trees: self.trial_trees, ..ForestConfig::default() },
            network: NetworkConfig {
                hidden: self.trial_hidden.clone(),
                ..NetworkConfig::default()
            },
            process_rows: self.trial_process_rows,
            ..PublishedBidsConfig::default()
        };
        let defaults = ExperimentConfig::default();
        ExperimentConfig {
            burn_in: self.trial_burn_in,
            fit_after: (1..=self.trial_burn_in).collect(),
            test_epochs: self.trial_test_epochs,
            epoch: EpochConfig { customers: self.trial_customers, ..EpochConfig::default() },
            loss_scales: vec![Loss::default().scale],
            published,
            planning_customers: defaults.memory as usize * self.trial_customers as usize,
            linear: BackwardConfig {
                customers: self.trial_planning_customers,
                ..BackwardConfig::default()
            },
            arms: [Way::Multiplier { beta: 0.02 }, Way::Linear]
                .map(|way| Arm::new(BidsOf::Published, way))
                .to_vec(),
            ..defaults
        }
    }

    /// What the peer is asked to do.
    fn case(&self, config: &ExperimentConfig, trial: u64) -> serde_json::Value {
        let network = &config.published.network;
        json!({
            "seed": trial, "customers": config.epoch.customers, "burn_in": config.burn_in,
            "memory": config.memory, "test_epochs": config.test_epochs,
            "trees": config.published.forest.trees, "hidden": network.hidden,
            "learning_rate": network.learning_rate, "weight_decay": network.weight_decay,
            "batch": network.batch, "passes": network.epochs, "patience": network.patience,
            "tolerance": network.tolerance, "process_rows": config.published.process_rows,
            "restarts": self.trial_restarts, "portfolios": config.linear.portfolios,
            "planning_customers": config.linear.customers,
        })
    }
}

/// Seconds of one side's trial, and what came of it.
#[derive(Debug, Serialize, Deserialize)]
struct Turn {
    burn_in: f64,
    planning: f64,
    test: f64,
    /// Of the burn-in, what fitting Gaussian processes took; the peer alone tells.
    #[serde(default)]
    process: f64,
    /// Means over epochs, £.
    multiplier_reward: f64,
    linear_reward: f64,
    /// Customers of the first epoch who took an offer.
    sold: u32,
    #[serde(default)]
    library: String,
}

impl Turn {
    fn seconds(&self) -> f64 {
        self.burn_in + self.planning + self.test
    }
}

pub(super) fn run(bench: &Bench, metrics: &mut Metrics) -> anyhow::Result<Found> {
    let size = &bench.trial;
    let config = size.config();
    let market = SyntheticMarket::new(SyntheticConfig::default())?;
    let none: [&str; 0] = [];
    let start = |python| Side::peer(python, PEER, none, OpenMp::Chosen);
    let mut peer = bench.peer.as_deref().map(start).transpose()?;
    let one = pool(1)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for trial in 0..size.trials as u64 {
        let turn = one.install(|| ours_of(&market, &config, trial))?;
        metrics.push(&json!({ "case": "trial", "side": "ours", "turn": trial, "of": turn }))?;
        if let Some(peer) = &mut peer {
            let answer: Turn = peer.ask(&size.case(&config, trial).to_string())?;
            metrics
                .push(&json!({ "case": "trial", "side": "peer", "turn": trial, "of": answer }))?;
            // Before any model both sides must have simulated the same market.
            let n = f64::from(config.epoch.customers);
            let gap = (f64::from(turn.sold) - f64::from(answer.sold)).abs() / n;
            anyhow::ensure!(
                gap < 6.0 * (0.5 / n).sqrt(),
                "customers of the first epoch who took an offer: expected about {} as in Python, \
                 found {}",
                answer.sold,
                turn.sold
            );
            theirs.push(answer);
        }
        ours.push(turn);
        note(format_args!("trial: {} of {} measured", trial + 1, size.trials));
    }
    found(&ours, &theirs)
}

/// The trial on this thread.
fn ours_of(
    market: &SyntheticMarket,
    config: &ExperimentConfig,
    trial: u64,
) -> anyhow::Result<Turn> {
    let begin = Instant::now();
    let world = World::burn_in(market, config, trial)?;
    let burn_in = begin.elapsed().as_secs_f64();

    let begin = Instant::now();
    let arms = Arms::fit(&world)?;
    let loss = Loss::default();
    let plans =
        config.arms.iter().map(|arm| arms.plan(arm, loss.scale)).collect::<Result<Vec<_>, _>>()?;
    let planning = begin.elapsed().as_secs_f64();

    let begin = Instant::now();
    let mut rewards = [0.0; 2];
    for epoch in 0..config.test_epochs {
        let rivals = world.rivals(epoch)?;
        for (reward, plan) in rewards.iter_mut().zip(&plans) {
            let books = world.play(epoch, plan.policy()?, &rivals, |_| {})?;
            let lost = loss.of(&books.portfolio, &world.target);
            *reward += (books.profit - lost) / config.test_epochs as f64;
        }
    }
    let test = begin.elapsed().as_secs_f64();

    // The burn-in's first epoch again, in which all firms quote at random.
    let none = Categories::none();
    let firm = || Firm { policy: Box::new(UniformPolicy::default()), categories: &none };
    let mut firms: Vec<Firm<'_>> = (0..market.firms()).map(|_| firm()).collect();
    let seed = Seed::new(100 * (trial + 1));
    let books = run_epoch(market, &config.epoch, seed, 0, &mut firms, |_| {})?;
    let [multiplier_reward, linear_reward] = rewards;
    Ok(Turn {
        burn_in,
        planning,
        test,
        process: 0.0,
        multiplier_reward,
        linear_reward,
        sold: books.iter().map(|b| b.sales).sum(),
        library: String::new(),
    })
}

fn found(ours: &[Turn], theirs: &[Turn]) -> anyhow::Result<Found> {
    let header = ["trial", "burn-in s", "planning s", "test s", "all s", "times as fast [95 %]"];
    let mut table = crate::terminal::table(header);
    let parts: [fn(&Turn) -> f64; 4] = [|t| t.burn_in, |t| t.planning, |t| t.test, Turn::seconds];
    let of = |turns: &[Turn], part: fn(&Turn) -> f64| turns.iter().map(part).collect::<Vec<_>>();
    let ratio = ratios(&of(theirs, Turn::seconds), &of(ours, Turn::seconds));
    let unsearched =
        ratios(&of(theirs, |turn| turn.seconds() - turn.process), &of(ours, Turn::seconds));
    let library = theirs.first().map_or("", |turn| &turn.library);
    let mut row = |name: String, turns: &[Turn], last: String| -> anyhow::Result<()> {
        let seconds = parts.iter().map(|part| {
            let median = estimate(&of(turns, *part))?.map(|(value, _)| value);
            Ok(crate::bench::cell(median, 3))
        });
        let seconds = seconds.collect::<anyhow::Result<Vec<_>>>()?;
        table.add_row(std::iter::once(name).chain(seconds).chain([last]));
        Ok(())
    };
    row("one thread".to_owned(), ours, cell_with_interval(estimate(&ratio)?))?;
    if !theirs.is_empty() {
        row(library.to_owned(), theirs, "1.00".to_owned())?;
        let name = "the last but for fitting processes: times as fast".to_owned();
        let last = cell_with_interval(estimate(&unsearched)?);
        table.add_row([name, String::new(), String::new(), String::new(), String::new(), last]);
    }
    let claims = [
        claim(
            [
                "portfolio.trial.ratio",
                "seconds of a whole trial in plain Python over ours, the same models",
                ">= 20",
            ],
            &ratio,
        )?,
        claim(
            [
                "portfolio.trial.ratio_unsearched",
                "the same, what Python needs to fit Gaussian processes left out",
                ">= 20",
            ],
            &unsearched,
        )?,
    ];
    Ok(Found { table, claims: claims.into_iter().flatten().collect() })
}
