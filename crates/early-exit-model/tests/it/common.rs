//! Models small enough for a test, of several families.

use causal_lm::{
    CausalLm,
    config::{ModelConfig, parse_hf},
    lora::LoraConfig,
    weights::RandomSource,
};
use early_exit_model::{EarlyExitModel, ExitConfig};
use rand::RngExt as _;
use rl_core::seed::Seed;
use serde_json::json;
use tch::{Device, Kind, Tensor};

pub(crate) const VOCAB: usize = 40;
pub(crate) const LAYERS: usize = 6;

/// Differences that the order of sums in f32 explains.
pub(crate) const ROUNDING: f64 = 2e-4;

/// One family of each kind of block: sequential, with norms of keys, parallel with biases, post-norm.
pub(crate) const FAMILIES: [&str; 4] = ["llama", "qwen3", "gpt_neox", "olmo2"];

fn config(family: &str) -> ModelConfig {
    let architecture = match family {
        "qwen3" => "Qwen3ForCausalLM",
        "gpt_neox" => "GPTNeoXForCausalLM",
        "olmo2" => "Olmo2ForCausalLM",
        _ => "LlamaForCausalLM",
    };
    let neox = family == "gpt_neox";
    let mut config = json!({
        "architectures": [architecture], "model_type": family,
        "hidden_act": if neox { "gelu" } else { "silu" },
        "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": LAYERS,
        "num_attention_heads": 4, "max_position_embeddings": 64, "vocab_size": VOCAB,
        "tie_word_embeddings": false, "eos_token_id": null, "bos_token_id": null,
    });
    if neox {
        config["layer_norm_eps"] = json!(1e-5);
        config["rotary_pct"] = json!(0.25);
        config["rotary_emb_base"] = json!(10000);
        config["use_parallel_residual"] = json!(true);
    } else {
        config["rms_norm_eps"] = json!(1e-5);
        config["rope_theta"] = json!(10000.0);
        config["num_key_value_heads"] = json!(2);
        config["head_dim"] = json!(16);
    }
    parse_hf(&config.to_string(), family).unwrap()
}

/// Random weights, the gains and biases too.
pub(crate) fn tiny(family: &str, seed: u64) -> CausalLm {
    // Threads would wait for each other longer than they work.
    tch::set_num_threads(1);
    let config = config(family);
    let source = RandomSource::new(&config, 0.15, seed);
    let lm = CausalLm::from_source(&config, &source, Kind::Float, Device::Cpu).unwrap();
    for (i, parameter) in lm.parameters().into_iter().enumerate().filter(|(_, p)| p.dim() == 1) {
        let mut parameter = parameter.shallow_clone();
        parameter += normal(&parameter.size(), seed + 100 + i as u64) * 0.2;
    }
    lm
}

pub(crate) fn normal(size: &[i64], seed: u64) -> Tensor {
    let mut rng = Seed::new(seed).derive("normal", 0).rng();
    let count = size.iter().product::<i64>();
    // Sums of twelve uniforms are normal enough.
    let values: Vec<f32> =
        (0..count).map(|_| (0..12).map(|_| rng.random::<f32>() - 0.5).sum()).collect();
    Tensor::from_slice(&values).view(size)
}

pub(crate) fn uniform(size: &[i64], seed: u64) -> Tensor {
    let mut rng = Seed::new(seed).derive("uniform", 0).rng();
    let values: Vec<f32> = (0..size.iter().product::<i64>()).map(|_| rng.random()).collect();
    Tensor::from_slice(&values).view(size)
}

pub(crate) fn ids(length: usize, seed: u64) -> Vec<u32> {
    let mut rng = Seed::new(seed).derive("ids", 0).rng();
    (0..length).map(|_| rng.random_range(0..VOCAB as u32)).collect()
}

pub(crate) fn tensor(rows: &[Vec<u32>]) -> Tensor {
    let longest = rows.iter().map(Vec::len).max().unwrap();
    let flat: Vec<i64> = rows
        .iter()
        .flat_map(|row| {
            let padding = std::iter::repeat_n(0, longest - row.len());
            row.iter().map(|&t| i64::from(t)).chain(padding)
        })
        .collect();
    Tensor::from_slice(&flat).view([rows.len() as i64, longest as i64])
}

/// Sites 1, 3 and 5 of six blocks; small gates that say something; an adapter that does.
pub(crate) fn model(lm: &CausalLm, adapter: bool) -> EarlyExitModel {
    let config = ExitConfig {
        sites: vec![1, 3, 5],
        adapter: adapter.then(|| LoraConfig {
            rank: 2,
            alpha: 4.0,
            ..ExitConfig::default().adapter.unwrap()
        }),
        ..ExitConfig::default()
    };
    let model = EarlyExitModel::new(lm, &config, Seed::new(3)).unwrap();
    let _guard = tch::no_grad_guard();
    for (i, (name, mut parameter)) in model.named_parameters().into_iter().enumerate() {
        let noise = normal(&parameter.size(), 500 + i as u64);
        if name.ends_with("outer.weight") {
            parameter += noise * 0.08;
        } else if name.ends_with("outer.bias") {
            parameter += 2.2;
        } else if name.starts_with("model.") && adapter {
            parameter += noise * 0.05;
        }
    }
    model
}

pub(crate) fn max_abs_diff(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    let diff = (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max();
    assert!(diff.isfinite().all().int64_value(&[]) == 1, "not finite");
    diff.double_value(&[])
}

pub(crate) fn vec_i64(t: &Tensor) -> Vec<i64> {
    Vec::try_from(t.to_kind(Kind::Int64).flatten(0, -1).contiguous()).unwrap()
}

pub(crate) fn places(places: &[usize]) -> Tensor {
    let places: Vec<i64> = places.iter().map(|&p| p as i64).collect();
    Tensor::from_slice(&places)
}
