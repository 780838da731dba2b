//! Adapters in the layout of the PEFT library: `adapter_config.json` beside
//! `adapter_model.safetensors`.
//!
//! `GPT-NeoX` holds q, k and v in one matrix with interleaved rows, and so does its adapter there.
//! When read, each of the three gets a copy of A and its rows of B; when written, the three become
//! one adapter of three times the rank, which computes the same.

use std::path::Path;

use serde_json::{Map, Value as Json, json};
use tch::{Device, Kind, Tensor};

use super::{LayerLora, LoraAdapter, Pair, Target, shape};
use crate::{
    Error,
    config::{Family, ModelConfig},
    model::{deinterleave, interleave},
    weights::{SafetensorsSource, TensorSource as _, save_safetensors, write_text},
};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// Settings that say how an adapter is trained or made, not what it computes.
const OF_TRAINING: [&str; 16] = [
    "auto_mapping",
    "base_model_name_or_path",
    "revision",
    "task_type",
    "inference_mode",
    "init_lora_weights",
    "lora_dropout",
    "peft_version",
    "target_modules",
    "exclude_modules",
    "ensure_weight_tying",
    "runtime_config",
    "layers_pattern",
    "layers_to_transform",
    "megatron_core",
    "qalora_group_size",
];

/// What of an `adapter_config.json` decides what the adapter computes.
struct PeftConfig {
    rank: usize,
    alpha: f64,
    /// In the file's order, in which PEFT looks for the first that fits.
    rank_pattern: Vec<(String, usize)>,
    alpha_pattern: Vec<(String, f64)>,
    /// Scale by `alpha / √rank`. Source: arXiv 2312.03732.
    rank_stabilized: bool,
}

impl PeftConfig {
    fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let bad = |field: &str, expected: &str, found: String| {
            Error::format(path.display(), field, expected, found)
        };
        let mut json: Map<String, Json> = serde_json::from_str(&text)
            .map_err(|e| bad("content", "a JSON object", e.to_string()))?;
        let mut take = |key: &str| json.remove(key).unwrap_or(Json::Null);
        let kind = take("peft_type");
        if kind != "LORA" {
            return Err(bad("peft_type", "\"LORA\"", kind.to_string()));
        }
        let rank = take("r");
        let rank = rank
            .as_u64()
            .filter(|&r| r > 0)
            .ok_or_else(|| bad("r", "a number of at least 1", rank.to_string()))?
            as usize;
        let alpha = take("lora_alpha");
        let alpha =
            alpha.as_f64().ok_or_else(|| bad("lora_alpha", "a number", alpha.to_string()))?;
        let rank_pattern = pattern(take("rank_pattern"), Json::as_u64)
            .ok_or_else(|| bad("rank_pattern", "numbers by module", "something else".into()))?;
        let alpha_pattern = pattern(take("alpha_pattern"), Json::as_f64)
            .ok_or_else(|| bad("alpha_pattern", "numbers by module", "something else".into()))?;
        let rank_stabilized = take("use_rslora") == true;
        let bias = take("bias");
        if !(bias.is_null() || bias == "none") {
            return Err(bad("bias", "\"none\"", bias.to_string()));
        }
        // Whatever else is switched on would change what the adapter computes.
        let inert = |value: &Json| match value {
            Json::Null | Json::Bool(false) => true,
            Json::String(s) => s.is_empty(),
            Json::Array(a) => a.is_empty(),
            Json::Object(o) => o.is_empty(),
            _ => false,
        };
        let unknown =
            json.iter().find(|(key, value)| !OF_TRAINING.contains(&key.as_str()) && !inert(value));
        if let Some((key, value)) = unknown {
            return Err(bad(key, "a setting that is supported, or none", value.to_string()));
        }
        let rank_pattern = rank_pattern.into_iter().map(|(k, v)| (k, v as usize)).collect();
        Ok(Self { rank, alpha, rank_pattern, alpha_pattern, rank_stabilized })
    }

    /// Rank and scale of a module by its full name.
    fn of(&self, module: &str) -> (usize, f64) {
        let rank = lookup(&self.rank_pattern, module).copied().unwrap_or(self.rank);
        let alpha = lookup(&self.alpha_pattern, module).copied().unwrap_or(self.alpha);
        let divisor = if self.rank_stabilized { (rank as f64).sqrt() } else { rank as f64 };
        (rank, alpha / divisor)
    }
}

fn pattern<T>(json: Json, value: impl Fn(&Json) -> Option<T>) -> Option<Vec<(String, T)>> {
    match json {
        Json::Null => Some(Vec::new()),
        Json::Object(entries) => {
            entries.iter().map(|(k, v)| Some((k.clone(), value(v)?))).collect()
        }
        _ => None,
    }
}

