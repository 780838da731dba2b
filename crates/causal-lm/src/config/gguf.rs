//! [`ModelConfig`] from the metadata of a GGUF file.

use super::{
    Activation, Family, MAX_LAYERS, Mlp, ModelConfig, Norm, QkNorm, Residual, Rope, RopeScaling,
    Window,
};
use crate::{
    Error,
    gguf::{Gguf, Value},
};

/// Keys of an architecture that are read here, or that say nothing about what the weights compute.
const KNOWN: &[&str] = &[
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "expert_count",
    "expert_used_count",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "vocab_size",
];

/// Reads metadata of one architecture.
struct Keys<'a> {
    file: &'a Gguf,
    arch: &'a str,
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.arch)
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.file.value(&self.key(name))
    }

    fn maybe_usize(&self, name: &str) -> Result<Option<usize>, Error> {
        self.get(name)
            .map(|v| {
                let bad = || self.file.bad(&self.key(name), "a count", v.to_string());
                v.as_usize().filter(|&n| n > 0 && n < 1 << 32).ok_or_else(bad)
            })
            .transpose()
    }

    fn usize(&self, name: &str) -> Result<usize, Error> {
        self.maybe_usize(name)?
            .ok_or_else(|| self.file.bad(&self.key(name), "a positive number", "nothing"))
    }

    fn float(&self, name: &str, default: Option<f64>) -> Result<f64, Error> {
        let bad = |found: String| self.file.bad(&self.key(name), "a positive number", found);
        match self.get(name) {
            None => default.ok_or_else(|| bad("nothing".into())),
            // Files hold f32: 1e-5 stands there as 9.99999974e-6.
            Some(v) => match v.as_f64().map(|x| x as f32) {
                Some(x) if x.is_finite() && x > 0.0 => Ok(shortest(x)),
                _ => Err(bad(v.to_string())),
            },
        }
    }
}

/// The decimal number that an f32 was written for.
fn shortest(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}

/// Reads the configuration of a file.
///
/// # Errors
/// [`Error::Format`] naming the key that is missing, wrong or unsupported.
pub fn from_gguf(file: &Gguf) -> Result<ModelConfig, Error> {
    let arch = file
        .value("general.architecture")
        .and_then(Value::as_str)
        .ok_or_else(|| file.bad("general.architecture", "a name", "nothing"))?;
    let family = match arch {
        "llama" => Family::Llama,
        "qwen2" => Family::Qwen2,
        "qwen3" => Family::Qwen3,
        "olmo2" => Family::Olmo2,
        other => {
            let expected = "llama, qwen2, qwen3 or olmo2";
            return Err(file.bad("general.architecture", expected, other));
        }
    };
    let keys = Keys { file, arch };
    if let Some(experts) = keys.get("expert_count").filter(|v| v.as_usize() != Some(0)) {
        return Err(file.bad(&keys.key("expert_count"), "0 (a dense model)", experts.to_string()));
    }
    for (key, value) in file.metadata() {
        let own = key.strip_prefix(arch).and_then(|rest| rest.strip_prefix('.'));
        if own.is_some_and(|name| !KNOWN.contains(&name)) {
            let expected = "no such key: what it changes is not supported in GGUF files";
            return Err(file.bad(key, expected, value.to_string()));
        }
    }
    let (hidden, num_heads) =
        (keys.usize("embedding_length")?, keys.usize("attention.head_count")?);
    let head_dim = match keys.maybe_usize("attention.key_length")? {
        Some(dim) => dim,
        None => hidden / num_heads,
    };
    if let Some(dim) = keys.maybe_usize("attention.value_length")?.filter(|&dim| dim != head_dim) {
        let expected = format!("{head_dim}, as wide as keys are");
        return Err(file.bad(&keys.key("attention.value_length"), &expected, dim.to_string()));
    }
    let embedding = file
        .tensor("token_embd.weight")
        .ok_or_else(|| file.bad("token_embd.weight", "a tensor", "nothing"))?;
    let rope = Rope {
        theta: keys.float("rope.freq_base", Some(10_000.0))?,
        rotary_dim: keys.maybe_usize("rope.dimension_count")?.unwrap_or(head_dim),
        scaling: rope_scaling(&keys)?,
    };
    let num_layers = keys.usize("block_count")?;
    if num_layers > MAX_LAYERS {
        let key = keys.key("block_count");
        return Err(file.bad(&key, &format!("1 to {MAX_LAYERS}"), num_layers.to_string()));
    }
    let token = |key: &str| {
        let key = format!("tokenizer.ggml.{key}");
        let id = |v: &Value| v.as_usize().and_then(|id| u32::try_from(id).ok());
        file.value(&key)
            .map(|v| id(v).ok_or_else(|| file.bad(&key, "a token id", v.to_string())))
            .transpose()
    };
    let qkv_bias = file.tensor("blk.0.attn_q.bias").is_some();
    let config = ModelConfig {
        family,
        vocab: embedding.shape[0],
        hidden,
        intermediate: keys.usize("feed_forward_length")?,
        num_layers,
        num_heads,
        num_kv_heads: keys.maybe_usize("attention.head_count_kv")?.unwrap_or(num_heads),
        head_dim,
        max_context: keys.usize("context_length")?,
        norm: Norm::Rms { eps: keys.float("attention.layer_norm_rms_epsilon", None)? },
        residual: if family == Family::Olmo2 { Residual::PostNorm } else { Residual::PreNorm },
        qk_norm: match family {
            Family::Olmo2 => QkNorm::Full,
            Family::Qwen3 => QkNorm::PerHead,
            _ => QkNorm::None,
        },
        mlp: Mlp::Gated,
        activation: Activation::Silu,
        rope,
        sliding_rope: rope,
        windows: vec![Window::Full; num_layers],
        qkv_bias,
        attn_out_bias: file.tensor("blk.0.attn_output.bias").is_some(),
        mlp_bias: file.tensor("blk.0.ffn_down.bias").is_some(),
        tie_embeddings: file.tensor("output.weight").is_none(),
        bos: token("bos_token_id")?,
        eos: token("eos_token_id")?.into_iter().collect(),
        pad: token("padding_token_id")?,
    };
    config.validate(&file.path().display().to_string())?;
    Ok(config)
}

/// Llama 3's scaling is not in the metadata but in a tensor of factors, one a frequency.
fn rope_scaling(keys: &Keys<'_>) -> Result<RopeScaling, Error> {
    if keys.file.tensors().any(|(name, _)| name.starts_with("rope_freqs")) {
        let expected = "no scaled rotary embedding in GGUF files (use the safetensors checkpoint)";
        return Err(keys.file.bad("rope_freqs.weight", expected, "a tensor of factors"));
    }
    let kind = keys.get("rope.scaling.type");
    match kind.map(|v| (v, v.as_str())) {
        // Other readers take a factor without a type for a linear one.
        None if keys.get("rope.scaling.factor").is_some() => {
            Err(keys.file.bad(&keys.key("rope.scaling.type"), "none or linear", "only a factor"))
        }
        None | Some((_, Some("none"))) => Ok(RopeScaling::None),
        Some((_, Some("linear"))) => {
            Ok(RopeScaling::Linear { factor: keys.float("rope.scaling.factor", None)? })
        }
        Some((other, _)) => Err(keys.file.bad(
            &keys.key("rope.scaling.type"),
            "none or linear in GGUF files",
            other.to_string(),
        )),
    }
}
