//! The published synthetic market.

use rand_distr::{Distribution as _, StandardNormal};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use super::{Children, Choice, Law, MarketModel, Person};
use crate::{Column, Error, Kind, Schema, error::in_range, stream::Stream};

/// Most firms of a synthetic market.
const MAX_FIRMS: usize = 8;

/// Settings of the synthetic market; the defaults are the published ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SyntheticConfig {
    /// Firms that quote, 1 to 8.
    pub firms: usize,
    /// Shape of the gamma noise, of mean 1, on each firm's cost: its squared coefficient of variation
    /// is 1/shape; at least 1.
    pub cost_shape: f64,
    /// The share each firm wins where all offer `reference_offer`; above 0, below 1/firms.
    pub share_of_equal_offers: f64,
    /// Multiple of the pure premium at which that share is won; above 0.
    pub reference_offer: f64,
    /// Whether pride in a salary and in driving well moves the walk-away price.
    pub taste: bool,
    /// Mean discount felt for one firm's offer, relative to the walk-away price; 0 for none.
    pub loyalty: f64,
    /// How many visitors have children.
    pub children: Children,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self {
            firms: 6,
            cost_shape: 1000.0,
            share_of_equal_offers: 0.1,
            reference_offer: 1.1,
            taste: true,
            loyalty: 0.05,
            children: Children::AsPublished,
        }
    }
}

impl SyntheticConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        if !(1..=MAX_FIRMS).contains(&self.firms) {
            return Err(Error::setting("firms", format!("1 to {MAX_FIRMS}"), self.firms));
        }
        in_range("cost_shape", self.cost_shape, 1.0.., "1 or a number above")?;
        let share = self.share_of_equal_offers;
        let most = 1.0 / self.firms as f64;
        if !(share > 0.0 && share < most) {
            let expected = format!("a number above 0 and below 1/firms = {most:.4}");
            return Err(Error::setting("share_of_equal_offers", expected, share));
        }
        in_range("reference_offer", self.reference_offer, f64::MIN_POSITIVE.., "a number above 0")?;
        in_range("loyalty", self.loyalty, 0.0.., "0 or a number above")
    }
}

/// Names, ours, of a person's occupations, from the least paid.
pub const OCCUPATIONS: [&str; 5] = ["manual", "service", "clerical", "technical", "professional"];

/// Names, ours, of the places where people live, from the least dangerous.
pub const LOCATIONS: [&str; 4] = ["rural", "town", "suburb", "city"];

/// One visitor of the synthetic market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Visitor {
    /// Who it is.
    pub person: Person,
    /// Its taste.
    pub choice: Choice,
    /// The firm whose offer feels cheaper than it is.
    pub loyal_to: u32,
    /// By how much, in £.
    pub loyalty: f64,
    /// The number, uniform on (0, 1), that decides between offers.
    pub uniform: f64,
    costs: [f64; MAX_FIRMS],
}

/// The published synthetic market.
#[derive(Debug, Clone)]
pub struct SyntheticMarket {
    config: SyntheticConfig,
    law: Law,
    schema: Schema,
    odds: f64,
    noise: UnitGamma,
}

impl SyntheticMarket {
    /// A market with these settings.
    ///
    /// # Errors
    /// [`Error::Setting`] if one is out of its range.
    pub fn new(config: SyntheticConfig) -> Result<Self, Error> {
        config.validate()?;
        let column = |name: &str, kind| Column { name: name.to_owned(), kind };
        let mut columns = vec![
            column("car_value", Kind::Amount),
            column("claims", Kind::Count),
            column("years_driving", Kind::Count),
            column("age", Kind::Count),
            column("married", Kind::Indicator),
            column("has_child", Kind::Indicator),
        ];
        let level = |of: &str, name: &str| column(&format!("{of}={name}"), Kind::Indicator);
        columns.extend(OCCUPATIONS.map(|name| level("occupation", name)));
        columns.extend(LOCATIONS.map(|name| level("location", name)));
        let law = Law::new(config.children);
        let odds = Choice::log_odds(config.firms, config.share_of_equal_offers);
        let noise = UnitGamma::new(config.cost_shape);
        Ok(Self { law, schema: Schema::new(columns)?, odds, noise, config })
    }

    /// The settings.
    pub fn config(&self) -> &SyntheticConfig {
        &self.config
    }

