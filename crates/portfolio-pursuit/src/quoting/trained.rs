//! What was learned elsewhere, to quote with.

use serde::{Deserialize, Serialize};

use super::WantedCategory;
use crate::{
    Error, Schema,
    customers::ConversionCurve,
    error::in_range,
    models::{Bids as _, StructuralBids},
    portfolio::{Categories, Category},
    practice::Rung,
};

/// The version of [`Trained`] that is read and written.
pub const TRAINED_VERSION: u32 = 2;

/// Models of rivals and of customers, with what a sale of each category is worth at the start of an
/// epoch: all that quoting needs beside a table of customers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trained {
    /// [`TRAINED_VERSION`].
    pub version: u32,
    /// The trial it was learned in.
    pub trial: u64,
    /// Past quotes it was learned from.
    pub quotes: usize,
    /// Loss of a portfolio that misses its target wholly, £.
    pub loss_scale: f64,
    /// The features that models know.
    pub schema: Schema,
    /// What is counted, `[categories]`.
    pub categories: Vec<Category>,
    /// Counts at the end of an epoch without a target, on average: `[categories]`.
    pub average: Vec<f64>,
    /// ρ*: `[categories]`.
    pub target: Vec<f64>,
    /// What one more sale is worth beside its profit before the first customer, £: `[categories]`.
    pub worth: Vec<f64>,
    /// The models.
    pub bids: StructuralBids,
}

impl Trained {
    /// Checks every part, so that whatever a file held, quoting cannot fail.
    ///
    /// # Errors
    /// [`Error::Setting`] naming a part out of its range, [`Error::Length`] for lengths that differ,
    /// and what [`Categories::new`] refuses.
    pub fn validate(&self) -> Result<(), Error> {
        let version = self.version;
        Error::check("version", &TRAINED_VERSION.to_string(), version, version == TRAINED_VERSION)?;
        let expected = self.categories.len();
        let lists = [("average", &self.average), ("target", &self.target), ("worth", &self.worth)];
        for (name, list) in lists {
            if list.len() != expected {
                return Err(Error::Length { name, expected, found: list.len() });
            }
            list.iter().try_for_each(|x| in_range(name, *x, .., "finite numbers"))?;
        }
        Categories::new(self.categories.clone(), &self.schema)?;
        self.bids.validate(self.schema.len())
    }

    /// The categories with their worths.
    pub fn wanted(&self) -> impl Iterator<Item = WantedCategory> {
        self.categories.iter().zip(&self.worth).map(|(category, worth)| WantedCategory {
            column: category.column.clone(),
            low: category.low,
            high: category.high,
            worth: *worth,
        })
    }
}

/// The models' probability of a sale, by multiples of a cost that is loaded.
pub(super) struct TrainedCurve {
    pub(super) bids: StructuralBids,
    /// Share by which costs are loaded, above −1; models know the plain ones.
    pub(super) loading: f64,
}

impl ConversionCurve for TrainedCurve {
    fn acceptance(&self, features: &[f64], cost: f64, multiplier: f64) -> f64 {
        let up = 1.0 + self.loading;
        let prospect = self.bids.prospect(features, cost / up);
        self.bids.probability(&prospect, multiplier * up)
    }

