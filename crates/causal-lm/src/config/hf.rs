//! [`ModelConfig`] from a published `config.json`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{
    Activation, Family, MAX_LAYERS, Mlp, ModelConfig, Norm, QkNorm, Residual, Rope, RopeScaling,
    Window,
};
use crate::{Error, unique::UniqueMap};

/// Keys that do not change what the weights compute when they run without dropout.
const HARMLESS: &[&str] = &[
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "bad_words_ids",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "dtype",
    "embd_pdrop",
    "gradient_checkpointing",
    "hidden_dropout",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "is_llama_config",
    "label2id",
    "model_max_length",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "pretraining_tp",
    "problem_type",
    "return_dict",
    "sep_token_id",
    "task_specific_params",
    "tokenizer_class",
    "torch_dtype",
    "transformers.js_config",
    "transformers_version",
    "use_cache",
    "use_return_dict",
    "add_cross_attention",
    "tie_encoder_decoder",
    "finetuning_task",
    "prefix",
];

/// Configuration files beyond this size are refused; published ones stay below a hundred kilobytes.
const MAX_BYTES: u64 = 8 << 20;

/// Takes keys out of the file's object; what is left at the end was not understood.
struct Keys {
    file: String,
    map: Map<String, Value>,
}

impl Keys {
    fn bad(&self, key: &str, expected: &str, found: &Value) -> Error {
        Error::format(&self.file, key, expected, found.to_string())
    }

    /// The value of a key; `null` counts as absent.
    fn take(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key).filter(|v| !v.is_null())
    }

    fn count(&mut self, key: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.as_u64() {
            Some(n) if n > 0 && n < 1 << 32 => Ok(Some(n as usize)),
            _ => Err(self.bad(key, "a positive integer", &value)),
        }
    }

    fn need(&mut self, key: &str) -> Result<usize, Error> {
        let missing = self.bad(key, "a positive integer", &Value::Null);
        self.count(key)?.ok_or(missing)
    }

    fn float(&mut self, key: &str) -> Result<Option<f64>, Error> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.as_f64() {
            Some(x) if x.is_finite() && x > 0.0 => Ok(Some(x)),
            _ => Err(self.bad(key, "a positive number", &value)),
        }
    }

    fn flag(&mut self, key: &str, default: bool) -> Result<bool, Error> {
        let Some(value) = self.take(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.bad(key, "true or false", &value))
    }

    fn tokens(&mut self, key: &str) -> Result<Vec<u32>, Error> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let id = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        let ids = match &value {
            Value::Array(items) => items.iter().map(id).collect(),
            single => id(single).map(|id| vec![id]),
        };
        ids.ok_or_else(|| self.bad(key, "a token id or a list of them", &value))
    }

    fn token(&mut self, key: &str) -> Result<Option<u32>, Error> {
        match self.tokens(key)?[..] {
            [] => Ok(None),
            [id] => Ok(Some(id)),
            ref ids => Err(self.bad(key, "one token id", &json!(ids))),
        }
    }

    fn finish(self) -> Result<(), Error> {
        match self.map.iter().find(|(k, v)| !v.is_null() && !HARMLESS.contains(&k.as_str())) {
            None => Ok(()),
            Some((key, value)) => {
                Err(self.bad(key, "a key that this family is known to have", value))
            }
        }
    }
}

/// Reads `config.json`.
///
/// # Errors
/// [`Error::Io`], or [`Error::Format`] naming the key that is missing, wrong, unknown or
/// unsupported.
pub fn from_hf(path: &Path) -> Result<ModelConfig, Error> {
    let size = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
    if size > MAX_BYTES {
        let expected = format!("at most {MAX_BYTES} bytes");
        return Err(Error::format(path.display(), "size", expected, size.to_string()));
    }
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    parse_hf(&text, &path.display().to_string())
}

