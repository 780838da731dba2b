//! Exact solutions and quotes with their records.

use std::{collections::BTreeMap, hint::black_box};

use criterion::{Criterion, Throughput};
use portfolio_pursuit::{
    customers::{ColumnSpec, Customer, LogisticCurve, TableSpec, ValueType},
    exact::{Instance, solve},
    practice::{JointLimits, PriceLimits, ShadowPrices},
    quoting::{Plan, QuoteRecord, Quoter, WantedCategory},
};

pub(crate) fn exact(c: &mut Criterion) {
    let instance = Instance::golden();
    // Σ (t + 1)² portfolios, two types of customers each.
    let states: u64 = (1..=20).map(|side| side * side).sum();
    let mut group = c.benchmark_group("exact");
    group.throughput(Throughput::Elements(2 * states));
    group.bench_function("golden", |b| b.iter(|| solve(black_box(&instance))));
    group.finish();
}

pub(crate) fn quotes(c: &mut Criterion) {
    let column = ColumnSpec {
        name: "age".into(),
        value_type: ValueType::Whole,
        levels: Vec::new(),
        fill: None,
    };
    let table = TableSpec {
        columns: vec![column],
        cost: "cost".into(),
        id: None,
        previous: None,
        new_business: None,
        ignore: Vec::new(),
    };
    let plan = Plan {
        table,
        conversion: Some(LogisticCurve {
            intercept: 2.0,
            slope: 40.0,
            weights: BTreeMap::new(),
            slope_weights: BTreeMap::new(),
        }),
        loading: 0.02,
        categories: vec![WantedCategory {
            column: "age".into(),
            low: 17.0,
            high: 30.0,
            worth: 10.0,
        }],
        limits: PriceLimits::default(),
        joint: JointLimits::default(),
        shadow_prices: ShadowPrices::default(),
        steps: 200,
        exploration: None,
    };
    let mut quoter = Quoter::new(plan).expect("the plan is in range");
    let customers: Vec<Customer> = (0..1000)
        .map(|row| Customer {
            row,
            features: vec![17.0 + (row % 70) as f64],
            cost: 200.0 + row as f64,
            ..Customer::default()
        })
        .collect();
    let mut record = QuoteRecord::default();
    let mut group = c.benchmark_group("quoting");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("prices=200", |b| {
        b.iter(|| {
            for customer in &customers {
                quoter.quote(customer, &mut record).expect("costs are above 0");
                black_box(&record);
            }
        });
    });
    group.finish();
}
