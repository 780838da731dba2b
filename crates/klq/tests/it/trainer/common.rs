//! A model small enough to train in a test, whose tokens are the printable characters.

use causal_lm::{CausalLm, config::parse_hf, tokenizer::Tokenizer, weights::RandomSource};
use klq::{
    Algorithm, RolloutConfig, TrainConfig,
    algorithm::{GrpoConfig, KlqConfig, Measured, PpoConfig, RlooConfig},
    grid::Grid,
    policy::PolicyConfig,
    reward::Prompt,
};
use rand::RngExt as _;
use rl_core::seed::Seed;
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

/// Ends an answer.
pub(crate) const END: u32 = 12;

/// Twelve letters and the end.
pub(crate) const VOCAB: usize = 13;

/// Weights of deviation 0.15, so that the next token's distribution is far from uniform.
pub(crate) fn tiny(seed: u64) -> CausalLm {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "vocab_size": VOCAB,
        "tie_word_embeddings": false, "eos_token_id": END, "bos_token_id": null,
    });
    // Threads would wait for each other longer than they work.
    tch::set_num_threads(1);
    let config = parse_hf(&config.to_string(), "tiny").unwrap();
    let source = RandomSource::new(&config, 0.15, seed);
    CausalLm::from_source(&config, &source, Kind::Float, Device::Cpu).unwrap()
}

pub(crate) fn tokenizer() -> Tokenizer {
    let vocab: Map<String, Value> =
        ('a'..='l').enumerate().map(|(id, c)| (c.to_string(), json!(id))).collect();
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": [{
            "id": END, "content": "<end>", "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
        }],
        "decoder": { "type": "Fuse" },
        "model": { "type": "BPE", "vocab": vocab, "merges": [] },
    });
    Tokenizer::from_bytes(tokenizer.to_string().as_bytes(), "tiny").unwrap()
}

/// Prompts of one to five letters.
pub(crate) fn prompts(count: usize) -> Vec<Prompt> {
    let tokenizer = tokenizer();
    let mut rng = Seed::new(5).derive("prompts", 0).rng();
    (0..count)
        .map(|i| {
            let length = rng.random_range(1..6);
            let text: String =
                (0..length).map(|_| char::from(b'a' + rng.random_range(0..12_u8))).collect();
            let ids = tokenizer.encode(&text).unwrap();
            Prompt { id: i.to_string(), text, ids, source: None }
        })
        .collect()
}

/// All algorithms, as they come.
pub(crate) fn algorithms() -> [Algorithm; 4] {
    [
        Algorithm::Klq(KlqConfig::default()),
        Algorithm::Ppo(PpoConfig::default()),
        Algorithm::Rloo(RlooConfig::default()),
        Algorithm::Grpo(GrpoConfig::default()),
    ]
}

/// A short run over all weights.
pub(crate) fn config(algorithm: Algorithm) -> TrainConfig {
    TrainConfig {
        algorithm,
        kl_coef: 0.1,
        iterations: 4,
        prompts: 4,
        group: 3,
        rollout: RolloutConfig { max_new_tokens: 6, ..RolloutConfig::default() },
        epochs: 2,
        policy: PolicyConfig { adapter: None, ..PolicyConfig::default() },
        ..TrainConfig::default()
    }
}

/// A batch of made-up measurements, NaN wherever there is no token.
pub(crate) fn measured(lengths: &[usize], group: usize, seed: u64) -> Measured {
    let grid = Grid::new(lengths.to_vec());
    let mut rng = Seed::new(seed).derive("measured", 0).rng();
    let size = grid.mask().size();
    let cells = (size[0] * size[1]) as usize;
    let mask: Vec<bool> = Vec::try_from(grid.mask().flatten(0, -1)).unwrap();
    let mut numbers = |low: f64, high: f64| {
        let values: Vec<f32> = (0..cells)
            .map(|i| if mask[i] { rng.random_range(low..high) as f32 } else { f32::NAN })
            .collect();
        Tensor::from_slice(&values).view(&size[..])
    };
    let old_log_probs = numbers(-4.0, 0.0);
    Measured {
        behavior_log_probs: numbers(-4.0, 0.0),
        old_log_probs,
        ref_log_probs: numbers(-4.0, 0.0),
        values: numbers(-1.0, 1.0),
        scores: (0..lengths.len()).map(|i| ((i * 7) % 5) as f64 - 1.5).collect(),
        // Every third answer is over, the others go on.
        after: (0..lengths.len())
            .map(|i| if i % 3 == 0 { 0.0 } else { rng.random_range(-1.0..1.0) })
            .collect(),
        group,
        grid,
    }
}

/// Rows of a rectangle, what is beyond them left out.
pub(crate) fn rows(grid: &Grid, x: &Tensor) -> Vec<Vec<f64>> {
    let width = x.size()[1] as usize;
    let flat: Vec<f64> = Vec::try_from(x.to_kind(Kind::Double).flatten(0, -1)).unwrap();
    grid.lengths()
        .iter()
        .enumerate()
        .map(|(i, &n)| flat[i * width..i * width + n].to_vec())
        .collect()
}
