//! A market of a user's own customers.

use rl_core::seed::Seed;

use super::{ConversionCurve, Customer};
use crate::{Error, MarketModel, Schema, Stream};

/// A market in which one firm quotes, customers are rows of a table, drawn with replacement, and a
/// conversion curve stands for the rivals.
#[derive(Debug, Clone)]
pub struct TableMarket<C> {
    schema: Schema,
    features: Vec<f64>,
    costs: Vec<f64>,
    curve: C,
}

/// A row that arrives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrival {
    /// The row's place among those of the market.
    pub place: usize,
    /// The number, uniform on (0, 1), that decides.
    pub uniform: f64,
}

impl<C: ConversionCurve> TableMarket<C> {
    /// A market of these customers, whose features are those of `schema`.
    ///
    /// # Errors
    /// [`Error::Setting`] without customers, [`Error::Length`] for features that do not fit.
    pub fn new<'a>(
        schema: Schema,
        customers: impl IntoIterator<Item = &'a Customer>,
        curve: C,
    ) -> Result<Self, Error> {
        let (mut features, mut costs) = (Vec::new(), Vec::new());
        for customer in customers {
            if customer.features.len() != schema.len() {
                let (expected, found) = (schema.len(), customer.features.len());
                return Err(Error::Length { name: "features", expected, found });
            }
            features.extend_from_slice(&customer.features);
            costs.push(customer.cost);
        }
        if costs.is_empty() {
            return Err(Error::setting("customers", "at least one", 0));
        }
        Ok(Self { schema, features, costs, curve })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.costs.len()
    }

    fn row(&self, place: usize) -> &[f64] {
        let width = self.schema.len();
        &self.features[place * width..(place + 1) * width]
    }

    fn acceptance(&self, arrival: &Arrival, offer: f64) -> f64 {
        let cost = self.costs[arrival.place];
        self.curve.acceptance(self.row(arrival.place), cost, offer / cost)
    }
}

impl<C: ConversionCurve> MarketModel for TableMarket<C> {
    type Visitor = Arrival;

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn firms(&self) -> usize {
        1
    }

    fn visitor(&self, seed: Seed, index: u64) -> Arrival {
        let mut stream = Stream::at(seed, index);
        // A table beyond four billion rows does not fit into memory.
        let place = stream.below(self.costs.len().min(u32::MAX as usize) as u32) as usize;
        Arrival { place, uniform: stream.unit() }
    }

    fn features(&self, visitor: &Arrival, features: &mut [f64]) {
        features.copy_from_slice(self.row(visitor.place));
    }

    fn cost(&self, visitor: &Arrival, _: usize) -> f64 {
        self.costs[visitor.place]
    }

    fn true_cost(&self, visitor: &Arrival) -> f64 {
        self.costs[visitor.place]
    }

    fn probabilities(&self, visitor: &Arrival, offers: &[f64], probabilities: &mut [f64]) {
        probabilities[0] = self.acceptance(visitor, offers[0]);
    }

    fn choose(&self, visitor: &Arrival, offers: &[f64]) -> Option<usize> {
        (visitor.uniform < self.acceptance(visitor, offers[0])).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Column, EpochConfig, Firm, Kind, customers::LogisticCurve, policy::FixedPolicy,
        portfolio::Categories, run_epoch,
    };

    #[test]
    fn sales_follow_the_curve() {
        let column = Column { name: "x".into(), kind: Kind::Amount };
        let schema = Schema::new(vec![column]).unwrap();
        let customer =
            |x: f64| Customer { features: vec![x], cost: 100.0 + x, ..Customer::default() };
        let rows: Vec<Customer> = [0.0, 1.0, 2.0].into_iter().map(customer).collect();
        let curve = LogisticCurve {
            intercept: 0.3,
            slope: 20.0,
            weights: [("x".to_owned(), -0.5)].into(),
            slope_weights: [("x".to_owned(), 0.1)].into(),
        };
        let bound = curve.bind(&schema).unwrap();
        let market = TableMarket::new(schema, &rows, bound).unwrap();
        let categories = Categories::none();
        let mut firms = [Firm { policy: Box::new(FixedPolicy(1.05)), categories: &categories }];
        let config = EpochConfig { customers: 60_000, ..EpochConfig::default() };
        let books =
            run_epoch(&market, &config, Seed::new(1), 0, &mut firms, |_| {}).unwrap().remove(0);
        let p = |x: f64| {
            let logit: f64 = 0.3 - 0.5 * x - 20.0 * (0.1 * x).exp() * 0.05;
            1.0 / (1.0 + (-logit).exp())
        };
        let expected = (p(0.0) + p(1.0) + p(2.0)) / 3.0 * 60_000.0;
        assert!(
            (f64::from(books.sales) - expected).abs() < 4.0 * 123.0,
            "{} {expected}",
            books.sales
        );
        let profit = 0.05 * (100.0 * p(0.0) + 101.0 * p(1.0) + 102.0 * p(2.0)) * 20_000.0;
        assert!((books.profit / profit - 1.0).abs() < 0.02);
    }
}