/// The entry whose key is the module's name or the end of it, at a dot.
fn lookup<'a, T>(entries: &'a [(String, T)], module: &str) -> Option<&'a T> {
    let ends = |key: &str| {
        module.strip_suffix(key).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    entries.iter().find(|(key, _)| ends(key.trim_start_matches('^'))).map(|(_, value)| value)
}

/// Published name of the matrix that holds `target`, in a block.
fn module(config: &ModelConfig, target: Target) -> &'static str {
    let neox = config.family == Family::GptNeox;
    match target {
        Target::QProj | Target::KProj | Target::VProj if neox => "attention.query_key_value",
        Target::OProj if neox => "attention.dense",
        Target::UpProj if neox => "mlp.dense_h_to_4h",
        Target::DownProj if neox => "mlp.dense_4h_to_h",
        Target::QProj => "self_attn.q_proj",
        Target::KProj => "self_attn.k_proj",
        Target::VProj => "self_attn.v_proj",
        Target::OProj => "self_attn.o_proj",
        Target::GateProj => "mlp.gate_proj",
        Target::UpProj => "mlp.up_proj",
        Target::DownProj => "mlp.down_proj",
    }
}

fn block_prefix(config: &ModelConfig) -> &'static str {
    if config.family == Family::GptNeox { "gpt_neox.layers" } else { "model.layers" }
}

fn tensor_name(module: &str, part: &str) -> String {
    format!("base_model.model.{module}.lora_{part}.weight")
}

impl LoraAdapter {
    /// Reads an adapter that PEFT, or [`LoraAdapter::save`], wrote for a model of `config`.
    ///
    /// # Errors
    /// [`Error::Format`] for a setting that is not supported; [`Error::MissingTensor`],
    /// [`Error::UnexpectedTensor`] or [`Error::Shape`] if the weights do not fit.
    pub fn load(folder: &Path, config: &ModelConfig) -> Result<Self, Error> {
        let settings = PeftConfig::read(&folder.join(CONFIG))?;
        let source = SafetensorsSource::open(&folder.join(WEIGHTS))?;
        let names = source.names();
        let mut used = 0;
        let mut layers = Vec::with_capacity(config.num_layers);
        for block in 0..config.num_layers {
            let mut failure = None;
            let mut seen = Vec::new();
            let layer = LayerLora::from_slots(|target| {
                let module = format!("{}.{block}.{}", block_prefix(config), module(config, target));
                if !names.contains(&tensor_name(&module, "A")) {
                    return None;
                }
                let read = read_pair(&source, &settings, config, target, &module);
                if !seen.contains(&module) {
                    seen.push(module);
                }
                match read {
                    Ok(pair) => Some(pair),
                    Err(error) => {
                        failure.get_or_insert(error);
                        None
                    }
                }
            });
            if let Some(error) = failure {
                return Err(error);
            }
            used += 2 * seen.len();
            layers.push(layer);
        }
        if used != names.len() {
            let known = |name: &&String| {
                let mut modules = (0..config.num_layers).flat_map(|b| {
                    Target::ALL
                        .map(|t| format!("{}.{b}.{}", block_prefix(config), module(config, t)))
                });
                modules.any(|m| ["A", "B"].iter().any(|part| tensor_name(&m, part) == **name))
            };
            let stranger = names.iter().find(|name| !known(name)).or(names.first());
            return Err(Error::UnexpectedTensor {
                file: source.describe(),
                tensor: stranger.cloned().unwrap_or_default(),
            });
        }
        let adapter = Self { layers };
        if adapter.parameters().is_empty() {
            let expected = "at least one pair of lora_A and lora_B";
            return Err(Error::format(source.describe(), "tensors", expected, "none"));
        }
        adapter.check(config)?;
        Ok(adapter)
    }

