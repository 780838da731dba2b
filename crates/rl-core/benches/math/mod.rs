//! The mathematics at the size of a large rollout: 512 completions of 1,024 tokens.

use std::hint::black_box;

use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};
use rand_chacha::rand_core::Rng as _;
use rl_core::{
    advantages::{gae, group_centered, group_normalized, leave_one_out, retrace, td_errors},
    kl,
    losses::{
        explained_variance, policy_gradient, ppo_policy, ppo_policy_dual_clip, ppo_value,
        ratio_stats,
    },
    masked::{self, Mean},
    reference,
    returns::{Steps, discounted_returns, lambda_returns},
    seed::Seed,
};
use tch::{Device, Kind, Tensor};

const BATCH: i64 = 512;
const TIME: i64 = 1024;
const SIZE: &str = "512x1024";

fn random(purpose: &str, shape: &[i64]) -> Tensor {
    let mut rng = Seed::new(0).derive(purpose, 0).rng();
    let n: i64 = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|_| rng.next_u32() as f32 / u32::MAX as f32 - 0.5).collect();
    Tensor::from_slice(&values).view(shape)
}

/// Rows that end anywhere in their second half, as completions do.
fn ragged() -> Tensor {
    let ends = (random("ends", &[BATCH, 1]) * 0.5 + 0.75) * TIME as f64;
    Tensor::arange(TIME, (Kind::Float, Device::Cpu)).lt_tensor(&ends)
}

fn tokens<'a>(c: &'a mut Criterion, family: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(family);
    group.throughput(Throughput::Elements((BATCH * TIME) as u64));
    group
}

pub(super) fn scans(c: &mut Criterion) {
    let shape = [BATCH, TIME];
    let [rewards, values, bootstrap, log_rhos] =
        ["rewards", "values", "bootstrap", "log rhos"].map(|name| random(name, &shape));
    let whole = Tensor::ones(shape, (Kind::Bool, Device::Cpu));
    let ragged = ragged();
    let holes = random("holes", &shape).lt(0.2);
    let [terminated, truncated] =
        ["terminated", "truncated"].map(|name| random(name, &shape).lt(-0.49));
    let ending = Steps {
        terminated: Some(&terminated),
        truncated: Some(&truncated),
        bootstrap: Some(&bootstrap),
        ..Steps::new(&rewards, &values, &ragged)
    };
    let mut group = tokens(c, "advantages");
    for (name, steps) in [
        ("gae", Steps::new(&rewards, &values, &whole)),
        ("gae_ragged", Steps::new(&rewards, &values, &ragged)),
        ("gae_holes", Steps::new(&rewards, &values, &holes)),
        ("gae_ending", ending),
    ] {
        group.bench_function(BenchmarkId::new(name, SIZE), |b| {
            b.iter(|| gae(black_box(&steps), 0.99, 0.95).unwrap());
        });
    }
    let steps = Steps::new(&rewards, &values, &ragged);
    group.bench_function(BenchmarkId::new("td_errors", SIZE), |b| {
        b.iter(|| td_errors(black_box(&steps), 0.99).unwrap());
    });
    group.bench_function(BenchmarkId::new("retrace", SIZE), |b| {
        b.iter(|| retrace(black_box(&steps), &log_rhos, 0.99, 0.95, 1.0).unwrap());
    });
    group.finish();
    let mut group = tokens(c, "returns");
    group.bench_function(BenchmarkId::new("discounted_returns", SIZE), |b| {
        b.iter(|| discounted_returns(black_box(&steps), 0.99).unwrap());
    });
    group.bench_function(BenchmarkId::new("lambda_returns", SIZE), |b| {
        b.iter(|| lambda_returns(black_box(&steps), 0.99, 0.95).unwrap());
    });
}

pub(super) fn groups(c: &mut Criterion) {
    const GROUP: usize = 8;
    const REWARDS: i64 = 1 << 16;
    let rewards = random("rewards", &[REWARDS]);
    let mut group = c.benchmark_group("advantages");
    group.throughput(Throughput::Elements(REWARDS as u64));
    group.bench_function(BenchmarkId::new("leave_one_out", REWARDS), |b| {
        b.iter(|| leave_one_out(black_box(&rewards), GROUP).unwrap());
    });
    group.bench_function(BenchmarkId::new("group_centered", REWARDS), |b| {
        b.iter(|| group_centered(black_box(&rewards), GROUP).unwrap());
    });
    group.bench_function(BenchmarkId::new("group_normalized", REWARDS), |b| {
        b.iter(|| group_normalized(black_box(&rewards), GROUP, 1e-4).unwrap());
    });
}