/// Reads the text of a `config.json`; `file` names it in errors.
///
/// # Errors
/// As for [`from_hf`].
pub fn parse_hf(text: &str, file: &str) -> Result<ModelConfig, Error> {
    let UniqueMap(map) = serde_json::from_str(text)
        .map_err(|e| Error::format(file, "content", "a JSON object", e.to_string()))?;
    let mut keys = Keys { file: file.to_owned(), map: map.into_iter().collect() };
    let model_type = keys.take("model_type").unwrap_or(Value::Null);
    let family = match model_type.as_str() {
        Some("llama") => Family::Llama,
        Some("qwen2") => Family::Qwen2,
        Some("qwen3") => Family::Qwen3,
        Some("gpt_neox") => Family::GptNeox,
        Some("olmo2") => Family::Olmo2,
        Some("olmo3") => Family::Olmo3,
        _ => {
            let expected = "llama, qwen2, qwen3, gpt_neox, olmo2 or olmo3";
            return Err(keys.bad("model_type", expected, &model_type));
        }
    };
    let neox = family == Family::GptNeox;
    let (hidden, num_heads) = (keys.need("hidden_size")?, keys.need("num_attention_heads")?);
    let num_layers = keys.need("num_hidden_layers")?;
    if num_layers > MAX_LAYERS {
        let expected = format!("1 to {MAX_LAYERS}");
        return Err(keys.bad("num_hidden_layers", &expected, &json!(num_layers)));
    }
    let num_kv_heads = keys.count("num_key_value_heads")?.unwrap_or(num_heads);
    if neox && num_kv_heads != num_heads {
        let expected = "as many as query heads in this family";
        return Err(keys.bad("num_key_value_heads", expected, &json!(num_kv_heads)));
    }
    let head_dim = keys.count("head_dim")?.unwrap_or(match family {
        Family::Qwen3 => 128,
        _ => hidden / num_heads,
    });
    let max_context = keys.need("max_position_embeddings")?;
    let norm = if neox {
        Norm::Layer { eps: keys.float("layer_norm_eps")?.unwrap_or(1e-5) }
    } else {
        let default = if matches!(family, Family::Olmo2 | Family::Olmo3) { 1e-5 } else { 1e-6 };
        Norm::Rms { eps: keys.float("rms_norm_eps")?.unwrap_or(default) }
    };
    let attention_bias = keys.flag("attention_bias", neox)?;
    let residual = match family {
        Family::GptNeox if keys.flag("use_parallel_residual", true)? => Residual::Parallel,
        Family::GptNeox => Residual::Sequential,
        Family::Olmo2 | Family::Olmo3 => Residual::PostNorm,
        _ => Residual::PreNorm,
    };
    let windows = windows(&mut keys, family, num_layers)?;
    let [rope, sliding_rope] = ropes(&mut keys, family, head_dim, max_context)?;
    let config = ModelConfig {
        family,
        vocab: keys.need("vocab_size")?,
        hidden,
        intermediate: keys.need("intermediate_size")?,
        num_layers,
        num_heads,
        num_kv_heads,
        head_dim,
        max_context,
        norm,
        residual,
        qk_norm: match family {
            Family::Qwen3 => QkNorm::PerHead,
            Family::Olmo2 | Family::Olmo3 => QkNorm::Full,
            _ => QkNorm::None,
        },
        mlp: if neox { Mlp::Plain } else { Mlp::Gated },
        activation: activation(&mut keys, neox)?,
        rope,
        sliding_rope,
        windows,
        qkv_bias: attention_bias || family == Family::Qwen2,
        attn_out_bias: attention_bias && family != Family::Qwen2,
        mlp_bias: neox || family == Family::Llama && keys.flag("mlp_bias", false)?,
        tie_embeddings: keys.flag("tie_word_embeddings", false)?,
        bos: keys.token("bos_token_id")?,
        eos: keys.tokens("eos_token_id")?,
        pad: keys.token("pad_token_id")?,
    };
    keys.finish()?;
    config.validate(file)?;
    Ok(config)
}

