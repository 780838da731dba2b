//! One world: firms that have learned from each other, and a target.

use rayon::prelude::*;
use rl_core::seed::Seed;

use super::ExperimentConfig;
use crate::{
    Books, EpochConfig, Error, Firm, MarketModel, Policy, Step, Stream,
    models::{History, PublishedBids, StructuralBids},
    policy::{Exploring, UniformPolicy},
    portfolio::{Categories, published_target},
    pursuit::{NoPursuit, PursuitPolicy},
    run_epoch,
};

/// A trial after its burn-in.
pub struct World<'a, M> {
    pub(crate) market: &'a M,
    pub(crate) config: &'a ExperimentConfig,
    pub(crate) seed: Seed,
    /// Number of the trial.
    pub trial: u64,
    /// What firm 0 counts.
    pub categories: Categories,
    /// Firm 0's counts at the end of a burn-in epoch, on average.
    pub average: Vec<f64>,
    /// ρ*.
    pub target: Vec<f64>,
    /// What firm 0 remembers.
    pub history: History,
    /// What each firm has learned.
    pub firms: Vec<PublishedBids>,
    value_column: Option<usize>,
}

impl<'a, M: MarketModel> World<'a, M> {
    /// Burn-in of trial `trial`: firms quote at random until they have models, then for profit alone,
    /// exploring; then the target is drawn around what firm 0 ended with.
    ///
    /// # Errors
    /// [`Error::Setting`] for the configuration, [`Error::Fit`] if firms cannot learn.
    pub fn burn_in(market: &'a M, config: &'a ExperimentConfig, trial: u64) -> Result<Self, Error> {
        config.validate()?;
        let seed = Seed::new(100 * (trial + 1));
        let schema = market.schema();
        let mut stream = Stream::at(seed.derive("categories", 0), 0);
        let categories = Categories::published(config.categories, schema, &mut stream)?;
        let none = Categories::none();
        let firms = market.firms();
        let mut histories = vec![History::new(schema.len()); firms];
        let mut bids: Vec<PublishedBids> = Vec::new();
        let mut average = vec![0.0; categories.len()];
        for epoch in 0..config.burn_in {
            let mut quoting = (0..firms)
                .map(|f| {
                    let policy: Box<dyn Policy> = match bids.get(f) {
                        None => Box::new(UniformPolicy::default()),
                        Some(bids) => myopic(bids, config.exploration)?,
                    };
                    Ok(Firm { policy, categories: if f == 0 { &categories } else { &none } })
                })
                .collect::<Result<Vec<_>, Error>>()?;
            let books = run_epoch(market, &config.epoch, seed, epoch, &mut quoting, |step| {
                for (f, history) in histories.iter_mut().enumerate() {
                    let won = f64::from(u8::from(step.winner == Some(f)));
                    remember(history, step, f, won);
                }
            })?;
            drop(quoting);
            for (sum, count) in average.iter_mut().zip(&books[0].portfolio) {
                *sum += f64::from(*count) / config.burn_in as f64;
            }
            if config.fit_after.contains(&(epoch + 1)) {
                let rows = config.memory as usize * config.epoch.customers as usize;
                let stage = seed.derive("fit", epoch);
                bids = histories
                    .par_iter()
                    .enumerate()
                    .map(|(f, history)| {
                        let seed = stage.derive("firm", f as u64);
                        PublishedBids::fit(&history.last(rows), &config.published, seed)
                    })
                    .collect::<Result<_, _>>()?;
            }
            tracing::debug!(trial, epoch, sales = books[0].sales, "burn-in");
        }
        let rows = config.memory as usize * config.epoch.customers as usize;
        let history = histories.swap_remove(0).last(rows);
        let mut stream = Stream::at(seed.derive("target", 0), 0);
        let target = published_target(&average, &mut stream)?;
        let value_column = schema.index("car_value").ok();
        Ok(Self {
            market,
            config,
            seed,
            trial,
            categories,
            average,
            target,
            history,
            firms: bids,
            value_column,
        })
    }

    /// Our bids, fitted to what firm 0 remembers.
    ///
    /// # Errors
    /// [`Error::Fit`].
    pub fn structural(&self) -> Result<StructuralBids, Error> {
        StructuralBids::fit(&self.history, self.value_column, &self.config.structural)
    }

