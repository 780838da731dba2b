//! How likely a customer takes an offer, where no rivals are seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Schema, error::in_range, practice::Rung};

/// A conversion curve: the probability that an offer is taken.
pub trait ConversionCurve: Sync {
    /// Probability that a customer with these features takes an offer of `multiplier` times `cost`.
    fn acceptance(&self, features: &[f64], cost: f64, multiplier: f64) -> f64;

    /// Writes the acceptance of every price of one customer's ladder.
    fn climb(&self, features: &[f64], cost: f64, rungs: &mut [Rung]) {
        for rung in rungs {
            rung.acceptance = self.acceptance(features, cost, rung.price / cost);
        }
    }
}

/// A logistic curve that falls with the price whatever its weights are.
///
/// ```text
/// logit p = intercept + Σ_j weights_j x_j − slope · exp(Σ_j slope_weights_j x_j) · (a − 1)
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LogisticCurve {
    /// Logit of acceptance at cost, features being 0.
    pub intercept: f64,
    /// What the logit falls by for one more multiple of cost, features being 0; above 0.
    pub slope: f64,
    /// What a unit of a column adds to the logit.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    /// What a unit of a column adds to the logarithm of the slope.
    #[serde(default)]
    pub slope_weights: BTreeMap<String, f64>,
}

/// A [`LogisticCurve`] for a schema.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlacedCurve {
    intercept: f64,
    slope: f64,
    weights: Vec<(usize, f64)>,
    slope_weights: Vec<(usize, f64)>,
}

impl LogisticCurve {
    /// The curve for features of a schema.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] for a weight whose column the schema lacks, [`Error::Setting`] for
    /// numbers that are not finite and a slope that is not above 0.
    pub fn bind(&self, schema: &Schema) -> Result<impl ConversionCurve + Clone + use<>, Error> {
        in_range("intercept", self.intercept, .., "a finite number")?;
        in_range("slope", self.slope, f64::MIN_POSITIVE.., "a number above 0")?;
        let places = |weights: &BTreeMap<String, f64>| {
            let place = |(name, &weight): (&String, &f64)| {
                in_range(&format!("weight of {name}"), weight, .., "a finite number")?;
                Ok((schema.index(name)?, weight))
            };
            weights.iter().map(place).collect::<Result<Vec<_>, Error>>()
        };
        Ok(PlacedCurve {
            intercept: self.intercept,
            slope: self.slope,
            weights: places(&self.weights)?,
            slope_weights: places(&self.slope_weights)?,
        })
    }
}

impl PlacedCurve {
    /// Logit of acceptance at cost, and what it falls by for one more multiple.
    #[inline]
    fn line(&self, features: &[f64]) -> (f64, f64) {
        let sum = |weights: &[(usize, f64)]| -> f64 {
            weights.iter().map(|&(i, weight)| weight * features[i]).sum()
        };
        (self.intercept + sum(&self.weights), self.slope * sum(&self.slope_weights).exp())
    }
}

#[inline]
fn logistic(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

impl ConversionCurve for PlacedCurve {
    #[inline]
    fn acceptance(&self, features: &[f64], _: f64, multiplier: f64) -> f64 {
        let (at_cost, slope) = self.line(features);
        logistic(at_cost - slope * (multiplier - 1.0))
    }

    fn climb(&self, features: &[f64], cost: f64, rungs: &mut [Rung]) {
        let (at_cost, slope) = self.line(features);
        for rung in rungs {
            rung.acceptance = logistic(at_cost - slope * (rung.price / cost - 1.0));
        }
    }
}

impl<F: Fn(&[f64], f64, f64) -> f64 + Sync> ConversionCurve for F {
    fn acceptance(&self, features: &[f64], cost: f64, multiplier: f64) -> f64 {
        self(features, cost, multiplier)
    }
}
