//! Tensors of a GGUF file under their published names.

use std::{collections::BTreeMap, sync::Arc};

use tch::{Device, Kind, Tensor};

use super::TensorSource;
use crate::{
    Error,
    config::{Family, ModelConfig},
    gguf::Gguf,
};

/// A GGUF file as a source of tensors.
#[derive(Debug)]
pub struct GgufSource {
    file: Arc<Gguf>,
    /// Published name → name in the file.
    names: BTreeMap<String, String>,
    num_heads: usize,
    num_kv_heads: usize,
    /// Whether the rows of q and k are stored in the order of adjacent pairs.
    permuted: bool,
}

impl GgufSource {
    /// Maps the file's names to those of `config`'s family.
    ///
    /// # Errors
    /// [`Error::UnexpectedTensor`] for a name that the family does not have.
    pub fn new(file: Arc<Gguf>, config: &ModelConfig) -> Result<Self, Error> {
        let mut names = BTreeMap::new();
        for (name, _) in file.tensors() {
            // Frequencies of a scaled rotary embedding, derived from the metadata.
            if name.starts_with("rope_freqs") {
                continue;
            }
            let published =
                published_name(name, config).ok_or_else(|| Error::UnexpectedTensor {
                    file: file.path().display().to_string(),
                    tensor: name.to_owned(),
                })?;
            names.insert(published, name.to_owned());
        }
        Ok(Self {
            file,
            names,
            num_heads: config.num_heads,
            num_kv_heads: config.num_kv_heads,
            permuted: config.family == Family::Llama,
        })
    }
}

impl TensorSource for GgufSource {
    fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Some(self.file.tensor(self.names.get(name)?)?.shape.clone())
    }

    fn load(&self, name: &str, kind: Kind, device: Device) -> Result<Tensor, Error> {
        let missing = || Error::MissingTensor { file: self.describe(), tensor: name.to_owned() };
        let stored = self.names.get(name).ok_or_else(missing)?;
        let shape = self.shape(name).ok_or_else(missing)?;
        let size: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
        let tensor = Tensor::from_slice(&self.file.dequantize(stored)?).view(&size[..]);
        let heads = match name {
            _ if !self.permuted => None,
            n if n.contains("q_proj") => Some(self.num_heads as i64),
            n if n.contains("k_proj") => Some(self.num_kv_heads as i64),
            _ => None,
        };
        let tensor = match heads {
            None => tensor,
            Some(heads) if size[0] % (2 * heads) == 0 => {
                let pairs: Vec<i64> =
                    [heads, size[0] / heads / 2, 2].into_iter().chain(size[1..].to_vec()).collect();
                tensor.view(&pairs[..]).transpose(1, 2).reshape(&size[..])
            }
            Some(heads) => {
                return Err(Error::Shape {
                    what: format!("tensor {stored} in {}", self.describe()),
                    expected: format!("rows of {heads} heads of even size"),
                    found: format!("{shape:?}"),
                });
            }
        };
        Ok(tensor.to_kind(kind).to_device(device))
    }

    fn describe(&self) -> String {
        self.file.path().display().to_string()
    }
}

/// Published name of a tensor of the file.
fn published_name(name: &str, config: &ModelConfig) -> Option<String> {
    let post_norm = matches!(config.family, Family::Olmo2 | Family::Olmo3);
    let (stem, suffix) = name.rsplit_once('.')?;
    if suffix != "weight" && suffix != "bias" {
        return None;
    }
    let published = match stem {
        "token_embd" => "model.embed_tokens".into(),
        "output_norm" => "model.norm".into(),
        "output" => "lm_head".into(),
        _ => {
            let (index, part) = stem.strip_prefix("blk.")?.split_once('.')?;
            let index: usize = index.parse().ok()?;
            let part = match part {
                "attn_norm" => "input_layernorm",
                "ffn_norm" => "post_attention_layernorm",
                "post_attention_norm" if post_norm => "post_attention_layernorm",
                "post_ffw_norm" if post_norm => "post_feedforward_layernorm",
                "attn_q" => "self_attn.q_proj",
                "attn_k" => "self_attn.k_proj",
                "attn_v" => "self_attn.v_proj",
                "attn_output" => "self_attn.o_proj",
                "attn_q_norm" => "self_attn.q_norm",
                "attn_k_norm" => "self_attn.k_norm",
                "ffn_gate" => "mlp.gate_proj",
                "ffn_up" => "mlp.up_proj",
                "ffn_down" => "mlp.down_proj",
                _ => return None,
            };
            format!("model.layers.{index}.{part}")
        }
    };
    Some(format!("{published}.{suffix}"))
}
