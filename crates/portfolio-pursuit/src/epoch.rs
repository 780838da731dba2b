//! One epoch: customers come one at a time, firms quote, each customer takes an offer or none.

use rayon::prelude::*;
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use crate::{
    Error, MarketModel,
    error::in_range,
    policy::{Enquiry, Outcome, Policy},
    portfolio::{Categories, Members},
    stream::Stream,
};

/// Settings of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct EpochConfig {
    /// Customers: T; at least 1.
    pub customers: u32,
    /// Least multiple of cost that is offered; above 0.
    pub least: f64,
    /// Largest multiple of cost that is offered.
    pub most: f64,
}

impl Default for EpochConfig {
    fn default() -> Self {
        Self { customers: 1000, least: 1.0, most: 2.0 }
    }
}

impl EpochConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        if self.customers == 0 {
            return Err(Error::setting("customers", "at least 1", 0));
        }
        in_range("least", self.least, f64::MIN_POSITIVE.., "a number above 0")?;
        in_range("most", self.most, self.least.., "a number not below `least`")
    }
}

/// A firm in an epoch: how it quotes and what it counts.
pub struct Firm<'a> {
    /// How it quotes.
    pub policy: Box<dyn Policy + 'a>,
    /// What it counts; [`Categories::none`] for a firm after profit alone.
    pub categories: &'a Categories,
}

/// What one customer did; borrowed from the running epoch.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a, V> {
    /// Customers that came before in this epoch.
    pub time: u32,
    /// The visitor.
    pub visitor: &'a V,
    /// What firms saw of it.
    pub features: &'a [f64],
    /// Each firm's cost estimate, in £: `[firms]`.
    pub costs: &'a [f64],
    /// Each firm's offer, in £: `[firms]`.
    pub offers: &'a [f64],
    /// The firm whose offer was taken.
    pub winner: Option<usize>,
    /// Firm 0's portfolio before this customer.
    pub portfolio: &'a [u32],
}

/// A firm's books at the end of an epoch.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Books {
    /// Σ (offer − own cost estimate) over sales, in £.
    pub profit: f64,
    /// Σ (offer − true cost) over sales, in £: lower, since the firm that errs low wins.
    pub true_profit: f64,
    /// Σ offer over sales, in £.
    pub premium: f64,
    /// Customers won.
    pub sales: u32,
    /// Counts at the end: `ρ_T`.
    pub portfolio: Vec<u32>,
}

/// Runs one epoch and returns every firm's books.
///
/// Customers are `epoch · T .. (epoch + 1) · T` of the market's stream `seed.derive("customers", 0)`;
/// firm f draws customer i's randomness from its own stream `seed.derive("firm", f)` at i. So nothing
/// depends on what other firms draw, or on what ran before.
///
/// # Errors
/// [`Error::Setting`] for settings out of range and for a quote that is not a number,
/// [`Error::Length`] if there are not as many firms as the market has.
pub fn run_epoch<M: MarketModel>(
    market: &M,
    config: &EpochConfig,
    seed: Seed,
    epoch: u64,
    firms: &mut [Firm<'_>],
    mut observe: impl FnMut(&Step<'_, M::Visitor>),
) -> Result<Vec<Books>, Error> {
    config.validate()?;
    let count = market.firms();
    if firms.len() != count {
        return Err(Error::Length { name: "firms", expected: count, found: firms.len() });
    }
    let customers = seed.derive("customers", 0);
    let streams: Vec<Seed> = (0..count as u64).map(|f| seed.derive("firm", f)).collect();
    let new_books =
        |firm: &Firm<'_>| Books { portfolio: vec![0; firm.categories.len()], ..Books::default() };
    let mut books: Vec<Books> = firms.iter().map(new_books).collect();
    let mut features = vec![0.0; market.schema().len()];
    let (mut costs, mut offers) = (vec![0.0; count], vec![0.0; count]);
    let (mut multipliers, mut members) = (vec![0.0; count], vec![Members::NONE; count]);

    for time in 0..config.customers {
        let index = epoch * u64::from(config.customers) + u64::from(time);
        let visitor = market.visitor(customers, index);
        market.features(&visitor, &mut features);
        for (f, firm) in firms.iter_mut().enumerate() {
            let cost = market.cost(&visitor, f);
            members[f] = firm.categories.members(&features);
            let enquiry = Enquiry {
                features: &features,
                cost,
                members: members[f],
                portfolio: &books[f].portfolio,
                time,
                horizon: config.customers,
            };
            let quote = firm.policy.quote(&enquiry, &mut Stream::at(streams[f], index));
            if quote.is_nan() {
                let name = format!("quote of firm {f} to customer {time}");
                return Err(Error::setting(name, "a number", quote));
            }
            multipliers[f] = quote.clamp(config.least, config.most);
            costs[f] = cost;
            offers[f] = multipliers[f] * cost;
        }
        let winner = market.choose(&visitor, &offers);
        observe(&Step {
            time,
            visitor: &visitor,
            features: &features,
            costs: &costs,
            offers: &offers,
            winner,
            portfolio: &books[0].portfolio,
        });
        for (f, firm) in firms.iter_mut().enumerate() {
            let enquiry = Enquiry {
                features: &features,
                cost: costs[f],
                members: members[f],
                portfolio: &books[f].portfolio,
                time,
                horizon: config.customers,
            };
            let won = winner == Some(f);
            firm.policy.observe(&Outcome { enquiry, multiplier: multipliers[f], won });
            if won {
                let books = &mut books[f];
                books.profit += offers[f] - costs[f];
                books.true_profit += offers[f] - market.true_cost(&visitor);
                books.premium += offers[f];
                books.sales += 1;
                members[f].add_to(&mut books.portfolio);
            }
        }
    }
    Ok(books)
}

/// Runs many epochs at once, each with firms of its own, and returns their books in order.
///
/// Results are the same for any number of threads.
///
/// # Errors
/// As [`run_epoch`].
pub fn run_epochs<'a, M: MarketModel>(
    market: &M,
    config: &EpochConfig,
    seed: Seed,
    epochs: std::ops::Range<u64>,
    firms: impl Fn(u64) -> Vec<Firm<'a>> + Sync,
) -> Result<Vec<Vec<Books>>, Error> {
    epochs
        .into_par_iter()
        .map(|epoch| run_epoch(market, config, seed, epoch, &mut firms(epoch), |_| {}))
        .collect()
}
