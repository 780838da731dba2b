//! Published tensors in, published tensors out.

use tch::{Device, Kind, Tensor};

use super::{
    CausalLm,
    attention::Attention,
    block::{Block, FeedForward},
    linear::Linear,
    norm::NormLayer,
};
use crate::{
    Error,
    config::{Family, Mlp, ModelConfig, Norm, QkNorm, Residual},
    weights::TensorSource,
};

/// Published names of one family's tensors.
struct Names {
    embedding: &'static str,
    final_norm: &'static str,
    head: &'static str,
    block: &'static str,
    attention_norm: &'static str,
    feed_forward_norm: &'static str,
    qkv: Qkv,
    attention_out: &'static str,
    gate: Option<&'static str>,
    up: &'static str,
    down: &'static str,
}

/// How the published layout holds q, k and v.
enum Qkv {
    Split([&'static str; 3]),
    /// One matrix, `[heads, 3, head_dim]` rows.
    Interleaved(&'static str),
}

const SPLIT: Qkv = Qkv::Split(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]);
const QK_NORMS: [&str; 2] = ["self_attn.q_norm", "self_attn.k_norm"];

/// Buffers that old checkpoints carry and that hold nothing learned.
const DERIVED: [&str; 4] =
    ["rotary_emb.inv_freq", "attention.bias", "attention.masked_bias", "rotary_emb.cos_cached"];

impl Names {
    fn of(config: &ModelConfig) -> Self {
        if config.family == Family::GptNeox {
            return Self {
                embedding: "gpt_neox.embed_in",
                final_norm: "gpt_neox.final_layer_norm",
                head: "embed_out",
                block: "gpt_neox.layers",
                attention_norm: "input_layernorm",
                feed_forward_norm: "post_attention_layernorm",
                qkv: Qkv::Interleaved("attention.query_key_value"),
                attention_out: "attention.dense",
                gate: None,
                up: "mlp.dense_h_to_4h",
                down: "mlp.dense_4h_to_h",
            };
        }
        let post_norm = config.residual == Residual::PostNorm;
        Self {
            embedding: "model.embed_tokens",
            final_norm: "model.norm",
            head: "lm_head",
            block: "model.layers",
            attention_norm: if post_norm { "post_attention_layernorm" } else { "input_layernorm" },
            feed_forward_norm: if post_norm {
                "post_feedforward_layernorm"
            } else {
                "post_attention_layernorm"
            },
            qkv: SPLIT,
            attention_out: "self_attn.o_proj",
            gate: (config.mlp == Mlp::Gated).then_some("mlp.gate_proj"),
            up: "mlp.up_proj",
            down: "mlp.down_proj",
        }
    }
}

/// Published names and shapes of all tensors that a model of this configuration has.
pub(crate) fn published_shapes(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let names = Names::of(config);
    let (hidden, wide) = (config.hidden, config.intermediate);
    let q_dim = config.num_heads * config.head_dim;
    let kv_dim = config.num_kv_heads * config.head_dim;
    let mut out = Vec::new();
    let mut linear = |name: String, rows: usize, input: usize, bias: bool| {
        out.push((format!("{name}.weight"), vec![rows, input]));
        if bias {
            out.push((format!("{name}.bias"), vec![rows]));
        }
    };
    linear(names.embedding.into(), config.vocab, hidden, false);
    if !config.tie_embeddings {
        linear(names.head.into(), config.vocab, hidden, false);
    }
    for i in 0..config.num_layers {
        let full = |part: &str| format!("{}.{i}.{part}", names.block);
        match &names.qkv {
            Qkv::Split(parts) => {
                for (part, rows) in parts.iter().zip([q_dim, kv_dim, kv_dim]) {
                    linear(full(part), rows, hidden, config.qkv_bias);
                }
            }
            Qkv::Interleaved(part) => linear(full(part), 3 * q_dim, hidden, config.qkv_bias),
        }
        linear(full(names.attention_out), hidden, q_dim, config.attn_out_bias);
        for part in names.gate.iter().chain([&names.up]) {
            linear(full(part), wide, hidden, config.mlp_bias);
        }
        linear(full(names.down), hidden, wide, config.mlp_bias);
    }
    let mut norm = |name: String, dim: usize| {
        out.push((format!("{name}.weight"), vec![dim]));
        if matches!(config.norm, Norm::Layer { .. }) {
            out.push((format!("{name}.bias"), vec![dim]));
        }
    };
    norm(names.final_norm.into(), hidden);
    for i in 0..config.num_layers {
        let full = |part: &str| format!("{}.{i}.{part}", names.block);
        norm(full(names.attention_norm), hidden);
        norm(full(names.feed_forward_norm), hidden);
        let sizes = match config.qk_norm {
            QkNorm::None => continue,
            QkNorm::PerHead => [config.head_dim; 2],
            QkNorm::Full => [q_dim, kv_dim],
        };
        for (name, size) in QK_NORMS.iter().zip(sizes) {
            norm(full(name), size);
        }
    }
    out
}

/// Reads tensors by name, checks their shapes, and remembers which were used.
struct Reader<'a> {
    source: &'a dyn TensorSource,
    kind: Kind,
    device: Device,
    used: std::collections::HashSet<String>,
}

impl Reader<'_> {
    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, Error> {
        let found = self.source.shape(name).ok_or_else(|| Error::MissingTensor {
            file: self.source.describe(),
            tensor: name.to_owned(),
        })?;
        if found != shape {
            return Err(Error::Shape {
                what: format!("tensor {name} in {}", self.source.describe()),
                expected: format!("{shape:?}"),
                found: format!("{found:?}"),
            });
        }
        self.used.insert(name.to_owned());
        self.source.load(name, self.kind, self.device)
    }