    /// The taste of a person, before loyalty.
    ///
    /// β = 1000/h with h the household's income per head; b as calibrated, times
    /// (1.25 − 0.5·percentile)(1.25 − 0.5·risk perception) if there is taste, and not below 0.
    #[inline]
    pub fn choice(&self, person: &Person) -> Choice {
        let offer = self.config.reference_offer * person.pure_premium;
        let sensitivity = 1000.0 / person.income_per_head;
        let mut choice = Choice::calibrated(sensitivity, offer, self.odds);
        if self.config.taste {
            let pride = (1.25 - 0.5 * person.percentile) * (1.25 - 0.5 * person.risk_perception);
            choice.walk_away = (choice.walk_away * pride).max(0.0);
        }
        choice
    }

    /// Offers as the visitor feels them: that of the firm it is loyal to is lower.
    #[inline]
    fn felt(&self, visitor: &Visitor, offers: &[f64]) -> [f64; MAX_FIRMS] {
        let mut felt = [0.0; MAX_FIRMS];
        felt[..self.config.firms].copy_from_slice(&offers[..self.config.firms]);
        felt[visitor.loyal_to as usize] -= visitor.loyalty;
        felt
    }
}

impl MarketModel for SyntheticMarket {
    type Visitor = Visitor;

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn firms(&self) -> usize {
        self.config.firms
    }

    #[inline]
    fn visitor(&self, seed: Seed, index: u64) -> Visitor {
        let mut stream = Stream::at(seed, index);
        let person = self.law.person(&mut stream);
        let choice = self.choice(&person);
        let loyal_to = stream.below(self.config.firms as u32);
        let loyalty = self.config.loyalty * (choice.walk_away + 20.0) * -stream.unit().ln();
        let uniform = stream.unit();
        let mut costs = [0.0; MAX_FIRMS];
        for cost in &mut costs[..self.config.firms] {
            *cost = person.pure_premium * self.noise.draw(&mut stream);
        }
        Visitor { person, choice, loyal_to, loyalty, uniform, costs }
    }

    #[inline]
    fn features(&self, visitor: &Visitor, features: &mut [f64]) {
        let person = &visitor.person;
        features.fill(0.0);
        features[0] = person.car_value;
        features[1] = f64::from(person.claims);
        features[2] = f64::from(person.years_driving);
        features[3] = f64::from(person.age);
        features[4] = f64::from(u8::from(person.married));
        features[5] = f64::from(u8::from(person.children > 0));
        features[6 + person.occupation as usize] = 1.0;
        features[11 + person.location as usize] = 1.0;
    }

    #[inline]
    fn cost(&self, visitor: &Visitor, firm: usize) -> f64 {
        visitor.costs[..self.config.firms][firm]
    }

    #[inline]
    fn true_cost(&self, visitor: &Visitor) -> f64 {
        visitor.person.pure_premium
    }

    #[inline]
    fn probabilities(&self, visitor: &Visitor, offers: &[f64], probabilities: &mut [f64]) {
        let felt = self.felt(visitor, offers);
        visitor.choice.probabilities(&felt[..self.config.firms], probabilities);
    }

    #[inline]
    fn choose(&self, visitor: &Visitor, offers: &[f64]) -> Option<usize> {
        let felt = self.felt(visitor, offers);
        let mut weights = [0.0; MAX_FIRMS];
        visitor.choice.choose(&felt[..self.config.firms], visitor.uniform, &mut weights)
    }
}

/// Gamma(shape, 1/shape), of mean 1, for a shape of at least 1 (Marsaglia and Tsang, ACM TOMS 2000).
#[derive(Debug, Clone, Copy)]
struct UnitGamma {
    d: f64,
    c: f64,
    scale: f64,
}

impl UnitGamma {
    fn new(shape: f64) -> Self {
        let d = shape - 1.0 / 3.0;
        Self { d, c: 1.0 / (9.0 * d).sqrt(), scale: d / shape }
    }

    #[inline]
    fn draw(&self, stream: &mut Stream) -> f64 {
        loop {
            let normal: f64 = StandardNormal.sample(stream);
            let root = 1.0 + self.c * normal;
            if root <= 0.0 {
                continue;
            }
            let v = root * root * root;
            let square = normal * normal;
            let uniform = stream.unit();
            if uniform < 1.0 - 0.0331 * square * square
                || uniform.ln() < 0.5 * square + self.d * (1.0 - v + v.ln())
            {
                return self.scale * v;
            }
        }
    }
}
