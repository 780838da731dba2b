//! The `config.json` of a [`ModelConfig`].

use serde_json::{Value, json};

use super::{Activation, Family, ModelConfig, Norm, Residual, Rope, RopeScaling, Window};

impl ModelConfig {
    /// The `config.json` with which other tools rebuild the same function.
    pub fn to_hf(&self) -> Value {
        let (model_type, class) = match self.family {
            Family::Llama => ("llama", "LlamaForCausalLM"),
            Family::Qwen2 => ("qwen2", "Qwen2ForCausalLM"),
            Family::Qwen3 => ("qwen3", "Qwen3ForCausalLM"),
            Family::GptNeox => ("gpt_neox", "GPTNeoXForCausalLM"),
            Family::Olmo2 => ("olmo2", "Olmo2ForCausalLM"),
            Family::Olmo3 => ("olmo3", "Olmo3ForCausalLM"),
        };
        let mut out = json!({
            "architectures": [class],
            "model_type": model_type,
            "vocab_size": self.vocab,
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "max_position_embeddings": self.max_context,
            "hidden_act": match self.activation {
                Activation::Silu => "silu",
                Activation::Gelu => "gelu",
                Activation::GeluTanh => "gelu_pytorch_tanh",
            },
            "tie_word_embeddings": self.tie_embeddings,
            "bos_token_id": self.bos,
            "eos_token_id": match self.eos[..] {
                [] => Value::Null,
                [one] => json!(one),
                _ => json!(self.eos),
            },
            "pad_token_id": self.pad,
        });
        let mut set = |key: &str, value: Value| out[key] = value;
        match self.norm {
            Norm::Rms { eps } => set("rms_norm_eps", json!(eps)),
            Norm::Layer { eps } => set("layer_norm_eps", json!(eps)),
        }
        if self.family == Family::GptNeox {
            set("use_parallel_residual", json!(self.residual == Residual::Parallel));
            set("rotary_pct", json!(self.fraction(&self.rope)));
            set("rotary_emb_base", json!(self.rope.theta));
        } else {
            if self.rope.rotary_dim != self.head_dim {
                set("partial_rotary_factor", json!(self.fraction(&self.rope)));
            }
            set("num_key_value_heads", json!(self.num_kv_heads));
            set("rope_theta", json!(self.rope.theta));
        }
        let implied = self.hidden.checked_div(self.num_heads);
        if matches!(self.family, Family::Llama | Family::Qwen3) || implied != Some(self.head_dim) {
            set("head_dim", json!(self.head_dim));
        }
        if self.family != Family::Qwen2 {
            set("attention_bias", json!(self.qkv_bias));
        }
        if self.family == Family::Llama {
            set("mlp_bias", json!(self.mlp_bias));
        }
        if self.sliding_rope == self.implied_sliding_rope() {
            if let Some(scaling) = scaling_to_hf(&self.rope.scaling) {
                set("rope_scaling", scaling);
            }
        } else {
            let parameters = json!({
                "full_attention": self.rope_to_hf(&self.rope),
                "sliding_attention": self.rope_to_hf(&self.sliding_rope),
            });
            set("rope_parameters", parameters);
        }
        // OLMo 3 has sliding windows where nothing else is said.
        let default = (self.family == Family::Olmo3).then_some(self.max_context);
        if let Some(width) = self.sliding_width().or(default) {
            let types = self.windows.iter().map(|w| match w {
                Window::Full => "full_attention",
                Window::Sliding(_) => "sliding_attention",
            });
            set("layer_types", types.collect());
            set("sliding_window", json!(width));
            if self.family != Family::Olmo3 {
                set("use_sliding_window", json!(true));
            }
        }
        out
    }

    /// The rotary embedding of sliding blocks where a file gives only that of full ones.
    fn implied_sliding_rope(&self) -> Rope {
        match self.family {
            Family::Olmo3 => Rope { scaling: RopeScaling::None, ..self.rope },
            _ => self.rope,
        }
    }

    fn rope_to_hf(&self, rope: &Rope) -> Value {
        let mut out =
            scaling_to_hf(&rope.scaling).unwrap_or_else(|| json!({ "rope_type": "default" }));
        out["rope_theta"] = json!(rope.theta);
        out["partial_rotary_factor"] = json!(self.fraction(rope));
        out
    }

    /// The share of a head that is rotated, such that readers, who round down, find it again.
    fn fraction(&self, rope: &Rope) -> f64 {
        let (rotary, head) = (rope.rotary_dim as f64, self.head_dim as f64);
        let exact = rotary / head;
        if (head * exact) as usize == rope.rotary_dim { exact } else { (rotary + 0.5) / head }
    }
}

fn scaling_to_hf(scaling: &RopeScaling) -> Option<Value> {
    match *scaling {
        RopeScaling::None => None,
        RopeScaling::Linear { factor } => Some(json!({ "rope_type": "linear", "factor": factor })),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
            Some(json!({
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low_freq_factor,
                "high_freq_factor": high_freq_factor,
                "original_max_position_embeddings": original_context,
            }))
        }
        RopeScaling::Yarn {
            factor,
            beta_fast,
            beta_slow,
            attention_factor,
            original_context,
            truncate,
        } => Some(json!({
            "rope_type": "yarn",
            "factor": factor,
            "beta_fast": beta_fast,
            "beta_slow": beta_slow,
            "attention_factor": attention_factor,
            "original_max_position_embeddings": original_context,
            "truncate": truncate,
        })),
    }
}