fn activation(keys: &mut Keys, neox: bool) -> Result<Activation, Error> {
    let value = keys.take("hidden_act").unwrap_or(json!(if neox { "gelu" } else { "silu" }));
    match value.as_str() {
        Some("silu" | "swish") => Ok(Activation::Silu),
        Some("gelu") => Ok(Activation::Gelu),
        Some("gelu_new" | "gelu_fast" | "gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
        _ => Err(keys.bad(
            "hidden_act",
            "silu, gelu, gelu_new, gelu_fast or gelu_pytorch_tanh",
            &value,
        )),
    }
}

fn windows(keys: &mut Keys, family: Family, num_layers: usize) -> Result<Vec<Window>, Error> {
    let qwen = matches!(family, Family::Qwen2 | Family::Qwen3);
    let slides = qwen || family == Family::Olmo3;
    let width = if slides { keys.count("sliding_window")? } else { None };
    let types = keys.take("layer_types");
    let on = if qwen { keys.flag("use_sliding_window", false)? } else { family == Family::Olmo3 };
    let full_below = if qwen { keys.take("max_window_layers") } else { None };
    let full_below = match &full_below {
        None => 28,
        Some(value) => value
            .as_u64()
            .ok_or_else(|| keys.bad("max_window_layers", "a number of blocks", value))?
            as usize,
    };
    let width = match (on, width) {
        (true, None) => Some(4096),
        (true, width) => width,
        (false, _) => None,
    };
    let expected = format!("{num_layers} of full_attention or sliding_attention");
    if let Some(types) = types.as_ref().filter(|t| t.as_array().map(Vec::len) != Some(num_layers)) {
        return Err(keys.bad("layer_types", &expected, types));
    }
    let sliding = |i: usize| -> Result<bool, Error> {
        let Some(types) = &types else {
            let default = if qwen { i >= full_below } else { !(i + 1).is_multiple_of(4) };
            return Ok(on && default);
        };
        match types.get(i).and_then(Value::as_str) {
            Some("full_attention") => Ok(false),
            Some("sliding_attention") => Ok(true),
            _ => Err(keys.bad("layer_types", &expected, types)),
        }
    };
    (0..num_layers)
        .map(|i| match (sliding(i)?, width) {
            (true, Some(width)) => Ok(Window::Sliding(width)),
            (true, None) => {
                Err(keys.bad("layer_types", "no sliding attention without a window", &json!(null)))
            }
            (false, _) => Ok(Window::Full),
        })
        .collect()
}

/// The rotary embeddings of blocks with full and with sliding attention.
fn ropes(
    keys: &mut Keys,
    family: Family,
    head_dim: usize,
    max_context: usize,
) -> Result<[Rope; 2], Error> {
    let neox = family == Family::GptNeox;
    let top_theta = keys.float("rope_theta")?.or(keys.float("rotary_emb_base")?);
    let theta = top_theta.unwrap_or(if family == Family::Olmo3 { 500_000.0 } else { 10_000.0 });
    let fraction = keys.float("rotary_pct")?.or(keys.float("partial_rotary_factor")?);
    let fraction = fraction.unwrap_or(if neox { 0.25 } else { 1.0 });
    let scaling = keys.take("rope_scaling");
    let parameters = keys.take("rope_parameters");
    if let (Some(scaling), Some(_)) = (&scaling, &parameters) {
        return Err(keys.bad("rope_scaling", "nothing beside rope_parameters", scaling));
    }
    let one = |keys: &Keys, value: Option<&Value>| {
        rope(keys, value, theta, fraction, head_dim, max_context)
    };
    match parameters {
        Some(Value::Object(map)) if map.contains_key("full_attention") => {
            let kinds = ["full_attention", "sliding_attention"];
            if let Some((other, value)) = map.iter().find(|(k, _)| !kinds.contains(&k.as_str())) {
                let expected = format!("only {} and {}", kinds[0], kinds[1]);
                return Err(keys.bad("rope_parameters", &expected, &json!({ other: value })));
            }
            let full = map.get("full_attention").filter(|v| !v.is_null());
            let sliding = map.get("sliding_attention").filter(|v| !v.is_null());
            Ok([one(keys, full)?, one(keys, sliding)?])
        }
        Some(shared) => {
            let rope = one(keys, Some(&shared))?;
            Ok([rope, rope])
        }
        // The older form; OLMo 3 scales only the blocks with full attention.
        None => {
            let full = one(keys, scaling.as_ref())?;
            let sliding = if family == Family::Olmo3 { one(keys, None)? } else { full };
            Ok([full, sliding])
        }
    }
}

fn rope(
    keys: &Keys,
    value: Option<&Value>,
    theta: f64,
    fraction: f64,
    head_dim: usize,
    max_context: usize,
) -> Result<Rope, Error> {
    let map = match value {
        None => Map::new(),
        Some(Value::Object(map)) => map.clone(),
        Some(other) => return Err(keys.bad("rope_parameters", "an object", other)),
    };
    let mut inner = Keys { file: keys.file.clone(), map };
    let theta = inner.float("rope_theta")?.unwrap_or(theta);
    let fraction = inner.float("partial_rotary_factor")?.unwrap_or(fraction);
    let kind = inner.take("rope_type").or(inner.take("type")).unwrap_or(json!("default"));
    let _ = inner.map.remove("type");
    let original = inner.count("original_max_position_embeddings")?.unwrap_or(max_context);
    let scaling = match kind.as_str() {
        Some("default") => RopeScaling::None,
        Some("linear") => RopeScaling::Linear { factor: need_float(&mut inner, "factor")? },
        Some("llama3") => RopeScaling::Llama3 {
            factor: need_float(&mut inner, "factor")?,
            low_freq_factor: need_float(&mut inner, "low_freq_factor")?,
            high_freq_factor: need_float(&mut inner, "high_freq_factor")?,
            original_context: original,
        },
        Some("yarn") => yarn(&mut inner, original, max_context)?,
        _ => return Err(inner.bad("rope_type", "default, linear, llama3 or yarn", &kind)),
    };
    inner.finish()?;
    Ok(Rope { theta, rotary_dim: (head_dim as f64 * fraction) as usize, scaling })
}

fn need_float(keys: &mut Keys, key: &str) -> Result<f64, Error> {
    let missing = keys.bad(key, "a positive number", &Value::Null);
    keys.float(key)?.ok_or(missing)
}

fn yarn(
    keys: &mut Keys,
    original_context: usize,
    max_context: usize,
) -> Result<RopeScaling, Error> {
    let factor = keys.float("factor")?.unwrap_or(max_context as f64 / original_context as f64);
    let grown = |m: f64| if factor > 1.0 { 0.1 * m * factor.ln() + 1.0 } else { 1.0 };
    let inferred = match (keys.float("mscale")?, keys.float("mscale_all_dim")?) {
        (Some(m), Some(all)) => grown(m) / grown(all),
        _ => grown(1.0),
    };
    let attention_factor = keys.float("attention_factor")?.unwrap_or(inferred);
    if !attention_factor.is_finite() || attention_factor <= 0.0 {
        let found = json!(attention_factor.to_string());
        return Err(keys.bad("attention_factor", "a positive number from mscale", &found));
    }
    Ok(RopeScaling::Yarn {
        factor,
        beta_fast: keys.float("beta_fast")?.unwrap_or(32.0),
        beta_slow: keys.float("beta_slow")?.unwrap_or(1.0),
        attention_factor,
        original_context,
        truncate: keys.flag("truncate", true)?,
    })
}
