//! Decoding with exits against the same engine at full depth, and against the plain model, on a model
//! of `SmolLM2`'s width with twelve blocks.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::{hint::black_box, time::Duration};

use causal_lm::{
    CausalLm,
    config::parse_hf,
    generate::{Flow, GenerateConfig, Request, generate},
    weights::RandomSource,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use early_exit_model::{EarlyExitModel, Engine, ExitConfig, Rule};
use rl_core::seed::Seed;
use tch::{Device, Kind};

const LAYERS: usize = 12;
const NEW_TOKENS: usize = 33;

fn model(kind: Kind) -> EarlyExitModel {
    let text = r#"{"model_type": "llama", "vocab_size": 8192, "hidden_size": 576,
        "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 9,
        "num_key_value_heads": 3, "max_position_embeddings": 2048, "tie_word_embeddings": true}"#;
    let config = parse_hf(text, "config.json").unwrap();
    let source = RandomSource::new(&config, 0.02, 7);
    let lm = CausalLm::from_source(&config, &source, kind, Device::Cpu).unwrap();
    let exits = ExitConfig { every: 3, ..ExitConfig::default() };
    EarlyExitModel::new(&lm, &exits, Seed::new(1)).unwrap()
}

/// Exits of rows and tokens, of every depth, that run half of the blocks in the mean.
fn ragged(rows: usize) -> Rule {
    let depth = |row: usize, t: usize| [3, 9, 3, 6, 3, 12, 6, 6][(row * 3 + t) % 8];
    Rule::Prescribed(
        (0..rows).map(|row| (0..NEW_TOKENS).map(|t| depth(row, t)).collect()).collect(),
    )
}

fn decode(c: &mut Criterion) {
    let config = GenerateConfig { max_new_tokens: NEW_TOKENS, ..GenerateConfig::default() };
    for kind in [Kind::BFloat16, Kind::Float] {
        let model = model(kind);
        let engine = Engine::new(&model, true);
        let plain = model.reference().packed();
        for rows in [1, 16, 64] {
            let requests: Vec<Request> = (0..rows)
                .map(|row| Request {
                    prompt: (0..16).map(|t| (t * 37 + row as u32 * 101) % 8192).collect(),
                    seed: row as u64,
                })
                .collect();
            let name = if kind == Kind::Float { "f32" } else { "bf16" };
            let mut group = c.benchmark_group(format!("decode/{name}/{rows}"));
            group.throughput(Throughput::Elements((rows * NEW_TOKENS) as u64));
            group.bench_function("plain", |b| {
                b.iter(|| {
                    black_box(
                        generate(&plain, &requests, &config, &mut |_| Flow::Continue).unwrap(),
                    )
                });
            });
            for (label, rule) in [
                ("off", Rule::Off),
                ("full", Rule::Forced(LAYERS)),
                ("half", Rule::Forced(LAYERS / 2)),
                ("quarter", Rule::Forced(LAYERS / 4)),
                ("ragged-half", ragged(rows)),
                ("gates", Rule::Threshold(1.0)),
            ] {
                group.bench_function(BenchmarkId::from_parameter(label), |b| {
                    b.iter(|| {
                        let mut go_on = |_| Flow::Continue;
                        black_box(engine.generate(&requests, &config, &rule, &mut go_on).unwrap())
                    });
                });
            }
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = decode
}
criterion_main!(benches);