    /// Writes the adapter in PEFT's layout into `folder`, which is made if need be. `base_model` is
    /// the name or path under which PEFT is to look for the model.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Shape`] if the adapter was made for another model.
    pub fn save(&self, folder: &Path, config: &ModelConfig, base_model: &str) -> Result<(), Error> {
        self.check(config)?;
        let _guard = tch::no_grad_guard();
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let mut modules: Vec<(String, &str, Pair)> = Vec::new();
        for (block, layer) in self.layers.iter().enumerate() {
            let full = |target| {
                let name = module(config, target);
                (format!("{}.{block}.{name}", block_prefix(config)), name)
            };
            let mut slots: Vec<(Target, &Pair)> =
                layer.slots().into_iter().filter_map(|(t, p)| Some((t, p.as_ref()?))).collect();
            if config.family == Family::GptNeox {
                let (qkv, others) = slots
                    .into_iter()
                    .partition(|(t, _)| matches!(t, Target::QProj | Target::KProj | Target::VProj));
                slots = others;
                if let Some(pair) = joined(&qkv, config) {
                    let (path, name) = full(Target::QProj);
                    modules.push((path, name, pair));
                }
            }
            for (target, pair) in slots {
                let (path, name) = full(target);
                let (a, b) = (pair.a.shallow_clone(), pair.b.shallow_clone());
                modules.push((path, name, Pair { a, b, scale: pair.scale }));
            }
        }
        let tensors: Vec<(String, Tensor)> = modules
            .iter()
            .flat_map(|(path, _, pair)| {
                let out = |part, t: &Tensor| (tensor_name(path, part), t.detach());
                [out("A", &pair.a), out("B", &pair.b)]
            })
            .collect();
        save_safetensors(&folder.join(WEIGHTS), &tensors)?;
        let described = describe(&modules, base_model);
        write_text(&folder.join(CONFIG), &format!("{described:#}\n"))
    }
}

fn read_pair(
    source: &SafetensorsSource,
    settings: &PeftConfig,
    config: &ModelConfig,
    target: Target,
    module: &str,
) -> Result<Pair, Error> {
    let (rank, scale) = settings.of(module);
    let load = |part: &str, expected: [usize; 2]| {
        let name = tensor_name(module, part);
        let found = source.shape(&name).ok_or_else(|| Error::MissingTensor {
            file: source.describe(),
            tensor: name.clone(),
        })?;
        if found != expected {
            return Err(Error::Shape {
                what: format!("tensor {name} in {}", source.describe()),
                expected: format!("{expected:?}"),
                found: format!("{found:?}"),
            });
        }
        source.load(&name, Kind::Float, Device::Cpu)
    };
    let [out, input] = shape(config, target);
    let third = match target {
        Target::QProj => 0,
        Target::KProj => 1,
        Target::VProj => 2,
        _ => 3,
    };
    let a = load("A", [rank, input])?;
    if config.family != Family::GptNeox || third == 3 {
        return Ok(Pair { a, b: load("B", [out, rank])?, scale });
    }
    let b = deinterleave(&load("B", [3 * out, rank])?, config);
    Ok(Pair { a, b: b.narrow(0, (third * out) as i64, out as i64).contiguous(), scale })
}

/// Adapters of q, k and v as one of the interleaved matrix: their ranks side by side.
fn joined(parts: &[(Target, &Pair)], config: &ModelConfig) -> Option<Pair> {
    let first = parts.first()?.1;
    let out = shape(config, Target::QProj)[0] as i64;
    let ranks: i64 = parts.iter().map(|(_, p)| p.a.size()[0]).sum();
    let b = Tensor::zeros([3 * out, ranks], (Kind::Float, Device::Cpu));
    let mut at = 0;
    for (target, pair) in parts {
        let rank = pair.a.size()[0];
        // One scale holds for all: what differs goes into B.
        let part = pair.b.to_device(Device::Cpu) * (pair.scale / first.scale);
        b.narrow(0, *target as i64 * out, out).narrow(1, at, rank).copy_(&part);
        at += rank;
    }
    let a: Vec<Tensor> = parts.iter().map(|(_, p)| p.a.to_device(Device::Cpu)).collect();
    Some(Pair { a: Tensor::cat(&a, 0), b: interleave(&b, config), scale: first.scale })
}

fn describe(modules: &[(String, &str, Pair)], base_model: &str) -> Json {
    let rank_of = |pair: &Pair| pair.a.size()[0];
    let alpha_of = |pair: &Pair| pair.scale * rank_of(pair) as f64;
    let (rank, alpha) = modules.first().map_or((1, 1.0), |(_, _, p)| (rank_of(p), alpha_of(p)));
    let mut targets: Vec<&str> =
        modules.iter().map(|(_, name, _)| name.rsplit('.').next().unwrap_or(name)).collect();
    targets.sort_unstable();
    targets.dedup();
    let (mut ranks, mut alphas) = (Map::new(), Map::new());
    for (path, _, pair) in modules {
        if rank_of(pair) != rank {
            ranks.insert(path.clone(), json!(rank_of(pair)));
        }
        if (alpha_of(pair) - alpha).abs() > f64::EPSILON * alpha.abs() {
            alphas.insert(path.clone(), number(alpha_of(pair)));
        }
    }
    json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "inference_mode": true,
        "r": rank,
        "lora_alpha": number(alpha),
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": false,
        "init_lora_weights": true,
        "use_rslora": false,
        "use_dora": false,
        "target_modules": targets,
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
        "modules_to_save": null,
    })
}

/// Whole numbers are written as such, as PEFT does.
fn number(value: f64) -> Json {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}
