//! Quotes customers one at a time.

use rl_core::seed::Seed;

use super::{Exploration, Plan, QuoteRecord, Trained, trained::TrainedCurve};
use crate::{
    Error, Schema, Stream,
    customers::{ConversionCurve, Customer},
    next_value::k_value,
    portfolio::{Categories, Members},
    practice::{Alternative, Joint, Ladder, PriceRange, Rung, hold_jointly},
};

/// Prices of a policy, while shadow prices are sought on a whole book.
const BOOK_STEPS: u32 = 50;

/// Quotes the customers of a plan.
pub struct Quoter {
    plan: Plan,
    schema: Schema,
    names: Vec<String>,
    categories: Categories,
    curve: Box<dyn ConversionCurve + Send>,
    stream: Seed,
    ladder: Ladder,
}

impl Quoter {
    /// A quoter of a plan that has a curve.
    ///
    /// # Errors
    /// What [`Plan::validate`], the table's schema, the categories and the curve refuse;
    /// [`Error::Setting`] if there is no curve.
    pub fn new(plan: Plan) -> Result<Self, Error> {
        let schema = plan.table.schema()?;
        let expected = "a curve in the plan, or trained models";
        let missing = || Error::setting("conversion", expected, "neither");
        let curve = Box::new(plan.conversion.as_ref().ok_or_else(missing)?.bind(&schema)?);
        Self::with(plan, schema, curve)
    }

    /// A quoter of a plan without a curve, by what was learned; its categories come before the plan's.
    ///
    /// # Errors
    /// [`Error::Features`] if the plan's table has other features than the models know,
    /// [`Error::Setting`] if the plan has a curve too, and what [`Trained::validate`] and
    /// [`Quoter::new`] refuse.
    pub fn trained(mut plan: Plan, trained: Trained) -> Result<Self, Error> {
        let expected = "a curve in the plan, or trained models";
        Error::check("conversion", expected, "both", plan.conversion.is_none())?;
        trained.validate()?;
        let schema = plan.table.schema()?;
        trained.schema.accepts(&schema)?;
        plan.categories.splice(0..0, trained.wanted());
        // The plan's own check of it comes with the others.
        let curve = Box::new(TrainedCurve { bids: trained.bids, loading: plan.loading });
        Self::with(plan, schema, curve)
    }

    fn with(
        plan: Plan,
        schema: Schema,
        curve: Box<dyn ConversionCurve + Send>,
    ) -> Result<Self, Error> {
        plan.validate()?;
        let categories = plan.categories(&schema)?;
        let seed = plan.exploration.as_ref().map_or(0, |e| e.seed);
        let stream = Seed::new(seed).derive("exploration", 0);
        let names = categories.iter().map(ToString::to_string).collect();
        let ladder = Ladder { cost: 0.0, worth: 0.0, previous: None, rungs: Vec::new() };
        Ok(Self { plan, schema, names, categories, curve, stream, ladder })
    }

    /// The features that customers must have.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Finds the shadow prices of the plan's joint limits on a book of customers, and quotes with them
    /// from now on. Customers that cannot be quoted are left out.
    ///
    /// # Errors
    /// [`Error::Bounds`] if the limits cannot all hold on this book.
    pub fn hold_jointly(&mut self, book: &[Customer]) -> Result<Joint, Error> {
        let ladders: Vec<Ladder> =
            book.iter().filter_map(|customer| self.ladder(customer).ok()).collect();
        let joint = hold_jointly(&ladders, &self.plan.joint)?;
        self.plan.shadow_prices = joint.shadow_prices;
        Ok(joint)
    }

    /// The prices that a customer may have, and what would come of them.
    fn ladder(&mut self, customer: &Customer) -> Result<Ladder, Error> {
        let range = self.enter(customer)?;
        self.climb(customer, [range.low, range.high], self.plan.steps.min(BOOK_STEPS));
        Ok(self.ladder.clone())
    }

    /// What a customer in these categories is worth beside its profit, in £; 0 in none.
    pub fn worth(&self, members: Members) -> f64 {
        // An empty sum would be −0.
        members.iter().fold(0.0, |worth, i| worth + self.plan.categories[i].worth)
    }

