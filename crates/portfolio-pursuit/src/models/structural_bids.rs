//! Our bids: the conversion model averaged over what the market model does not know, maximized.

use serde::{Deserialize, Serialize};

use super::{
    History,
    bids::{Bids, Mixture},
    inputs::finite_list,
    linear_algebra::dot,
    ridge::RidgeMarket,
    structural::{Sensitivity, StructuralConfig, StructuralConversion},
};
use crate::Error;

/// How our bids are learned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct StructuralBidsConfig {
    /// Weight of the squared coefficients of the market model, at least 0; beside thousands of quotes
    /// it matters little.
    pub market_ridge: f64,
    /// Conversion model.
    pub conversion: StructuralConfig,
    /// Into how many equally likely cases the market model's residuals are cut, at least 1.
    pub cases: usize,
}

impl Default for StructuralBidsConfig {
    fn default() -> Self {
        Self { market_ridge: 1.0, conversion: StructuralConfig::default(), cases: 24 }
    }
}

impl StructuralBidsConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        let held = self.market_ridge >= 0.0 && self.market_ridge.is_finite();
        Error::check("bids.market_ridge", "a finite number, not below 0", self.market_ridge, held)?;
        Error::check("bids.cases", "at least 1", self.cases, self.cases >= 1)?;
        self.conversion.validate()
    }
}

/// Market model and conversion model, put together.
///
/// The conversion model is fitted to what rivals were seen to ask. When an offer is made that is not
/// known yet, so its probability is averaged over the residuals of the market model; putting in the
/// prediction alone would make customers look more sensitive to the price than they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StructuralBids {
    market: RidgeMarket,
    conversion: StructuralConversion,
    weights: [f64; 3],
    /// w·residual, means of equally many in order of size.
    shifts: Vec<f64>,
}

/// What [`StructuralBids`] know of a customer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StructuralProspect {
    level: f64,
    slope: f64,
    market: f64,
}

impl StructuralBids {
    /// Fits both models; `value_column` of the features holds the insured value, where there is one.
    ///
    /// # Errors
    /// [`Error::Setting`] for the configuration, [`Error::Fit`] as [`History::check`].
    pub fn fit(
        history: &History,
        value_column: Option<usize>,
        config: &StructuralBidsConfig,
    ) -> Result<Self, Error> {
        config.validate()?;
        let market = RidgeMarket::fit(history, value_column, config.market_ridge)?;
        let conversion = StructuralConversion::fit(history, value_column, &config.conversion)?;
        let weights = conversion.weights();
        let mut shifts: Vec<f64> = market.residuals().iter().map(|r| dot(&weights, r)).collect();
        shifts.sort_unstable_by(f64::total_cmp);
        let n = shifts.len();
        let cases = config.cases.min(n);
        let shifts = (0..cases)
            .map(|case| {
                let part = &shifts[case * n / cases..(case + 1) * n / cases];
                part.iter().sum::<f64>() / part.len() as f64
            })
            .collect();
        Ok(Self { market, conversion, weights, shifts })
    }

    /// Checks what was read from a file against customers of so many columns.
    ///
    /// # Errors
    /// [`Error::Length`] for lists of other lengths, [`Error::Setting`] for numbers that are not
    /// finite.
    pub fn validate(&self, columns: usize) -> Result<(), Error> {
        self.market.validate(columns)?;
        self.conversion.validate(columns)?;
        let same = self.market.inputs == self.conversion.inputs;
        Error::check("inputs", "the same for both models", "others", same)?;
        finite_list("weights", &self.weights, 3)?;
        Error::check("shifts", "at least 1", self.shifts.len(), !self.shifts.is_empty())?;
        finite_list("shifts", &self.shifts, self.shifts.len())
    }

    /// The market model.
    pub fn market(&self) -> &RidgeMarket {
        &self.market
    }

    /// The conversion model.
    pub fn conversion(&self) -> &StructuralConversion {
        &self.conversion
    }

    fn curve(&self, prospect: &StructuralProspect) -> Mixture<'_> {
        let &StructuralProspect { level, slope, market } = prospect;
        Mixture { level, slope, market, shifts: &self.shifts }
    }
}

impl Bids for StructuralBids {
    type Prospect = StructuralProspect;

    fn prospect(&self, row: &[f64], cost: f64) -> StructuralProspect {
        // Both models were fitted to the same quotes, so their inputs are the same.
        let x = self.market.inputs.of_one(row, cost);
        let Sensitivity { level, slope } = self.conversion.scaled(&x);
        StructuralProspect { level, slope, market: dot(&self.weights, &self.market.scaled(&x)) }
    }

    fn offer(&self, prospect: &StructuralProspect, k: f64) -> f64 {
        self.curve(prospect).best_offer(k)
    }

    fn offers(&self, prospect: &StructuralProspect, ks: &[f64], out: &mut Vec<f64>) {
        self.curve(prospect).best_offers(ks, out);
    }

    fn probability(&self, prospect: &StructuralProspect, offer: f64) -> f64 {
        self.curve(prospect).probability(offer)
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rl_core::seed::Seed;

    use super::{super::structural::sigmoid, *};

    #[test]
    fn averaging_over_residuals_recovers_how_often_offers_are_taken() {
        let mut rng = Seed::new(5).rng();
        let mut history = History::new(1);
        let spread: f64 = 0.04;
        for _ in 0..4000 {
            let row = [rng.random_range(-1.0..1.0)];
            let shift = rng.random_range(-spread..spread);
            let cheapest = 1.05 + 0.02 * row[0] + shift;
            let offer = rng.random_range(1.0..1.12);
            let p = sigmoid(60.0 * (cheapest - offer));
            history.push(&row, 100.0, offer, [cheapest, cheapest, cheapest], p);
        }
        let mut config = StructuralBidsConfig::default();
        config.conversion.ridge = 0.0;
        let bids = StructuralBids::fit(&history, None, &config).unwrap();
        let prospect = bids.prospect(&[0.0], 100.0);
        let steps = 2000;
        for offer in [1.02, 1.05, 1.08, 1.11] {
            let mean = (0..steps)
                .map(|i| -spread + 2.0 * spread * (f64::from(i) + 0.5) / f64::from(steps))
                .map(|shift| sigmoid(60.0 * (1.05 + shift - offer)))
                .sum::<f64>()
                / f64::from(steps);
            let found = bids.probability(&prospect, offer);
            assert!((found - mean).abs() < 0.01, "{offer}: {found} {mean}");
        }
        // Without the average the curve is much steeper.
        let plain = sigmoid(60.0 * (1.05 - 1.08));
        assert!(bids.probability(&prospect, 1.08) > plain + 0.03);
    }
}
