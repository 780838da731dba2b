//! The synthetic market: visitors alone, choices alone, and whole epochs of six quoting firms.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use portfolio_pursuit::{
    EpochConfig, Firm, MarketModel as _, SyntheticConfig, SyntheticMarket, policy::UniformPolicy,
    portfolio::Categories, run_epochs,
};
use rl_core::seed::Seed;

const VISITORS: u64 = 10_000;
const EPOCHS: u64 = 16;

fn market() -> SyntheticMarket {
    SyntheticMarket::new(SyntheticConfig::default()).expect("the defaults are in range")
}

pub(crate) fn visitors(c: &mut Criterion) {
    let market = market();
    let mut group = c.benchmark_group("market");
    group.throughput(Throughput::Elements(VISITORS));
    group.bench_function("visitors", |b| {
        b.iter(|| {
            for i in 0..VISITORS {
                black_box(market.visitor(Seed::new(1), i));
            }
        });
    });
    group.finish();
}

pub(crate) fn choices(c: &mut Criterion) {
    let market = market();
    let visitors: Vec<_> = (0..VISITORS).map(|i| market.visitor(Seed::new(1), i)).collect();
    let offers: Vec<[f64; 6]> = visitors
        .iter()
        .map(|v| std::array::from_fn(|f| market.cost(v, f) * (1.03 + 0.01 * f as f64)))
        .collect();
    let mut group = c.benchmark_group("market");
    group.throughput(Throughput::Elements(VISITORS));
    group.bench_function("choices", |b| {
        b.iter(|| {
            for (visitor, offers) in visitors.iter().zip(&offers) {
                black_box(market.choose(visitor, offers));
            }
        });
    });
    group.finish();
}

/// Epochs of a thousand customers, with five categories counted by one firm.
pub(crate) fn epochs(c: &mut Criterion) {
    let market = market();
    let mut stream = portfolio_pursuit::Stream::at(Seed::new(2), 0);
    let categories =
        Categories::published(5, portfolio_pursuit::MarketModel::schema(&market), &mut stream)
            .expect("the schema has fifteen columns");
    let none = Categories::none();
    let config = EpochConfig::default();
    let firms = |_| {
        let firm = |categories| Firm { policy: Box::new(UniformPolicy::default()), categories };
        (0..6).map(|f| firm(if f == 0 { &categories } else { &none })).collect::<Vec<_>>()
    };
    let mut group = c.benchmark_group("market/epochs");
    group.throughput(Throughput::Elements(EPOCHS * u64::from(config.customers)));
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool of this size");
        group.bench_function(format!("threads={threads}"), |b| {
            b.iter(|| {
                pool.install(|| run_epochs(&market, &config, Seed::new(3), 0..EPOCHS, firms))
                    .expect("the settings are in range")
            });
        });
    }
    group.finish();
}