    /// The same model fitted to the true probabilities of very many customers who are offered prices
    /// at random, beside rivals as they are; with hardly any ridge.
    ///
    /// # Errors
    /// [`Error::Fit`].
    pub fn informed(&self) -> Result<StructuralBids, Error> {
        let epoch =
            EpochConfig { customers: self.config.informed_customers, ..self.config.epoch.clone() };
        let none = Categories::none();
        let random: Box<dyn Policy> = Box::new(UniformPolicy { low: 1.0, high: 1.15 });
        let mut firms = vec![Firm { policy: random, categories: &none }];
        for bids in &self.firms[1..] {
            firms.push(Firm { policy: myopic(bids, self.config.exploration)?, categories: &none });
        }
        let mut history = History::new(self.market.schema().len());
        let mut shares = vec![0.0; firms.len()];
        run_epoch(self.market, &epoch, self.seed.derive("informed", 0), 0, &mut firms, |step| {
            self.market.probabilities(step.visitor, step.offers, &mut shares);
            remember(&mut history, step, 0, shares[0]);
        })?;
        let mut config = self.config.structural;
        config.conversion.ridge = 1e-4;
        StructuralBids::fit(&history, self.value_column, &config)
    }

    /// What rivals offer in a test epoch, over their costs, `[rivals][customers]`; they do not react,
    /// so it is the same beside every arm.
    ///
    /// # Errors
    /// [`Error::Setting`] if exploration is out of its range.
    pub fn rivals(&self, epoch: u64) -> Result<Vec<Vec<f64>>, Error> {
        let none = Categories::none();
        let still: Box<dyn Policy> = Box::new(UniformPolicy::default());
        let mut firms = vec![Firm { policy: still, categories: &none }];
        for bids in &self.firms[1..] {
            firms.push(Firm { policy: myopic(bids, self.config.exploration)?, categories: &none });
        }
        let mut offers = vec![Vec::new(); firms.len() - 1];
        self.epoch(epoch, &mut firms, |step| {
            for (f, offers) in offers.iter_mut().enumerate() {
                offers.push(step.offers[f + 1] / step.costs[f + 1]);
            }
        })?;
        Ok(offers)
    }

    /// A test epoch with firm 0 quoting by `policy` beside rivals that offer what they are said to.
    ///
    /// # Errors
    /// [`Error::Length`] if there is another number of rivals.
    pub fn play(
        &self,
        epoch: u64,
        policy: Box<dyn Policy + '_>,
        rivals: &[Vec<f64>],
        observe: impl FnMut(&Step<'_, M::Visitor>),
    ) -> Result<Books, Error> {
        let none = Categories::none();
        let mut firms = vec![Firm { policy, categories: &self.categories }];
        for offers in rivals {
            firms.push(Firm { policy: Box::new(Replay(offers)), categories: &none });
        }
        Ok(self.epoch(epoch, &mut firms, observe)?.swap_remove(0))
    }

    fn epoch(
        &self,
        epoch: u64,
        firms: &mut [Firm<'_>],
        observe: impl FnMut(&Step<'_, M::Visitor>),
    ) -> Result<Vec<Books>, Error> {
        let index = self.config.burn_in + epoch;
        run_epoch(self.market, &self.config.epoch, self.seed, index, firms, observe)
    }
}

/// Offers that were made before.
struct Replay<'a>(&'a [f64]);

impl Policy for Replay<'_> {
    fn quote(&mut self, enquiry: &crate::Enquiry<'_>, _: &mut Stream) -> f64 {
        self.0[enquiry.time as usize]
    }
}

/// A firm after profit alone.
fn myopic<'a>(bids: &'a PublishedBids, chance: f64) -> Result<Box<dyn Policy + 'a>, Error> {
    Ok(Box::new(Exploring::new(PursuitPolicy::new(bids, NoPursuit, 0.0), chance)?))
}

/// Appends what a firm saw of a customer.
fn remember<V>(history: &mut History, step: &Step<'_, V>, firm: usize, accepted: f64) {
    let cost = step.costs[firm];
    let others = step.offers.iter().enumerate().filter(|(f, _)| *f != firm);
    let mut rivals: Vec<f64> = others.map(|(_, offer)| offer / cost).collect();
    rivals.sort_unstable_by(f64::total_cmp);
    let top = [1, 3, 5].map(|k| {
        let cheapest = &rivals[..k.min(rivals.len())];
        cheapest.iter().sum::<f64>() / cheapest.len() as f64
    });
    history.push(step.features, cost, step.offers[firm] / cost, top, accepted);
}
