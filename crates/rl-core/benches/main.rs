//! What a step of the optimizer, an interval and the mathematics cost.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

mod math;

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rl_core::{
    optim::{AdamW, AdamWConfig, ParameterGroup},
    seed::Seed,
    stats::{Bootstrap, bootstrap_percentile},
};
use tch::{Device, Kind, Tensor};

fn adamw(c: &mut Criterion) {
    const SIDE: i64 = 1024;
    let mut group = c.benchmark_group("adamw");
    let parameter = Tensor::zeros([SIDE, SIDE], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let parameters = vec![("weight".to_owned(), parameter.shallow_clone())];
    let groups = ParameterGroup::by_rank(parameters, 1e-4, 0.1);
    let mut optimizer = AdamW::new(AdamWConfig::default(), groups).unwrap();
    group.throughput(Throughput::Elements((SIDE * SIDE) as u64));
    group.bench_function(BenchmarkId::new("step", SIDE * SIDE), |b| {
        b.iter(|| {
            parameter.sum(Kind::Float).backward();
            black_box(optimizer.step(1.0).unwrap())
        });
    });
}

fn bootstrap(c: &mut Criterion) {
    let mut group = c.benchmark_group("bootstrap");
    let values: Vec<f64> = (0..200).map(|i| f64::from(i).sin()).collect();
    let settings = Bootstrap { resamples: 2000, confidence: 0.95, seed: Seed::new(0) };
    let mean = |sample: &[f64]| sample.iter().sum::<f64>() / sample.len() as f64;
    group.throughput(Throughput::Elements(2000 * 200));
    group.bench_function(BenchmarkId::new("percentile", values.len()), |b| {
        b.iter(|| bootstrap_percentile(black_box(&values), mean, settings).unwrap());
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = adamw, bootstrap, math::scans, math::groups, math::divergences, math::losses, math::plain
}
criterion_main!(benches);
