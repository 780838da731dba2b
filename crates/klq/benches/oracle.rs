//! Exact functions in pairs of state and token a second, scans in steps, training in episodes.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use klq::oracle::{
    MdpConfig, RandomTables, TokenMdp,
    learner::{Klq, Ppo, Steps, TrainConfig, corrections, train},
    operators, soft,
};
use rl_core::seed::Seed;

fn random(vocab: usize, horizon: usize) -> TokenMdp {
    let config = MdpConfig { vocab, eos: 0, horizon, ..MdpConfig::default() };
    TokenMdp::random(config, &RandomTables::default(), Seed::new(1)).unwrap()
}

pub(crate) fn exact(c: &mut Criterion) {
    let mut group = c.benchmark_group("oracle");
    for (vocab, horizon) in [(3, 3), (5, 7)] {
        let mdp = random(vocab, horizon);
        let (pairs, q) = (mdp.pairs(), soft::optimum(&mdp).q);
        group.throughput(Throughput::Elements(pairs as u64));
        group.bench_function(BenchmarkId::new("optimum", pairs), |b| {
            b.iter(|| soft::optimum(black_box(&mdp)));
        });
        group.bench_function(BenchmarkId::new("evaluate", pairs), |b| {
            b.iter(|| soft::evaluate(black_box(&mdp), mdp.reference()).unwrap());
        });
        group.bench_function(BenchmarkId::new("klq_sweep", pairs), |b| {
            b.iter(|| operators::klq_sweep(black_box(&mdp), &q, 0.95, 0.5).unwrap());
        });
    }
}

pub(crate) fn scan(c: &mut Criterion) {
    const TIME: usize = 1024;
    let mut group = c.benchmark_group("oracle");
    let column: Vec<f64> = (0..TIME).map(|t| (t as f64).sin()).collect();
    let mask = [true; TIME];
    let steps = Steps { rewards: &column, values: &column, log_ratios: &column, mask: &mask };
    group.throughput(Throughput::Elements(TIME as u64));
    group.bench_function(BenchmarkId::new("corrections", TIME), |b| {
        b.iter(|| corrections(black_box(steps), 1.0, 0.95, 0.05).unwrap());
    });
}

pub(crate) fn training(c: &mut Criterion) {
    let mut group = c.benchmark_group("oracle");
    let mdp = random(3, 3);
    let config = TrainConfig { batches: 20, ..TrainConfig::default() };
    let episodes = config.batches * config.rollouts;
    group.throughput(Throughput::Elements(episodes as u64));
    group.bench_function(BenchmarkId::new("klq", episodes), |b| {
        b.iter(|| train(black_box(&mdp), &Klq::default(), &config, Seed::new(2)).unwrap());
    });
    group.bench_function(BenchmarkId::new("ppo", episodes), |b| {
        b.iter(|| train(black_box(&mdp), &Ppo::default(), &config, Seed::new(2)).unwrap());
    });
}
