//! Models whose probabilities are known.

use causal_lm::{
    CausalLm, Error,
    config::{ModelConfig, parse_hf},
    weights::{RandomSource, TensorSource},
};
use tch::{Device, Kind, Tensor};

/// A small Llama.
pub(crate) fn config(vocab: usize, hidden: usize, context: usize) -> ModelConfig {
    let config = format!(
        r#"{{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": {hidden}, "intermediate_size": {hidden}, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": {},
            "max_position_embeddings": {context}, "vocab_size": {vocab}, "rms_norm_eps": 1e-12,
            "rope_theta": 10000.0, "tie_word_embeddings": false, "eos_token_id": {},
            "bos_token_id": null}}"#,
        hidden / 2,
        vocab - 1,
    );
    parse_hf(&config, "a small model").unwrap()
}

/// Random weights, those of some names changed.
struct Changed<F> {
    random: RandomSource,
    change: F,
}

impl<F: Fn(&str, Tensor) -> Tensor> TensorSource for Changed<F> {
    fn names(&self) -> Vec<String> {
        self.random.names()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.random.shape(name)
    }

    fn load(&self, name: &str, kind: Kind, device: Device) -> Result<Tensor, Error> {
        let tensor = self.random.load(name, Kind::Float, device)?;
        Ok((self.change)(name, tensor).to_kind(kind))
    }

    fn describe(&self) -> String {
        "weights of a test".into()
    }
}

pub(crate) fn changed(
    config: &ModelConfig,
    kind: Kind,
    change: impl Fn(&str, Tensor) -> Tensor,
) -> CausalLm {
    let source = Changed { random: RandomSource::new(config, 0.3, 7), change };
    CausalLm::from_source(config, &source, kind, Device::Cpu).unwrap()
}

pub(crate) fn random(config: &ModelConfig, kind: Kind) -> CausalLm {
    changed(config, kind, |_, tensor| tensor)
}

/// A model whose next token depends on the last alone: `table[last][next]` is its probability.
///
/// Blocks write nothing, token `i` is embedded as the `i`-th unit vector, which the norm makes √n
/// times as long, and the head turns that into the logarithms of row `i`.
pub(crate) fn bigram(table: &[Vec<f64>], context: usize) -> CausalLm {
    let n = table.len() as i64;
    let table = table.to_vec();
    changed(&config(table.len(), table.len(), context), Kind::Float, move |name, tensor| {
        if name.contains("o_proj") || name.contains("down_proj") {
            return tensor.zeros_like();
        }
        if name.contains("embed_tokens") {
            return Tensor::eye(n, (Kind::Float, Device::Cpu));
        }
        if name.contains("lm_head") {
            let logs: Vec<f64> = table.concat().iter().map(|p| p.ln()).collect();
            let logs = Tensor::from_slice(&logs).view([n, n]).to_kind(Kind::Float);
            return logs.tr() / (n as f64).sqrt();
        }
        tensor
    })
}
