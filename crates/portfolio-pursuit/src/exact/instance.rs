//! A portfolio problem with few types of customers and a grid of prices.

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    error::in_range,
    portfolio::{Loss, Members, check_target},
};

/// Probability that an offer of a times cost is taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Acceptance {
    /// 1/(1 + exp(slope·(a − center))).
    Logistic {
        /// How fast it falls with the price; above 0.
        slope: f64,
        /// Multiple of cost that half of the customers take.
        center: f64,
    },
    /// One probability for each price of the grid.
    Table(Vec<f64>),
}

/// Customers that are all alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CustomerType {
    /// Probability that the next customer is one.
    pub probability: f64,
    /// What one costs, in £; above 0.
    pub cost: f64,
    /// The categories it is in, counted from 0.
    pub categories: Vec<usize>,
    /// How likely it takes an offer.
    pub acceptance: Acceptance,
}

/// A portfolio problem that can be solved exactly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Customers of an epoch: T.
    pub horizon: u32,
    /// Multiples of cost that may be offered, increasing.
    pub prices: Vec<f64>,
    /// The types of customers; their probabilities sum to 1.
    pub types: Vec<CustomerType>,
    /// The target, one count for each category.
    pub target: Vec<f64>,
    /// What missing it costs.
    #[serde(default)]
    pub loss: Loss,
}

impl Instance {
    /// The golden instance: twenty customers of two types, each with a category of its own, of cost
    /// 100 and 200, p(a) = 1/(1 + exp(40(a − 1.06))), prices 1.000, 1.005, … 1.300, target (6, 3),
    /// loss 300 times the mean relative deviation.
    pub fn golden() -> Self {
        let kind = |category: usize, cost| CustomerType {
            probability: 0.5,
            cost,
            categories: vec![category],
            acceptance: Acceptance::Logistic { slope: 40.0, center: 1.06 },
        };
        Self {
            horizon: 20,
            prices: (0..=60).map(|i| 1.0 + 0.005 * f64::from(i)).collect(),
            types: vec![kind(0, 100.0), kind(1, 200.0)],
            target: vec![6.0, 3.0],
            loss: Loss { scale: 300.0, ..Loss::default() },
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Length`] for the first that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let increasing = self.prices.is_sorted_by(|a, b| a < b);
        if self.prices.is_empty() || !increasing || self.prices.iter().any(|a| !a.is_finite()) {
            let found = format!("{} numbers", self.prices.len());
            return Err(Error::setting("prices", "finite numbers that increase", found));
        }
        let total: f64 = self.types.iter().map(|t| t.probability).sum();
        if (total - 1.0).abs() > 1e-9 {
            let name = "sum of the types' probabilities";
            return Err(Error::setting(name, "1", total));
        }
        self.loss.validate()?;
        check_target(&self.target, self.target.len())?;
        self.types.iter().enumerate().try_for_each(|(i, kind)| self.validate_type(i, kind))
    }

    fn validate_type(&self, i: usize, kind: &CustomerType) -> Result<(), Error> {
        let name = |field: &str| format!("{field} of type {i}");
        in_range(&name("probability"), kind.probability, 0.0..=1.0, "a number between 0 and 1")?;
        in_range(&name("cost"), kind.cost, f64::MIN_POSITIVE.., "a number above 0")?;
        let d = self.target.len();
        if let Some(category) = kind.categories.iter().find(|c| **c >= d) {
            return Err(Error::setting(name("category"), format!("below {d}"), category));
        }
        match &kind.acceptance {
            Acceptance::Logistic { slope, center } => {
                in_range(&name("slope"), *slope, f64::MIN_POSITIVE.., "a number above 0")?;
                in_range(&name("center"), *center, .., "a finite number")
            }
            Acceptance::Table(p) if p.len() != self.prices.len() => {
                let expected = self.prices.len();
                Err(Error::Length { name: "acceptance", expected, found: p.len() })
            }
            Acceptance::Table(p) => p.iter().try_for_each(|p| {
                in_range(&name("acceptance"), *p, 0.0..=1.0, "a number between 0 and 1")
            }),
        }
    }

    /// Whether so few customers can have led to a portfolio: no count above their number, nor the sum
    /// above what they add were each of the type with most categories.
    pub fn reachable(&self, portfolio: &[u32], time: u32) -> bool {
        let most = self.types.iter().map(|t| t.categories.len()).max().unwrap_or(0);
        let sum: u64 = portfolio.iter().map(|&n| u64::from(n)).sum();
        portfolio.iter().all(|n| *n <= time) && sum <= most as u64 * u64::from(time)
    }

    /// Membership of each type.
    pub(super) fn members(&self) -> Vec<Members> {
        self.types.iter().map(|t| Members::new(t.categories.iter().copied())).collect()
    }

    /// Acceptance of each price: `[types][prices]`.
    pub(super) fn acceptance(&self) -> Vec<Vec<f64>> {
        let of = |kind: &CustomerType| match &kind.acceptance {
            Acceptance::Logistic { slope, center } => {
                self.prices.iter().map(|a| 1.0 / (1.0 + (slope * (a - center)).exp())).collect()
            }
            Acceptance::Table(p) => p.clone(),
        };
        self.types.iter().map(of).collect()
    }

    /// The price, as its place on the grid, that maximizes p(a)(a − k) for a type; the lowest of
    /// several.
    pub fn best_price(&self, kind: usize, k: f64) -> usize {
        best(&self.acceptance()[kind], &self.prices, k).0
    }
}

/// argmax and max of p(a)(a − k), the lowest price of several.
pub(super) fn best(acceptance: &[f64], prices: &[f64], k: f64) -> (usize, f64) {
    let worth = acceptance.iter().zip(prices).map(|(p, a)| p * (a - k));
    worth.enumerate().fold(
        (0, f64::NEG_INFINITY),
        |best, (i, worth)| {
            if worth > best.1 { (i, worth) } else { best }
        },
    )
}
