//! A small model of characters, from nothing.

use std::collections::BTreeSet;

use causal_lm::{
    CausalLm, Pretrained, config::parse_hf, tokenizer::Tokenizer, weights::RandomSource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tch::{Device, Kind};

/// Spelling of the token that ends an answer.
const END: &str = "<|end|>";

/// Size of a model of the Llama architecture with one token a character.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ScratchConfig {
    /// Blocks.
    pub(crate) layers: usize,
    /// Width of the residual stream.
    pub(crate) hidden: usize,
    /// Width of the feed-forward part.
    pub(crate) intermediate: usize,
    /// Heads of attention.
    pub(crate) heads: usize,
    /// Longest text, in characters.
    pub(crate) context: usize,
    /// Standard deviation of the weights it begins with.
    pub(crate) std: f64,
}

impl Default for ScratchConfig {
    /// One million weights.
    fn default() -> Self {
        Self { layers: 6, hidden: 128, intermediate: 256, heads: 4, context: 128, std: 0.05 }
    }
}

impl ScratchConfig {
    fn validate(&self) -> anyhow::Result<()> {
        for (name, found, least) in [
            ("layers", self.layers, 2),
            ("hidden", self.hidden, 1),
            ("intermediate", self.intermediate, 1),
            ("heads", self.heads, 1),
            ("context", self.context, 2),
        ] {
            anyhow::ensure!(found >= least, "{name}: expected at least {least}, found {found}");
        }
        let Self { hidden, heads, std, .. } = *self;
        anyhow::ensure!(
            hidden.is_multiple_of(2 * heads),
            "hidden: expected a multiple of twice the {heads} heads, found {hidden}"
        );
        anyhow::ensure!(
            std.is_finite() && std > 0.0,
            "std: expected a number above 0, found {std}"
        );
        Ok(())
    }

    /// A model with a token for each character of these texts and one that ends an answer.
    pub(crate) fn model<'a>(
        &self,
        texts: impl Iterator<Item = &'a str>,
        seed: u64,
        device: Device,
    ) -> anyhow::Result<Pretrained> {
        self.validate()?;
        let alphabet: BTreeSet<char> = texts.flat_map(str::chars).collect();
        let end = alphabet.len();
        let config = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": self.hidden, "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers, "num_attention_heads": self.heads,
            "num_key_value_heads": self.heads, "head_dim": self.hidden / self.heads,
            "max_position_embeddings": self.context, "vocab_size": end + 1,
            "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false,
            "eos_token_id": end, "bos_token_id": null,
        });
        let config = parse_hf(&config.to_string(), "the model of characters")?;
        let source = RandomSource::new(&config, self.std, seed);
        let lm = CausalLm::from_source(&config, &source, Kind::Float, device)?;
        let tokenizer = characters(&alphabet).to_string();
        let tokenizer = Tokenizer::from_bytes(tokenizer.as_bytes(), "the tokenizer of characters")?;
        Ok(Pretrained { lm, tokenizer, chat_template: None })
    }
}

/// A `tokenizer.json` in which each character is a token, in the order of the alphabet.
fn characters(alphabet: &BTreeSet<char>) -> Value {
    let vocab: Map<String, Value> =
        alphabet.iter().enumerate().map(|(id, c)| (c.to_string(), json!(id))).collect();
    json!({
        "version": "1.0",
        "added_tokens": [{
            "id": alphabet.len(), "content": END, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
        }],
        "decoder": { "type": "Fuse" },
        "model": { "type": "BPE", "vocab": vocab, "merges": [] },
    })
}

#[cfg(test)]
mod tests {
    use causal_lm::LoadOptions;

    use super::*;

    #[test]
    fn what_is_made_is_read_back_like_any_checkpoint() {
        let config = ScratchConfig {
            layers: 2,
            hidden: 16,
            intermediate: 8,
            heads: 2,
            ..Default::default()
        };
        let model = config.model(["12+30=", "S4\n2;é"].into_iter(), 7, tch::Device::Cpu).unwrap();
        let text = "30+12=\né42;";
        let ids = model.tokenizer.encode(text).unwrap();
        assert_eq!(ids.len(), text.chars().count());
        let end = *model.lm.config().eos.first().unwrap();
        assert_eq!(model.tokenizer.id(END), Some(end));
        let folder = tempfile::tempdir().unwrap();
        model.save(folder.path()).unwrap();
        let read = Pretrained::load(folder.path(), &LoadOptions::default()).unwrap();
        assert_eq!(read.tokenizer.encode(text).unwrap(), ids);
        assert_eq!(read.tokenizer.decode_text(&[&ids[..], &[end]].concat()).unwrap(), text);
        assert_eq!(read.lm.config(), model.lm.config());
        let same = |a: &CausalLm, b: &CausalLm| {
            a.named_parameters().iter().zip(b.named_parameters()).all(|((_, a), (_, b))| *a == b)
        };
        assert!(same(&read.lm, &model.lm));
    }

    #[test]
    fn sizes_are_checked() {
        let bad = |config: ScratchConfig| {
            config.model(["a"].into_iter(), 0, tch::Device::Cpu).unwrap_err().to_string()
        };
        let message = bad(ScratchConfig { heads: 3, ..Default::default() });
        assert_eq!(message, "hidden: expected a multiple of twice the 3 heads, found 128");
        let message = bad(ScratchConfig { layers: 1, ..Default::default() });
        assert_eq!(message, "layers: expected at least 2, found 1");
    }
}