pub(super) fn divergences(c: &mut Criterion) {
    const ROWS: i64 = 64;
    const VOCAB: i64 = 49_152;
    let log_ratio = random("log ratio", &[BATCH, TIME]);
    let mut group = tokens(c, "kl");
    for (name, k) in [("k2", kl::k2 as fn(&Tensor) -> Tensor), ("k3", kl::k3)] {
        group.bench_function(BenchmarkId::new(name, SIZE), |b| b.iter(|| k(black_box(&log_ratio))));
    }
    let [logits, ref_logits] =
        ["logits", "reference"].map(|name| random(name, &[ROWS, VOCAB]) * 10.0);
    let size = format!("{ROWS}x{VOCAB}");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function(BenchmarkId::new("exact", &size), |b| {
        b.iter(|| kl::exact(black_box(&logits), &ref_logits).unwrap());
    });
    group.bench_function(BenchmarkId::new("entropy", &size), |b| {
        b.iter(|| kl::entropy(black_box(&logits)).unwrap());
    });
}

/// Forward and, where something learns, backward.
pub(super) fn losses(c: &mut Criterion) {
    let shape = [BATCH, TIME];
    let [old, advantages, returns] =
        ["old", "advantages", "returns"].map(|name| random(name, &shape));
    let new = random("new", &shape).set_requires_grad(true);
    let mask = ragged();
    let mut group = tokens(c, "losses");
    let mut trained = |name: &str, loss: &dyn Fn() -> Tensor| {
        group.bench_function(BenchmarkId::new(name, SIZE), |b| {
            b.iter(|| {
                masked::mean(&loss(), &mask).unwrap().backward();
                let mut new = new.shallow_clone();
                new.zero_grad();
            });
        });
    };
    trained("policy_gradient", &|| policy_gradient(&new, &advantages).unwrap());
    trained("ppo_policy", &|| ppo_policy(&new, &old, &advantages, 0.2).unwrap());
    trained("ppo_policy_dual_clip", &|| {
        ppo_policy_dual_clip(&new, &old, &advantages, 0.2, 3.0).unwrap()
    });
    trained("ppo_value", &|| ppo_value(&new, &old, &returns, Some(0.2)).unwrap());
    group.bench_function(BenchmarkId::new("ratio_stats", SIZE), |b| {
        b.iter(|| ratio_stats(black_box(&new), &old, &mask, 0.2).unwrap());
    });
    group.bench_function(BenchmarkId::new("explained_variance", SIZE), |b| {
        b.iter(|| explained_variance(black_box(&new), &returns, &mask).unwrap());
    });
    group.finish();
    let mut group = tokens(c, "masked");
    group.bench_function(BenchmarkId::new("mean", SIZE), |b| {
        b.iter(|| masked::mean(black_box(&old), &mask).unwrap());
    });
    group.bench_function(BenchmarkId::new("var", SIZE), |b| {
        b.iter(|| masked::var(black_box(&old), &mask).unwrap());
    });
    group.bench_function(BenchmarkId::new("whiten", SIZE), |b| {
        b.iter(|| masked::whiten(black_box(&old), &mask, Mean::Remove, 1e-8).unwrap());
    });
}

/// The plain forms are oracles, but small problems run on them.
pub(super) fn plain(c: &mut Criterion) {
    let numbers = |name| Vec::<f64>::try_from(random(name, &[TIME]).to_kind(Kind::Double)).unwrap();
    let [rewards, values] = ["rewards", "values"].map(numbers);
    let mask = vec![true; TIME as usize];
    let steps = reference::returns::Steps::new(&rewards, &values, &mask);
    let mut group = c.benchmark_group("reference");
    group.throughput(Throughput::Elements(TIME as u64));
    group.bench_function(BenchmarkId::new("gae", TIME), |b| {
        b.iter(|| reference::advantages::gae(black_box(&steps), 0.99, 0.95).unwrap());
    });
    group.bench_function(BenchmarkId::new("exact_kl", TIME), |b| {
        b.iter(|| reference::kl::exact(black_box(&rewards), &values).unwrap());
    });
}
