//! What decoding, scoring, training and reading cost, on a model of SmolLM2's width with few blocks.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::{hint::black_box, time::Duration};

use causal_lm::{
    CausalLm,
    config::{ModelConfig, parse_hf},
    generate::StepModel as _,
    gguf::QuantKind,
    head_loss::nll_head,
    model::Layout,
    score::{ScoreConfig, Span, score},
    weights::RandomSource,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tch::{Device, Kind, Tensor};

const PROMPT_TOKENS: usize = 16;

fn config() -> ModelConfig {
    let text = r#"{"model_type": "llama", "vocab_size": 8192, "hidden_size": 576,
        "intermediate_size": 1536, "num_hidden_layers": 4, "num_attention_heads": 9,
        "num_key_value_heads": 3, "max_position_embeddings": 2048, "tie_word_embeddings": true}"#;
    parse_hf(text, "config.json").unwrap()
}

fn model(kind: Kind) -> CausalLm {
    let config = config();
    CausalLm::from_source(&config, &RandomSource::new(&config, 0.02, 7), kind, Device::Cpu).unwrap()
}

fn ids(row: usize, len: usize) -> Vec<u32> {
    (0..len).map(|t| ((t * 37 + row * 101) % 8192) as u32).collect()
}

fn name(kind: Kind) -> &'static str {
    if kind == Kind::Float { "f32" } else { "bf16" }
}

/// One step of a batch whose cache holds a short prompt.
fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    let _guard = tch::no_grad_guard();
    for kind in [Kind::BFloat16, Kind::Float] {
        let lm = model(kind).packed();
        for rows in [1, 16, 64] {
            let prompts: Vec<Vec<u32>> = (0..rows).map(|row| ids(row, PROMPT_TOKENS)).collect();
            let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
            let (mut cache, _) = lm.prefill(&prompts, 1).unwrap();
            let tokens = ids(3, rows);
            group.throughput(Throughput::Elements(rows as u64));
            group.bench_function(BenchmarkId::new(name(kind), rows), |b| {
                b.iter(|| {
                    cache.truncate(PROMPT_TOKENS);
                    black_box(lm.step(&mut cache, &tokens).unwrap())
                });
            });
        }
    }
}

/// Sixteen spans, each with a context of its own or all with the same.
fn scoring(c: &mut Criterion) {
    let mut group = c.benchmark_group("score");
    let lm = model(Kind::BFloat16);
    for (name, shared) in [("own_context", false), ("shared_context", true)] {
        let span = |row: usize| Span {
            context: ids(if shared { 0 } else { row }, 128),
            continuation: ids(row + 1, 16),
        };
        let spans: Vec<Span> = (0..16).map(span).collect();
        group.throughput(Throughput::Elements(16 * 16));
        group.bench_function(BenchmarkId::new(name, 16), |b| {
            b.iter(|| score(&lm, black_box(&spans), &ScoreConfig::default()).unwrap());
        });
    }
}

/// Forward and backward pass of all weights.
fn training(c: &mut Criterion) {
    let mut group = c.benchmark_group("train");
    let lm = model(Kind::BFloat16).trainable_copy(Kind::BFloat16);
    let (rows, seq) = (4, 128);
    let inputs: Vec<i64> = (0..rows).flat_map(|row| ids(row, seq)).map(i64::from).collect();
    let inputs = Tensor::from_slice(&inputs).view([rows as i64, seq as i64]);
    let targets = inputs.roll([-1], [1]).flatten(0, 1);
    group.throughput(Throughput::Elements((rows * seq) as u64));
    group.bench_function(BenchmarkId::new("full", rows * seq), |b| {
        b.iter(|| {
            let states = lm.hidden(&inputs, &Layout::Dense).unwrap().flatten(0, 1);
            let loss = nll_head(&lm, &states, &targets, 1.0 / targets.numel() as f64, 256);
            loss.backward(&states, None);
            black_box(loss.value)
        });
    });
}

/// Blocks of GGUF files to f32.
fn dequantize(c: &mut Criterion) {
    let mut group = c.benchmark_group("dequantize");
    for (name, kind) in
        [("q4_1", QuantKind::Q4_1), ("q8_0", QuantKind::Q8_0), ("q6_k", QuantKind::Q6K)]
    {
        let blocks = (1 << 16) / kind.block();
        let bytes: Vec<u8> = (0..blocks * kind.block_bytes()).map(|i| (i % 60) as u8).collect();
        group.throughput(Throughput::Elements((blocks * kind.block()) as u64));
        group.bench_function(BenchmarkId::new(name, blocks * kind.block()), |b| {
            b.iter(|| kind.dequantize(black_box(&bytes)));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = decode, scoring, training, dequantize
}
criterion_main!(benches);