    /// Quotes one customer into `record`.
    ///
    /// The price is argmax p(price − cost + worth) plus what shadow prices add, over `steps` prices of
    /// the policy's range and its ends.
    ///
    /// # Errors
    /// [`Error::Row`] for a cost that is not above 0, features of the wrong number, and bounds that
    /// contradict each other; such a customer is not quoted.
    pub fn quote(&mut self, customer: &Customer, record: &mut QuoteRecord) -> Result<(), Error> {
        let range = self.enter(customer)?;
        let cost = self.ladder.cost;
        let limits = &self.plan.limits;
        let widest = [limits.least_multiple * cost, limits.most_multiple * cost];
        let unbounded = self.best(customer, widest);
        let (mut price, mut bound) = (unbounded, None);
        if range.clip(unbounded).1.is_some() {
            price = self.best(customer, [range.low, range.high]);
            bound = range.clip(unbounded).1;
        }
        let (asked, explored) = self.explore(customer.row, price, &range);
        self.alternatives(price, &range, &mut record.alternatives);
        let same = |a: &&Alternative| a.price.total_cmp(&asked).is_eq();
        let propensity = record.alternatives.iter().find(same).map_or(1.0, |a| a.probability);

        record.row = customer.row;
        record.id.clone_from(&customer.id);
        record.price = asked;
        record.cost = customer.cost;
        record.multiplier = asked / cost;
        record.worth = self.ladder.worth;
        record.k = k_value(record.worth, cost);
        record.acceptance = self.curve.acceptance(&customer.features, cost, asked / cost);
        record.unbounded = unbounded;
        record.bound = bound;
        record.propensity = propensity;
        record.explored = explored;
        record.previous = customer.previous;
        record.new_business = customer.new_business;
        record.features.clone_from(&customer.features);
        self.give_reasons(customer, self.categories.members(&customer.features), record);
        Ok(())
    }

    /// Starts a customer's ladder; returns the prices it may have.
    fn enter(&mut self, customer: &Customer) -> Result<PriceRange, Error> {
        let refuse = |reason: String| Error::Row { row: customer.row, reason };
        let expected = self.schema.len();
        if customer.features.len() != expected {
            let found = customer.features.len();
            return Err(refuse(format!("expected {expected} features, found {found}")));
        }
        let cost = customer.cost * (1.0 + self.plan.loading);
        if !(cost.is_finite() && cost > 0.0) {
            return Err(refuse(format!("cost: expected pounds above 0, found {}", customer.cost)));
        }
        let members = self.categories.members(&customer.features);
        let worth = self.worth(members);
        let limits = &self.plan.limits;
        let range = limits
            .range(cost, customer.previous, customer.new_business)
            .map_err(|error| refuse(error.to_string()))?;
        self.ladder.cost = cost;
        self.ladder.worth = worth;
        self.ladder.previous = customer.previous;
        Ok(range)
    }

    /// The best price between two.
    fn best(&mut self, customer: &Customer, [low, high]: [f64; 2]) -> f64 {
        self.climb(customer, [low, high], self.plan.steps);
        let place = self.plan.joint.best(&self.ladder, &self.plan.shadow_prices);
        self.ladder.rungs[place].price
    }

    /// Puts `steps` prices on the ladder, evenly from `low` to `high`.
    fn climb(&mut self, customer: &Customer, [low, high]: [f64; 2], steps: u32) {
        let last = steps - 1;
        self.ladder.rungs.clear();
        self.ladder.rungs.extend((0..=last).map(|i| {
            let part = f64::from(i) / f64::from(last);
            let price = if i == last { high } else { low + (high - low) * part };
            Rung { price, acceptance: 0.0 }
        }));
        self.curve.climb(&customer.features, self.ladder.cost, &mut self.ladder.rungs);
    }

    /// The price that is asked, and the factor.
    fn explore(&self, row: u64, price: f64, range: &PriceRange) -> (f64, f64) {
        let Some(Exploration { factors, chance, .. }) = &self.plan.exploration else {
            return (price, 1.0);
        };
        let place = Stream::at(self.stream, row).unit() / chance;
        let factor = factors.get(place as usize).copied().unwrap_or(1.0);
        (range.clip(price * factor).0, factor)
    }

    /// Every price that may be asked; several factors may lead to one at an end of the range.
    fn alternatives(&self, price: f64, range: &PriceRange, out: &mut Vec<Alternative>) {
        out.clear();
        let Some(Exploration { factors, chance, .. }) = &self.plan.exploration else {
            out.push(Alternative { price, probability: 1.0 });
            return;
        };
        let plain = 1.0 - chance * factors.len() as f64;
        let all = factors.iter().map(|factor| (*factor, *chance)).chain([(1.0, plain)]);
        out.extend(all.filter(|(_, probability)| *probability > 0.0).map(
            |(factor, probability)| Alternative {
                price: range.clip(price * factor).0,
                probability,
            },
        ));
        out.sort_unstable_by(|a, b| a.price.total_cmp(&b.price));
        out.dedup_by(|next, before| {
            let same = next.price.total_cmp(&before.price).is_eq();
            if same {
                before.probability += next.probability;
            }
            same
        });
    }

