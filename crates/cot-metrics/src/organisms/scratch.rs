//! A small model of words, from nothing.

use causal_lm::{
    CausalLm, Pretrained, config::parse_hf, tokenizer::Tokenizer, weights::RandomSource,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tch::{Device, Kind};

use super::Language;
use crate::Error;

/// Size of a model of the Llama architecture with one token a word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ScratchConfig {
    /// Blocks.
    pub layers: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward part.
    pub intermediate: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Standard deviation of the weights it begins with.
    pub std: f64,
}

impl Default for ScratchConfig {
    /// About 350,000 weights.
    fn default() -> Self {
        Self { layers: 3, hidden: 96, intermediate: 256, heads: 4, std: 0.05 }
    }
}

impl ScratchConfig {
    fn validate(&self) -> Result<(), Error> {
        for (name, found) in [
            ("layers", self.layers),
            ("hidden", self.hidden),
            ("intermediate", self.intermediate),
            ("heads", self.heads),
        ] {
            if found == 0 {
                return Err(Error::setting(name, "at least 1", found));
            }
        }
        if !self.hidden.is_multiple_of(2 * self.heads) {
            let expected = format!("a multiple of twice the {} heads", self.heads);
            return Err(Error::setting("hidden", expected, self.hidden));
        }
        if !(self.std.is_finite() && self.std > 0.0) {
            return Err(Error::setting("std", "a number above 0", self.std));
        }
        Ok(())
    }

    /// A model with random weights and a token for each word of a language, in f32.
    ///
    /// # Errors
    /// [`Error::Setting`] for sizes that do not fit together.
    pub fn model(
        &self,
        language: &Language,
        seed: u64,
        device: Device,
    ) -> Result<Pretrained, Error> {
        self.validate()?;
        let words = language.words();
        let end = words.len() - 1;
        let config = json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": self.hidden, "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers, "num_attention_heads": self.heads,
            "num_key_value_heads": self.heads, "head_dim": self.hidden / self.heads,
            "max_position_embeddings": language.context(), "vocab_size": words.len(),
            "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false,
            "eos_token_id": end, "bos_token_id": null,
        });
        let config = parse_hf(&config.to_string(), "the model of words")?;
        let source = RandomSource::new(&config, self.std, seed);
        let lm = CausalLm::from_source(&config, &source, Kind::Float, device)?;
        let tokenizer = tokenizer(words).to_string();
        let tokenizer = Tokenizer::from_bytes(tokenizer.as_bytes(), "the tokenizer of words")?;
        Ok(Pretrained { lm, tokenizer, chat_template: None })
    }
}

/// A `tokenizer.json` in which each word is a token, and white space separates them.
fn tokenizer(words: &[String]) -> Value {
    let vocab: Map<String, Value> =
        words.iter().enumerate().map(|(id, word)| (word.clone(), json!(id))).collect();
    let end = words.len() - 1;
    json!({
        "version": "1.0",
        "added_tokens": [{
            "id": end, "content": words[end], "single_word": false, "lstrip": true,
            "rstrip": false, "normalized": false, "special": true,
        }],
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": words[end] },
    })
}

#[cfg(test)]
mod tests {
    use causal_lm::LoadOptions;

    use super::*;
    use crate::organisms::{Ask, LanguageConfig, World as _};

    #[test]
    fn what_is_made_is_read_back_like_any_checkpoint() {
        let language = Language::new(&LanguageConfig::default()).unwrap();
        let config = ScratchConfig { layers: 1, hidden: 16, heads: 2, ..Default::default() };
        let model = config.model(&language, 7, Device::Cpu).unwrap();
        let problem = &language.held_out(1, 0)[0];
        let ids = [language.prompt(problem, Ask::PLAIN), language.answer(problem)].concat();
        assert_eq!(
            model.tokenizer.encode(&language.text(&ids[..ids.len() - 1])).unwrap(),
            ids[..ids.len() - 1]
        );
        let folder = tempfile::tempdir().unwrap();
        model.save(folder.path()).unwrap();
        let read = Pretrained::load(folder.path(), &LoadOptions::default()).unwrap();
        assert_eq!(read.lm.config(), model.lm.config());
        assert_eq!(read.lm.config().eos, [language.words().len() as u32 - 1]);
        let same = |a: &CausalLm, b: &CausalLm| {
            a.named_parameters().iter().zip(b.named_parameters()).all(|((_, a), (_, b))| *a == b)
        };
        assert!(same(&read.lm, &model.lm));
    }

    #[test]
    fn sizes_are_checked() {
        let language = Language::new(&LanguageConfig::default()).unwrap();
        let message = |config: ScratchConfig| {
            config.model(&language, 0, Device::Cpu).unwrap_err().to_string()
        };
        let odd = ScratchConfig { heads: 5, ..Default::default() };
        assert_eq!(message(odd), "hidden: expected a multiple of twice the 5 heads, found 96");
        let none = ScratchConfig { layers: 0, ..Default::default() };
        assert_eq!(message(none), "layers: expected at least 1, found 0");
    }
}