    fn climb(&self, features: &[f64], cost: f64, rungs: &mut [Rung]) {
        let plain = cost / (1.0 + self.loading);
        let prospect = self.bids.prospect(features, plain);
        for rung in rungs {
            rung.acceptance = self.bids.probability(&prospect, rung.price / plain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Column, Kind,
        customers::{ColumnSpec, Customer, TableSpec, ValueType},
        models::{History, StructuralBidsConfig},
        practice::{JointLimits, PriceLimits, ShadowPrices},
        quoting::{Plan, QuoteRecord, Quoter},
    };

    fn trained() -> Trained {
        let mut history = History::new(2);
        for i in 0..400 {
            let x = f64::from(i % 20) / 10.0;
            let offer = 1.0 + f64::from(i % 17) / 100.0;
            let top = 1.04 + 0.01 * x + 0.001 * f64::from(i % 7);
            let taken = f64::from(u8::from(offer < top + 0.004 * f64::from(i % 5)));
            let row = [20.0 + f64::from(i % 50), f64::from(i % 2)];
            history.push(&row, 300.0 + f64::from(i), offer, [top, top + 0.02, top + 0.03], taken);
        }
        let column = |name: &str, kind| Column { name: name.into(), kind };
        let columns = vec![column("age", Kind::Count), column("married", Kind::Indicator)];
        Trained {
            version: TRAINED_VERSION,
            trial: 0,
            quotes: 400,
            loss_scale: 2000.0,
            schema: Schema::new(columns).unwrap(),
            categories: vec![Category { column: "age".into(), low: 20.0, high: 30.0 }],
            average: vec![12.0],
            target: vec![25.0],
            worth: vec![9.0],
            bids: StructuralBids::fit(&history, None, &StructuralBidsConfig::default()).unwrap(),
        }
    }

    fn plan() -> Plan {
        let column = |name: &str, value_type| ColumnSpec {
            name: name.into(),
            value_type,
            levels: vec![],
            fill: None,
        };
        Plan {
            table: TableSpec {
                columns: vec![column("age", ValueType::Whole), column("married", ValueType::Flag)],
                cost: "cost".into(),
                id: None,
                previous: None,
                new_business: None,
                ignore: vec![],
            },
            conversion: None,
            loading: 0.03,
            categories: vec![],
            limits: PriceLimits::default(),
            joint: JointLimits::default(),
            shadow_prices: ShadowPrices::default(),
            steps: 4001,
            exploration: None,
        }
    }

    #[test]
    fn quotes_are_the_models_own_offers() {
        let trained = trained();
        let mut quoter = Quoter::trained(plan(), trained.clone()).unwrap();
        let mut record = QuoteRecord::default();
        for (age, worth) in [(25.0, 9.0), (50.0, 0.0)] {
            let features = vec![age, 1.0];
            let customer =
                Customer { row: 1, features: features.clone(), cost: 400.0, ..Customer::default() };
            quoter.quote(&customer, &mut record).unwrap();
            let prospect = trained.bids.prospect(&features, 400.0);
            let best = trained.bids.offer(&prospect, 1.03 - worth / 400.0);
            assert!((record.price / 400.0 - best).abs() < 1e-3, "{} {best}", record.price / 400.0);
            let taken = trained.bids.probability(&prospect, record.price / 400.0);
            assert!((record.acceptance - taken).abs() < 1e-12);
            assert!((record.worth - worth).abs() < 1e-12);
        }
    }

    #[test]
    fn a_file_says_the_same_again() {
        let trained = trained();
        let text = serde_json::to_string(&trained).unwrap();
        let again: Trained = serde_json::from_str(&text).unwrap();
        again.validate().unwrap();
        let of = |t: &Trained| {
            let prospect = t.bids.prospect(&[33.0, 0.0], 512.0);
            t.bids.probability(&prospect, 1.04).to_bits()
        };
        assert_eq!(of(&again), of(&trained));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let says = |plan: Plan, trained: Trained| {
            Quoter::trained(plan, trained).err().unwrap().to_string()
        };
        let mut other = plan();
        other.table.columns[1].name = "wed".into();
        let message = says(other, trained());
        let expected = "features do not match: expected age (count), married (indicator), \
                        found age (count), wed (indicator)";
        assert_eq!(message, expected);
        let old = Trained { version: 1, ..trained() };
        assert_eq!(says(plan(), old), "version: expected 2, found 1");
        let short = Trained { worth: vec![], ..trained() };
        assert_eq!(says(plan(), short), "worth: expected 1 values, found 0");
        assert!(Quoter::new(plan()).err().unwrap().to_string().starts_with("conversion: expected"));
        // Numbers of another model, and none that is a number.
        let text = serde_json::to_string(&trained()).unwrap();
        let with = |part: &str, instead: &str| {
            assert!(text.contains(part), "{part}");
            says(plan(), serde_json::from_str(&text.replacen(part, instead, 1)).unwrap())
        };
        let message = with("\"mean\":[", "\"mean\":[0.5,");
        assert!(message.contains("inputs: expected 3 values, found 4"), "{message}");
        let message = with("\"parameters\":[", "\"parameters\":[1.0,");
        assert!(message.contains("parameters: expected 11 values, found 12"), "{message}");
        let message = with("\"deviation\":[", "\"deviation\":[-1.0,");
        assert!(message.contains("expected"), "{message}");
    }
}
