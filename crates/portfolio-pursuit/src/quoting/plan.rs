//! How a stream of customers is to be quoted.

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    customers::{LogisticCurve, TableSpec},
    error::in_range,
    portfolio::{Categories, Category},
    practice::{JointLimits, PriceLimits, ShadowPrices},
};

/// Customers of whom more, or fewer, are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WantedCategory {
    /// The column of features.
    pub column: String,
    /// Least value that counts.
    pub low: f64,
    /// Largest value that counts.
    pub high: f64,
    /// What one more such customer is worth beside its profit, in £: V(ρ + 1) − V(ρ), negative for an
    /// unwanted one.
    pub worth: f64,
}

/// Prices asked now and then to learn from, and logged with their probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Exploration {
    /// What a price is multiplied by.
    pub factors: Vec<f64>,
    /// Probability of each factor; all together at most 1.
    pub chance: f64,
    /// Seed of the stream that decides.
    pub seed: u64,
}

impl Default for Exploration {
    fn default() -> Self {
        Self { factors: vec![0.93, 0.95, 0.97, 1.03, 1.05, 1.07], chance: 0.02, seed: 0 }
    }
}

/// How a stream of customers is to be quoted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The table they come in.
    pub table: TableSpec,
    /// How likely they take an offer; none where [`Trained`](super::Trained) models say it.
    #[serde(default)]
    pub conversion: Option<LogisticCurve>,
    /// Added to every cost before pricing, as a share of it, against the winner's curse: costs are
    /// estimates, and the cheapest quote wins.
    #[serde(default)]
    pub loading: f64,
    /// Whom one wants.
    #[serde(default)]
    pub categories: Vec<WantedCategory>,
    /// Bounds on single prices.
    #[serde(default)]
    pub limits: PriceLimits,
    /// Limits that all prices hold together.
    #[serde(default)]
    pub joint: JointLimits,
    /// Their shadow prices, as [`hold_jointly`](crate::practice::hold_jointly) found them on a book
    /// like this stream.
    #[serde(default)]
    pub shadow_prices: ShadowPrices,
    /// Prices that are compared, evenly between the ends of a policy's range; at least 2.
    #[serde(default = "default_steps")]
    pub steps: u32,
    /// Exploration, if any.
    #[serde(default)]
    pub exploration: Option<Exploration>,
}

fn default_steps() -> u32 {
    200
}

impl Plan {
    /// Checks every setting that does not need the table's schema.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        self.limits.validate()?;
        self.joint.validate()?;
        in_range("loading", self.loading, -0.99.., "-0.99 or above")?;
        if self.steps < 2 {
            return Err(Error::setting("steps", "at least 2", self.steps));
        }
        let ShadowPrices { volume, loss_ratio, rate_change } = self.shadow_prices;
        let prices = [("volume", volume), ("loss_ratio", loss_ratio), ("rate_change", rate_change)];
        for (name, price) in prices {
            in_range(&format!("shadow price of {name}"), price, 0.0.., "0 or a number above")?;
        }
        for category in &self.categories {
            let name = format!("worth of the category on {}", category.column);
            in_range(&name, category.worth, .., "a finite number")?;
        }
        if let Some(Exploration { factors, chance, .. }) = &self.exploration {
            let most = 1.0 / factors.len() as f64;
            in_range("chance", *chance, 0.0..=most, "between 0 and 1 over the number of factors")?;
            for factor in factors {
                in_range("factors", *factor, f64::MIN_POSITIVE.., "numbers above 0")?;
            }
        }
        Ok(())
    }

    /// The categories over a schema.
    ///
    /// # Errors
    /// As [`Categories::new`].
    pub(super) fn categories(&self, schema: &crate::Schema) -> Result<Categories, Error> {
        let plain =
            |c: &WantedCategory| Category { column: c.column.clone(), low: c.low, high: c.high };
        Categories::new(self.categories.iter().map(plain).collect(), schema)
    }
}
