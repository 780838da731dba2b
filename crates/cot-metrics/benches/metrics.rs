//! Scores in examples a second.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::hint::black_box;

use cot_metrics::{
    Arm, Outcome, Record,
    diagnosis::{DiagnosisConfig, Population, affected_share, diagnose},
    metrics::{ExampleScores, Metric, Settings, cohen_d, report, score},
};
use criterion::{BenchmarkId, Criterion, Throughput};
use rand::RngExt as _;
use rl_core::seed::Seed;

/// Records of all arms with log-probabilities between nearly certain and nearly impossible.
fn records(n: usize) -> Vec<Record> {
    let mut rng = Seed::new(1).rng();
    (0..n)
        .map(|i| {
            let mut outcome = || Outcome::scored(-(10.0_f64.powf(rng.random_range(-3.0..1.0))), 3);
            let arms = Arm::ALL.into_iter().map(|arm| (arm, outcome())).collect();
            Record { id: i.to_string(), correct: Some(i % 3 > 0), arms }
        })
        .collect()
}

pub(crate) fn scores(c: &mut Criterion) {
    const N: usize = 1_000;
    let mut group = c.benchmark_group("scores");
    let records = records(N);
    group.throughput(Throughput::Elements(N as u64));
    group.bench_function(BenchmarkId::new("three_metrics", N), |b| {
        b.iter(|| {
            let of = |record| Metric::ALL.map(|metric| score(metric, record, 0.01).unwrap());
            records.iter().map(of).fold(0.0, |sum, three| sum + three[0].regularized)
        });
    });
    let lines: Vec<String> = records.iter().map(|r| serde_json::to_string(r).unwrap()).collect();
    group.bench_function(BenchmarkId::new("read_records", N), |b| {
        b.iter(|| {
            let read = |line: &String| serde_json::from_str::<Record>(black_box(line)).unwrap();
            lines.iter().map(read).filter(|record| record.correct == Some(true)).count()
        });
    });
}

pub(crate) fn summaries(c: &mut Criterion) {
    const N: usize = 200;
    let mut group = c.benchmark_group("summaries");
    let records = records(N);
    let settings = Settings::default();
    let examples: Vec<ExampleScores> =
        records.iter().map(|record| ExampleScores::of(record, &settings)).collect();
    let column = |k: usize| -> Vec<f64> {
        examples.iter().filter_map(ExampleScores::triple).map(|triple| triple[k]).collect()
    };
    let (necessity, substantivity) = (column(0), column(2));
    group.throughput(Throughput::Elements(N as u64));
    group.bench_function(BenchmarkId::new("report", N), |b| {
        b.iter(|| report(black_box(&records), &settings).unwrap());
    });
    group.bench_function(BenchmarkId::new("cohen_d", N), |b| {
        b.iter(|| cohen_d(black_box(&necessity), &substantivity, &settings));
    });
    group.bench_function(BenchmarkId::new("diagnose", N), |b| {
        let config = DiagnosisConfig::default();
        b.iter(|| diagnose(black_box(&examples), None, &config, &settings).unwrap());
    });
    group.bench_function(BenchmarkId::new("affected_share", N), |b| {
        let healthy = Population::Sample(&substantivity);
        b.iter(|| {
            affected_share(black_box(&necessity), healthy, Population::Mean(-1.0), &settings)
                .unwrap()
        });
    });
}