    fn linear(
        &mut self,
        name: &str,
        out: usize,
        input: usize,
        bias: bool,
    ) -> Result<Linear, Error> {
        let weight = self.tensor(&format!("{name}.weight"), &[out, input])?;
        let bias = if bias { Some(self.tensor(&format!("{name}.bias"), &[out])?) } else { None };
        Ok(Linear::new(weight, bias))
    }

    fn norm(&mut self, name: &str, dim: usize, norm: Norm) -> Result<NormLayer, Error> {
        let weight = self.tensor(&format!("{name}.weight"), &[dim])?;
        Ok(match norm {
            Norm::Rms { eps } => NormLayer::Rms { weight, eps },
            Norm::Layer { eps } => {
                let bias = self.tensor(&format!("{name}.bias"), &[dim])?;
                NormLayer::Layer { weight, bias, eps }
            }
        })
    }

    /// Every tensor of the source must have been used: one left over means that the model computes
    /// something else than what was published.
    fn finish(self, config: &ModelConfig) -> Result<(), Error> {
        let tied_head = config.tie_embeddings.then(|| format!("{}.weight", Names::of(config).head));
        let extra = self.source.names().into_iter().find(|name| {
            !self.used.contains(name)
                && tied_head.as_ref() != Some(name)
                && !DERIVED.iter().any(|d| name.ends_with(d))
        });
        match extra {
            None => Ok(()),
            Some(tensor) => Err(Error::UnexpectedTensor { file: self.source.describe(), tensor }),
        }
    }
}

/// Rows of an interleaved projection, `[heads, 3, ..]`, as q rows, then k, then v.
pub(crate) fn deinterleave(t: &Tensor, config: &ModelConfig) -> Tensor {
    regroup(t, [config.num_heads as i64, 3, config.head_dim as i64])
}

/// The way back.
pub(crate) fn interleave(t: &Tensor, config: &ModelConfig) -> Tensor {
    regroup(t, [3, config.num_heads as i64, config.head_dim as i64])
}

fn regroup(t: &Tensor, rows: [i64; 3]) -> Tensor {
    let size = t.size();
    let split: Vec<i64> = rows.iter().copied().chain(size[1..].iter().copied()).collect();
    t.view(&split[..]).transpose(0, 1).reshape(&size[..])
}

impl CausalLm {
    /// Builds the model from published tensors.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::UnexpectedTensor`] or [`Error::Shape`], each naming file
    /// and tensor; whatever the source reports while reading.
    pub fn from_source(
        config: &ModelConfig,
        source: &dyn TensorSource,
        kind: Kind,
        device: Device,
    ) -> Result<Self, Error> {
        let _guard = tch::no_grad_guard();
        let names = Names::of(config);
        let (hidden, vocab) = (config.hidden, config.vocab);
        let mut read = Reader { source, kind, device, used: std::collections::HashSet::new() };
        let embedding = read.tensor(&format!("{}.weight", names.embedding), &[vocab, hidden])?;
        let blocks = (0..config.num_layers)
            .map(|i| read_block(&mut read, &names, config, i))
            .collect::<Result<_, _>>()?;
        let final_norm = read.norm(names.final_norm, hidden, config.norm)?;
        let head = if config.tie_embeddings {
            None
        } else {
            Some(read.tensor(&format!("{}.weight", names.head), &[vocab, hidden])?)
        };
        read.finish(config)?;
        Ok(Self {
            config: config.clone(),
            embedding,
            blocks,
            final_norm,
            head,
            packed_head: None,
            fused: false,
            adapter: None,
        })
    }

    /// The base weights under their published names and in their published layout.
    pub fn named_tensors(&self) -> Vec<(String, Tensor)> {
        let _guard = tch::no_grad_guard();
        let names = Names::of(&self.config);
        let mut out = vec![(format!("{}.weight", names.embedding), self.embedding.detach())];
        for (i, block) in self.blocks.iter().enumerate() {
            push_block(&mut out, &names, &self.config, block, &format!("{}.{i}", names.block));
        }
        push_norm(&mut out, names.final_norm, &self.final_norm);
        if let Some(head) = &self.head {
            out.push((format!("{}.weight", names.head), head.detach()));
        }
        out
    }
}

