//! What another plan would have earned, from the records of quotes and what became of them.

use rl_core::stats::{Estimate, mean};
use serde::Serialize;

use super::{QuoteRecord, Quoter};
use crate::{
    Error,
    customers::Customer,
    practice::{
        Alternative, OffPolicy, doubly_robust, importance_sampling, self_normalized, stand_in,
    },
};

/// How far probabilities of a record may be off.
const ROUNDING: f64 = 1e-6;

/// Judges a plan by quotes that another one made.
///
/// Every record says which prices might have been asked, and how likely; the new plan's prices are
/// split between the logged ones around them, as [`stand_in`] says, and each quote weighs as much more
/// or less as the new plan would have asked the logged price more or less often.
pub struct Replay {
    quoter: Quoter,
    record: QuoteRecord,
    kept: Vec<Kept>,
    outside: usize,
    refused: usize,
}

/// A quote on which the log speaks for the new plan.
struct Kept {
    weight: f64,
    /// Profit, £, and whether it was sold.
    found: [f64; 2],
    /// What the new plan's curve expects of both at the logged price, and under the new plan.
    logged: [f64; 2],
    new: [f64; 2],
}

/// Estimates of one quantity, for each quote.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gains {
    /// What the log holds itself.
    pub logged: Estimate,
    /// The new plan's, by importance sampling: without bias, and noisy.
    pub importance: OffPolicy,
    /// The same with weights that sum to one.
    pub self_normalized: OffPolicy,
    /// The same around what the new plan's own curve expects: right if either propensities or the
    /// curve are, and least noisy where both are.
    pub doubly_robust: OffPolicy,
    /// The doubly robust estimate less the log's own, quote by quote.
    pub gain: Estimate,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replayed {
    /// Quotes that estimates rest on.
    pub quotes: usize,
    /// Quotes left out because the new plan's price lies outside of those that might have been logged.
    pub outside: usize,
    /// Quotes left out because the new plan does not quote such a customer.
    pub refused: usize,
    /// Profit, £ a quote, on the records' costs.
    pub profit: Gains,
    /// Sales, each quote from 0 to 1.
    pub sales: Gains,
}

impl Replay {
    /// Judges the plan of a quoter.
    pub fn new(quoter: Quoter) -> Self {
        let record = QuoteRecord::default();
        Self { quoter, record, kept: Vec::new(), outside: 0, refused: 0 }
    }

    /// The quoter.
    pub fn quoter(&self) -> &Quoter {
        &self.quoter
    }