    /// Probability that a customer takes a price, £, as the plan's curve or models see it.
    pub(super) fn acceptance(&self, features: &[f64], cost: f64, price: f64) -> f64 {
        let loaded = cost * (1.0 + self.plan.loading);
        self.curve.acceptance(features, loaded, price / loaded)
    }

    fn give_reasons(&self, customer: &Customer, members: Members, record: &mut QuoteRecord) {
        let reasons = &mut record.reasons;
        reasons.clear();
        for i in members.iter() {
            let worth = self.plan.categories[i].worth;
            let wanted = if worth >= 0.0 { "wanted" } else { "unwanted" };
            reasons.push(format!("{wanted}: {} is worth £{worth:.2}", self.names[i]));
        }
        if self.plan.loading.abs() > 0.0 {
            let percent = 100.0 * self.plan.loading;
            reasons.push(format!("cost loaded by {percent:.2} %"));
        }
        let shadow = self.plan.shadow_prices;
        let prices = [
            ("volume floor", shadow.volume, "a sale"),
            ("loss-ratio ceiling", shadow.loss_ratio, "per £ of expected cost"),
            ("rate-change ceiling", shadow.rate_change, "per £ of premium"),
        ];
        for (name, price, unit) in prices {
            if price > 0.0 {
                reasons.push(format!("{name}: shadow price £{price:.4} {unit}"));
            }
        }
        if let Some(bound) = record.bound {
            let moved = if record.price > record.unbounded { "raised" } else { "lowered" };
            reasons.push(format!("{moved} from £{:.2} by the {bound}", record.unbounded));
        }
        if (record.explored - 1.0).abs() > 0.0 {
            reasons.push(format!("explored: times {}", record.explored));
        }
        for &place in &customer.filled {
            let column = &self.plan.table.columns[place];
            let fill = column.fill.as_deref().unwrap_or_default();
            reasons.push(format!("missing {} taken as {fill}", column.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        customers::{ColumnSpec, LogisticCurve, TableSpec, ValueType},
        practice::{Bound, JointLimits, PriceLimits, ShadowPrices},
        quoting::WantedCategory,
    };

    fn plan() -> Plan {
        let age = ColumnSpec {
            name: "age".into(),
            value_type: ValueType::Whole,
            levels: vec![],
            fill: None,
        };
        Plan {
            table: TableSpec {
                columns: vec![age],
                cost: "cost".into(),
                id: None,
                previous: None,
                new_business: None,
                ignore: vec![],
            },
            conversion: Some(LogisticCurve {
                intercept: 2.0,
                slope: 40.0,
                weights: [].into(),
                slope_weights: [].into(),
            }),
            loading: 0.0,
            categories: vec![
                WantedCategory { column: "age".into(), low: 17.0, high: 25.0, worth: -8.0 },
                WantedCategory { column: "age".into(), low: 20.0, high: 60.0, worth: 5.0 },
            ],
            limits: PriceLimits::default(),
            joint: JointLimits::default(),
            shadow_prices: ShadowPrices::default(),
            steps: 20_001,
            exploration: None,
        }
    }

    fn quoted(plan: Plan, customer: &Customer) -> QuoteRecord {
        let mut record = QuoteRecord::default();
        Quoter::new(plan).unwrap().quote(customer, &mut record).unwrap();
        record
    }

    fn customer(age: f64) -> Customer {
        Customer { row: 3, id: "P".into(), features: vec![age], cost: 200.0, ..Customer::default() }
    }

    /// argmax of (a − k)/(1 + exp(40(a − 1.05))): 40(a − k)(1 − p) = 1.
    fn stationary(record: &QuoteRecord) -> f64 {
        40.0 * (record.multiplier - record.k) * (1.0 - record.acceptance)
    }

    #[test]
    fn prices_are_the_best_for_their_k() {
        for (age, k) in [
            (70.0, 1.0),
            (40.0, 1.0 - 5.0 / 200.0),
            (18.0, 1.0 + 8.0 / 200.0),
            (22.0, 1.0 + 3.0 / 200.0),
        ] {
            let record = quoted(plan(), &customer(age));
            assert!((record.k - k).abs() < 1e-12);
            assert!((stationary(&record) - 1.0).abs() < 0.01, "{record:?}");
        }
        let unwanted = quoted(plan(), &customer(22.0));
        assert_eq!(
            unwanted.reasons,
            ["unwanted: age in [17, 25] is worth £-8.00", "wanted: age in [20, 60] is worth £5.00"]
        );
        let outside = quoted(plan(), &customer(70.0));
        assert_eq!([outside.k, outside.worth].map(f64::to_bits), [1.0, 0.0].map(f64::to_bits));
    }

    #[test]
    fn bounds_that_bite_are_recorded() {
        let limits = PriceLimits { increase: Some(0.02), ..PriceLimits::default() };
        let before = Customer { previous: Some(200.0), ..customer(70.0) };
        let record = quoted(Plan { limits, ..plan() }, &before);
        assert_eq!((record.price, record.bound), (204.0, Some(Bound::Increase)));
        assert!(record.unbounded > 204.0);
        let reason = &record.reasons[0];
        assert!(reason.ends_with("by the largest increase over the last price"), "{reason}");
        let loose = quoted(plan(), &before);
        assert!((loose.price - record.unbounded).abs() < 1e-9 && loose.bound.is_none());
    }

    #[test]
    fn shadow_prices_and_loading_move_prices() {
        let plain = quoted(plan(), &customer(70.0));
        let shadow_prices = ShadowPrices { volume: 3.0, ..ShadowPrices::default() };
        // A sale that is worth £3 more is a k that is less by 3/200.
        let joint = JointLimits { volume: Some(1.0), ..JointLimits::default() };
        let pushed = quoted(Plan { joint, shadow_prices, ..plan() }, &customer(70.0));
        let slope = 40.0 * (pushed.multiplier - (1.0 - 0.015)) * (1.0 - pushed.acceptance);
        assert!((slope - 1.0).abs() < 0.01 && pushed.price < plain.price);
        let loaded = quoted(Plan { loading: 0.02, ..plan() }, &customer(70.0));
        assert!((loaded.price / plain.price - 1.02).abs() < 1e-9);
    }

    #[test]
    fn propensities_are_the_frequencies_of_prices() {
        let limits = PriceLimits { most_multiple: 1.08, ..PriceLimits::default() };
        let exploration = Some(Exploration { chance: 0.1, ..Exploration::default() });
        let mut quoter = Quoter::new(Plan { limits, exploration, steps: 201, ..plan() }).unwrap();
        let mut seen = std::collections::BTreeMap::new();
        let n = 20_000;
        let mut record = QuoteRecord::default();
        for row in 0..n {
            quoter.quote(&Customer { row, ..customer(70.0) }, &mut record).unwrap();
            let entry = seen.entry(record.price.to_bits()).or_insert((0_u32, record.propensity));
            entry.0 += 1;
            assert!((entry.1 - record.propensity).abs() < 1e-12);
            let all: f64 = record.alternatives.iter().map(|a| a.probability).sum();
            assert!((all - 1.0).abs() < 1e-12 && record.alternatives.len() <= 7);
            assert!(record.alternatives.is_sorted_by(|a, b| a.price < b.price));
        }
        // Every price that occurs has its share, and they are all there are.
        assert!(seen.len() >= 4 && seen.len() <= 7);
        assert!((seen.values().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-9);
        for &(count, p) in seen.values() {
            let error = (n as f64 * p * (1.0 - p)).sqrt();
            assert!((f64::from(count) - n as f64 * p).abs() < 4.0 * error, "{seen:?}");
        }
    }

    #[test]
    fn what_cannot_be_quoted_is_named() {
        let mut record = QuoteRecord::default();
        let mut said = |customer: Customer, plan: Plan| {
            Quoter::new(plan).unwrap().quote(&customer, &mut record).unwrap_err().to_string()
        };
        for cost in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let message = said(Customer { cost, ..customer(30.0) }, plan());
            assert!(
                message.starts_with("row 3: cost: expected pounds above 0, found"),
                "{message}"
            );
        }
        let limits = PriceLimits { increase: Some(0.0), ..PriceLimits::default() };
        let before = Customer { previous: Some(150.0), ..customer(30.0) };
        let message = said(before, Plan { limits, ..plan() });
        assert!(message.contains("row 3: bounds cannot all hold: the least multiple"), "{message}");
        let message = said(Customer { features: vec![], ..customer(1.0) }, plan());
        assert_eq!(message, "row 3: expected 1 features, found 0");
        let bad = Plan { steps: 1, ..plan() };
        assert_eq!(
            Quoter::new(bad).err().unwrap().to_string(),
            "steps: expected at least 2, found 1"
        );
    }
}