fn read_block(
    read: &mut Reader<'_>,
    names: &Names,
    config: &ModelConfig,
    index: usize,
) -> Result<Block, Error> {
    let full = |part: &str| format!("{}.{index}.{part}", names.block);
    let (hidden, wide) = (config.hidden, config.intermediate);
    let q_dim = config.num_heads * config.head_dim;
    let kv_dim = config.num_kv_heads * config.head_dim;
    let qkv = match names.qkv {
        Qkv::Split(parts) => {
            let mut weights = Vec::with_capacity(3);
            for (part, rows) in parts.iter().zip([q_dim, kv_dim, kv_dim]) {
                weights.push(read.linear(&full(part), rows, hidden, config.qkv_bias)?);
            }
            stack(&weights)
        }
        Qkv::Interleaved(part) => {
            let fused = read.linear(&full(part), q_dim + 2 * kv_dim, hidden, config.qkv_bias)?;
            let bias = fused.bias.map(|b| deinterleave(&b, config));
            Linear::new(deinterleave(&fused.weight, config), bias)
        }
    };
    let qk_norm = match config.qk_norm {
        QkNorm::None => None,
        QkNorm::PerHead => Some([config.head_dim; 2]),
        QkNorm::Full => Some([q_dim, kv_dim]),
    };
    let qk_norm = match qk_norm {
        None => None,
        Some([q, k]) => Some([
            read.norm(&full(QK_NORMS[0]), q, config.norm)?,
            read.norm(&full(QK_NORMS[1]), k, config.norm)?,
        ]),
    };
    let out = read.linear(&full(names.attention_out), hidden, q_dim, config.attn_out_bias)?;
    let up = read.linear(&full(names.up), wide, hidden, config.mlp_bias)?;
    let up = match names.gate {
        None => up,
        Some(gate) => stack(&[read.linear(&full(gate), wide, hidden, config.mlp_bias)?, up]),
    };
    Ok(Block {
        attention_norm: read.norm(&full(names.attention_norm), hidden, config.norm)?,
        attention: Attention::new(config, qkv, out, qk_norm),
        feed_forward_norm: read.norm(&full(names.feed_forward_norm), hidden, config.norm)?,
        feed_forward: FeedForward {
            up,
            down: read.linear(&full(names.down), hidden, wide, config.mlp_bias)?,
            mlp: config.mlp,
            activation: config.activation,
        },
        residual: config.residual,
        window: config.windows[index],
        fused: false,
    })
}

/// One linear map whose rows are those of `parts`, one after the other.
fn stack(parts: &[Linear]) -> Linear {
    let weights: Vec<&Tensor> = parts.iter().map(|p| &p.weight).collect();
    let biases: Option<Vec<&Tensor>> = parts.iter().map(|p| p.bias.as_ref()).collect();
    Linear::new(Tensor::cat(&weights, 0), biases.map(|b| Tensor::cat(&b, 0)))
}

fn push_block(
    out: &mut Vec<(String, Tensor)>,
    names: &Names,
    config: &ModelConfig,
    block: &Block,
    prefix: &str,
) {
    let full = |part: &str| format!("{prefix}.{part}");
    push_norm(out, &full(names.attention_norm), &block.attention_norm);
    let qkv = &block.attention.qkv;
    match names.qkv {
        Qkv::Split(parts) => {
            let kv_dim = config.num_kv_heads * config.head_dim;
            let rows = [config.num_heads * config.head_dim, kv_dim, kv_dim];
            push_rows(out, &parts.map(full), &rows, qkv);
        }
        Qkv::Interleaved(part) => {
            let bias = qkv.bias.as_ref().map(|b| interleave(b, config));
            let fused = Linear::new(interleave(&qkv.weight, config), bias);
            push_linear(out, &full(part), &fused);
        }
    }
    for (name, norm) in QK_NORMS.iter().zip(block.attention.qk_norm.iter().flatten()) {
        push_norm(out, &full(name), norm);
    }
    push_linear(out, &full(names.attention_out), &block.attention.out);
    push_norm(out, &full(names.feed_forward_norm), &block.feed_forward_norm);
    let up = &block.feed_forward.up;
    match names.gate {
        None => push_linear(out, &full(names.up), up),
        Some(gate) => {
            push_rows(out, &[full(gate), full(names.up)], &[config.intermediate; 2], up);
        }
    }
    push_linear(out, &full(names.down), &block.feed_forward.down);
}

fn push_rows(out: &mut Vec<(String, Tensor)>, names: &[String], rows: &[usize], fused: &Linear) {
    let mut at = 0;
    for (name, &rows) in names.iter().zip(rows) {
        let part = |t: &Tensor| t.narrow(0, at, rows as i64).contiguous();
        let linear = Linear::new(part(&fused.weight), fused.bias.as_ref().map(part));
        push_linear(out, name, &linear);
        at += rows as i64;
    }
}

fn push_linear(out: &mut Vec<(String, Tensor)>, name: &str, linear: &Linear) {
    out.push((format!("{name}.weight"), linear.weight.detach()));
    if let Some(bias) = &linear.bias {
        out.push((format!("{name}.bias"), bias.detach()));
    }
}

fn push_norm(out: &mut Vec<(String, Tensor)>, name: &str, norm: &NormLayer) {
    for (part, tensor) in ["weight", "bias"].iter().zip(norm.parameters()) {
        out.push((format!("{name}.{part}"), tensor.detach()));
    }
}