    /// Takes in a quote, and whether the customer took it.
    ///
    /// # Errors
    /// [`Error::Row`] for a record that contradicts itself: no prices that might have been asked,
    /// probabilities that do not sum to 1, a price or a propensity that is not among them, or numbers
    /// that are not finite; and for features of another number than the plan has.
    pub fn add(&mut self, record: &QuoteRecord, sold: bool) -> Result<(), Error> {
        let asked = check(record, self.quoter.schema().len())
            .map_err(|reason| Error::Row { row: record.row, reason })?;
        let customer = Customer {
            row: record.row,
            id: record.id.clone(),
            features: record.features.clone(),
            cost: record.cost,
            previous: record.previous,
            new_business: record.new_business,
            filled: Vec::new(),
        };
        match self.quoter.quote(&customer, &mut self.record) {
            Ok(()) => {}
            Err(Error::Row { .. }) => {
                self.refused += 1;
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let logged = &record.alternatives;
        let Some(shares) = stand_in(logged, &self.record.alternatives) else {
            self.outside += 1;
            return Ok(());
        };
        let expected = |price: f64| {
            let taken = self.quoter.acceptance(&record.features, record.cost, price);
            [taken * (price - record.cost), taken]
        };
        let mut new = [0.0; 2];
        for (share, Alternative { price, .. }) in shares.iter().zip(logged) {
            let [profit, taken] = expected(*price);
            new[0] += share * profit;
            new[1] += share * taken;
        }
        let taken = f64::from(u8::from(sold));
        self.kept.push(Kept {
            weight: shares[asked] / logged[asked].probability,
            found: [taken * (record.price - record.cost), taken],
            logged: expected(record.price),
            new,
        });
        Ok(())
    }

    /// Estimates with intervals at a confidence below 1.
    ///
    /// # Errors
    /// [`Error::Setting`] if no quote speaks for the new plan, and what statistics refuse: fewer than
    /// two.
    pub fn conclude(&self, confidence: f64) -> Result<Replayed, Error> {
        let n = self.kept.len();
        let weights: Vec<f64> = self.kept.iter().map(|k| k.weight).collect();
        if weights.iter().all(|w| *w <= 0.0) {
            let expected =
                "some at a price that the plan might ask, which takes a log with exploration";
            let found = format!(
                "none of {}; of {} the plan's price lies outside of what might have been asked",
                n + self.outside + self.refused,
                self.outside
            );
            return Err(Error::setting("quotes", expected, found));
        }
        let of = |part: fn(&Kept) -> [f64; 2], which: usize| -> Vec<f64> {
            self.kept.iter().map(|k| part(k)[which]).collect()
        };
        let gains = |which: usize| -> Result<Gains, Error> {
            let rewards = of(|k| k.found, which);
            let (logged, new) = (of(|k| k.logged, which), of(|k| k.new, which));
            let terms = self.kept.iter().map(|k| {
                k.new[which] + k.weight * (k.found[which] - k.logged[which]) - k.found[which]
            });
            Ok(Gains {
                logged: mean(&rewards, confidence)?,
                importance: importance_sampling(&weights, &rewards, confidence)?,
                self_normalized: self_normalized(&weights, &rewards, confidence)?,
                doubly_robust: doubly_robust(&weights, &rewards, &logged, &new, confidence)?,
                gain: mean(&terms.collect::<Vec<_>>(), confidence)?,
            })
        };
        let (profit, sales) = (gains(0)?, gains(1)?);
        let (outside, refused) = (self.outside, self.refused);
        Ok(Replayed { quotes: n, outside, refused, profit, sales })
    }
}

/// The place of the price that was asked.
fn check(record: &QuoteRecord, columns: usize) -> Result<usize, String> {
    let found = record.features.len();
    if found != columns {
        return Err(format!("expected {columns} features, found {found}"));
    }
    let all = &record.alternatives;
    if all.is_empty() {
        return Err(
            "alternatives: expected the prices that might have been asked, found none".into()
        );
    }
    let numbers = [record.price, record.cost, record.propensity].into_iter();
    let numbers = numbers.chain(all.iter().flat_map(|a| [a.price, a.probability]));
    if let Some(bad) = numbers.chain(record.features.iter().copied()).find(|x| !x.is_finite()) {
        return Err(format!("expected finite numbers, found {bad}"));
    }
    if !all.is_sorted_by(|a, b| a.price < b.price) || all.iter().any(|a| a.probability <= 0.0) {
        return Err("alternatives: expected rising prices with probabilities above 0".into());
    }
    let sum: f64 = all.iter().map(|a| a.probability).sum();
    if (sum - 1.0).abs() > ROUNDING {
        return Err(format!("alternatives: expected probabilities that sum to 1, found {sum}"));
    }
    let asked = all.iter().position(|a| (a.price - record.price).abs() <= ROUNDING);
    let asked = asked.ok_or_else(|| {
        format!("price: expected one of the alternatives, found {}", record.price)
    })?;
    let probability = all[asked].probability;
    if (probability - record.propensity).abs() > ROUNDING {
        let found = record.propensity;
        return Err(format!(
            "propensity: expected that of the price, {probability}, found {found}"
        ));
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use rl_core::seed::Seed;

    use super::*;
    use crate::{
        Stream,
        customers::{ColumnSpec, LogisticCurve, TableSpec, ValueType},
        practice::{JointLimits, PriceLimits, ShadowPrices},
        quoting::{Exploration, Plan},
    };

    /// Of a customer with x from 0 to 1: p = 1/(1 + exp(−1.6 + x + 30 (a − 1))).
    fn curve() -> LogisticCurve {
        LogisticCurve {
            intercept: 1.6,
            slope: 30.0,
            weights: [("x".to_owned(), -1.0)].into(),
            slope_weights: [].into(),
        }
    }

    fn plan(conversion: LogisticCurve) -> Plan {
        let column = ColumnSpec {
            name: "x".into(),
            value_type: ValueType::Number,
            levels: vec![],
            fill: None,
        };
        Plan {
            table: TableSpec {
                columns: vec![column],
                cost: "cost".into(),
                id: None,
                previous: None,
                new_business: None,
                ignore: vec![],
            },
            conversion: Some(conversion),
            loading: 0.0,
            categories: vec![],
            limits: PriceLimits::default(),
            joint: JointLimits::default(),
            shadow_prices: ShadowPrices::default(),
            steps: 400,
            exploration: Some(Exploration { chance: 0.1, seed: 5, ..Exploration::default() }),
        }
    }

    fn customer(row: u64) -> Customer {
        let x = Stream::at(Seed::new(9), row).unit();
        Customer { row, features: vec![x], cost: 300.0 + 200.0 * x, ..Customer::default() }
    }

    fn taken(x: f64, a: f64) -> f64 {
        1.0 / (1.0 + (-1.6 + x + 30.0 * (a - 1.0)).exp())
    }

    /// Quotes of the true curve with exploration, and what becomes of them.
    fn log(n: u64) -> Vec<(QuoteRecord, bool)> {
        let mut quoter = Quoter::new(plan(curve())).unwrap();
        (0..n)
            .map(|row| {
                let customer = customer(row);
                let mut record = QuoteRecord::default();
                quoter.quote(&customer, &mut record).unwrap();
                let p = taken(customer.features[0], record.price / customer.cost);
                (record, Stream::at(Seed::new(10), row).unit() < p)
            })
            .collect()
    }

    fn replayed(log: &[(QuoteRecord, bool)], plan: Plan) -> Result<Replayed, Error> {
        let mut replay = Replay::new(Quoter::new(plan).unwrap());
        for (record, sold) in log {
            replay.add(record, *sold)?;
        }
        replay.conclude(0.95)
    }

    /// What a plan earns on average, by the true curve, on the same customers.
    fn truth(n: u64, plan: Plan) -> f64 {
        let mut quoter = Quoter::new(plan).unwrap();
        let mut record = QuoteRecord::default();
        let profit = (0..n).map(|row| {
            let customer = customer(row);
            quoter.quote(&customer, &mut record).unwrap();
            let each = record.alternatives.iter().map(|a| {
                let p = taken(customer.features[0], a.price / customer.cost);
                a.probability * p * (a.price - customer.cost)
            });
            each.sum::<f64>()
        });
        profit.sum::<f64>() / n as f64
    }

    #[test]
    fn another_plans_profit_is_found_whatever_its_curve() {
        let n = 30_000;
        let log = log(n);
        // Prices 3 % higher, by a curve that is wrong, and no exploration.
        let wrong = LogisticCurve { intercept: 1.0, slope: 18.0, ..curve() };
        let other = Plan { exploration: None, ..plan(wrong) };
        let found = replayed(&log, other.clone()).unwrap();
        assert_eq!((found.quotes, found.outside, found.refused), (n as usize, 0, 0));
        let expected = truth(n, other);
        let gap = expected - truth(n, plan(curve()));
        assert!(gap > 1.0, "{gap}");
        let near = |e: Estimate, expected: f64, what: &str| {
            // The curve bends between two prices: half a pound at most.
            let error = (e.value - expected).abs();
            assert!(
                error < 4.0 * e.std_error + 0.3,
                "{what}: {} ± {} {expected}",
                e.value,
                e.std_error
            );
        };
        near(found.profit.importance.estimate, expected, "importance");
        near(found.profit.self_normalized.estimate, expected, "self-normalized");
        near(found.profit.doubly_robust.estimate, expected, "doubly robust");
        near(found.profit.gain, gap, "gain");
        assert!(
            found.profit.doubly_robust.estimate.std_error
                < found.profit.importance.estimate.std_error
        );
        let share = found.profit.importance.effective / n as f64;
        assert!((0.05..0.5).contains(&share), "{share}");
    }

    #[test]
    fn the_plan_of_the_log_is_worth_what_the_log_says() {
        let log = log(500);
        let found = replayed(&log, plan(curve())).unwrap();
        let [logged, importance] = [found.profit.logged, found.profit.importance.estimate];
        assert!((logged.value - importance.value).abs() < 1e-9);
        assert!((found.sales.importance.effective - 500.0).abs() < 1e-6);
        let sold = log.iter().filter(|(_, sold)| *sold).count() as f64 / 500.0;
        assert!((found.sales.logged.value - sold).abs() < 1e-12);
    }

    #[test]
    fn what_the_log_cannot_say_is_told() {
        let log = log(50);
        let far = Plan { loading: 0.5, ..plan(curve()) };
        let message = replayed(&log, far).unwrap_err().to_string();
        assert!(message.contains("none of 50; of 50 the plan's price lies outside"), "{message}");
        let mut replay = Replay::new(Quoter::new(plan(curve())).unwrap());
        let mut says = |change: &dyn Fn(&mut QuoteRecord)| {
            let mut record = log[7].0.clone();
            change(&mut record);
            replay.add(&record, true).unwrap_err().to_string()
        };
        let message = says(&|r| r.alternatives.clear());
        assert!(message.starts_with("row 7: alternatives: expected the prices"), "{message}");
        let message = says(&|r| r.propensity = 0.5);
        assert!(message.contains("propensity: expected that of the price"), "{message}");
        assert!(says(&|r| r.price += 1.0).contains("price: expected one of the alternatives"));
        assert!(says(&|r| r.alternatives[0].probability = 0.9).contains("that sum to 1"));
        assert!(says(&|r| r.features.clear()).contains("expected 1 features, found 0"));
        assert!(says(&|r| r.cost = f64::NAN).contains("expected finite numbers, found NaN"));
        assert!(says(&|r| r.alternatives.reverse()).contains("rising prices"));
    }
}
