//! What a decoder language model is made of: one description for every supported family.
//!
//! [`ModelConfig`] has no optional field whose absence must be interpreted later: the readers of
//! `config.json` and of GGUF metadata resolve every default, and refuse what they do not know.

mod gguf;
mod hf;
mod write;

pub use gguf::from_gguf;
pub use hf::{from_hf, parse_hf};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Architecture family, named as in `config.json`'s `model_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Family {
    /// Llama 2 and 3, `SmolLM2`.
    Llama,
    /// Qwen2 and Qwen2.5, `DeepSeek-R1-Distill-Qwen`.
    Qwen2,
    /// Qwen3, dense.
    Qwen3,
    /// `GPT-NeoX`, Pythia.
    GptNeox,
    /// OLMo 2.
    Olmo2,
    /// OLMo 3.
    Olmo3,
}

/// Normalization of hidden states.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Norm {
    /// Root-mean-square norm with a gain.
    Rms {
        /// Added to the mean square before the root.
        eps: f64,
    },
    /// Layer norm with a gain and a bias.
    Layer {
        /// Added to the variance before the root.
        eps: f64,
    },
}

/// Where a block applies its two norms, and how its two branches join the residual stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Residual {
    /// `x += attn(norm(x)); x += mlp(norm(x))` (Llama, Qwen).
    PreNorm,
    /// `x += norm(attn(x)); x += norm(mlp(x))` (OLMo 2 and 3).
    PostNorm,
    /// `x += attn(norm₁(x)) + mlp(norm₂(x))` (GPT-NeoX).
    Parallel,
    /// `x += attn(norm₁(x)); x += mlp(norm₂(x))` of a GPT-NeoX without parallel residual.
    Sequential,
}

/// Normalization of queries and keys before the rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum QkNorm {
    /// None.
    None,
    /// One gain of `head_dim`, shared by all heads (Qwen3).
    PerHead,
    /// One norm over the whole projection, all heads together (OLMo 2 and 3).
    Full,
}

/// Elementwise non-linearity of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// `x · sigmoid(x)`.
    Silu,
    /// Exact GELU, with the error function.
    Gelu,
    /// GELU by its tanh approximation.
    GeluTanh,
}

/// Shape of the feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mlp {
    /// `down(act(gate(x)) · up(x))`.
    Gated,
    /// `down(act(up(x)))`.
    Plain,
}

/// Change of the rotary frequencies beyond the trained context.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum RopeScaling {
    /// Frequencies as trained.
    None,
    /// All frequencies divided by `factor`.
    Linear {
        /// Divisor.
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided, high ones kept, a smooth band between.
    Llama3 {
        /// Divisor of the low frequencies.
        factor: f64,
        /// Wavelengths above `original_context / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original_context / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Context length in tokens before scaling.
        original_context: usize,
    },
    /// `YaRN`: a ramp between interpolated and kept frequencies, with scaled attention.
    Yarn {
        /// Divisor of the interpolated frequencies.
        factor: f64,
        /// Rotations at which the ramp begins.
        beta_fast: f64,
        /// Rotations at which the ramp ends.
        beta_slow: f64,
        /// Multiplies cosine and sine.
        attention_factor: f64,
        /// Context length in tokens before scaling.
        original_context: usize,
        /// Whether the ramp's ends are rounded outward to whole dimensions.
        truncate: bool,
    },
}

/// Rotary position embedding, in the half-rotation form.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rope {
    /// Base of the geometric progression of wavelengths.
    pub theta: f64,
    /// How many leading dimensions of each head are rotated.
    pub rotary_dim: usize,
    /// Scaling beyond the trained context.
    pub scaling: RopeScaling,
}

impl Rope {
    /// Factor on cosine and sine; 1 without `YaRN`.
    pub fn amplitude(&self) -> f64 {
        match self.scaling {
            RopeScaling::Yarn { attention_factor, .. } => attention_factor,
            _ => 1.0,
        }
    }
}

/// What one block's attention can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// All earlier positions.
    Full,
    /// The last `n` positions, the current one counted.
    Sliding(usize),
}

/// Everything that decides which function the weights compute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "which biases exist are independent facts")]
pub struct ModelConfig {
    /// Architecture family.
    pub family: Family,
    /// Rows of the embedding.
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward part.
    pub intermediate: usize,
    /// Number of blocks.
    pub num_layers: usize,
    /// Query heads.
    pub num_heads: usize,
    /// Key/value heads; divides `num_heads`.
    pub num_kv_heads: usize,
    /// Size of a head; `num_heads * head_dim` may differ from `hidden`.
    pub head_dim: usize,
    /// Longest context in tokens.
    pub max_context: usize,
    /// Norm of hidden states.
    pub norm: Norm,
    /// Order of norms and residual additions.
    pub residual: Residual,
    /// Norm of queries and keys.
    pub qk_norm: QkNorm,
    /// Feed-forward shape.
    pub mlp: Mlp,
    /// Feed-forward non-linearity.
    pub activation: Activation,
    /// Rotary embedding of blocks with full attention.
    pub rope: Rope,
    /// Rotary embedding of blocks with sliding attention (OLMo 3 scales only the full ones).
    pub sliding_rope: Rope,
    /// One entry a block.
    pub windows: Vec<Window>,
    /// Whether the q, k and v projections have biases.
    pub qkv_bias: bool,
    /// Whether attention's output projection has a bias.
    pub attn_out_bias: bool,
    /// Whether the feed-forward projections have biases.
    pub mlp_bias: bool,
    /// Whether the output head is the embedding itself.
    pub tie_embeddings: bool,
    /// Beginning-of-sequence token, if the model has one.
    pub bos: Option<u32>,
    /// Tokens that end a generation; may be empty.
    pub eos: Vec<u32>,
    /// Padding token, if the model declares one.
    pub pad: Option<u32>,
}

/// Largest sizes that are believed; beyond them lie only mistakes and overflow.
const MAX_SIZE: usize = 1 << 24;
pub(crate) const MAX_LAYERS: usize = 4096;

impl ModelConfig {
    /// Width of the sliding windows, if some blocks have one.
    pub fn sliding_width(&self) -> Option<usize> {
        self.windows.iter().find_map(|w| match w {
            Window::Sliding(width) => Some(*width),
            Window::Full => None,
        })
    }

    /// Checks that sizes are possible and fit together; `file` names their origin in errors.
    ///
    /// # Errors
    /// [`Error::Format`] naming the field.
    pub fn validate(&self, file: &str) -> Result<(), Error> {
        let bad = |field: &str, expected: String, found: usize| {
            Err(Error::format(file, field, expected, found.to_string()))
        };
        for (field, value) in [
            ("vocab_size", self.vocab),
            ("hidden_size", self.hidden),
            ("intermediate_size", self.intermediate),
            ("num_attention_heads", self.num_heads),
            ("num_key_value_heads", self.num_kv_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_context),
        ] {
            if value == 0 || value > MAX_SIZE {
                return bad(field, format!("1 to {MAX_SIZE}"), value);
            }
        }
        if self.num_layers == 0 || self.num_layers > MAX_LAYERS {
            return bad("num_hidden_layers", format!("1 to {MAX_LAYERS}"), self.num_layers);
        }
        if !self.num_heads.is_multiple_of(self.num_kv_heads) {
            let expected = format!("a divisor of the {} query heads", self.num_heads);
            return bad("num_key_value_heads", expected, self.num_kv_heads);
        }
        for rotary in [self.rope.rotary_dim, self.sliding_rope.rotary_dim] {
            if rotary == 0 || !rotary.is_multiple_of(2) || rotary > self.head_dim {
                let expected = format!("an even number up to the head size {}", self.head_dim);
                return bad("rotary dimensions", expected, rotary);
            }
        }
        if self.windows.len() != self.num_layers {
            return bad("layer_types", format!("{} entries", self.num_layers), self.windows.len());
        }
        match self.bos.iter().chain(&self.eos).chain(&self.pad).find(|&&t| t as usize >= self.vocab)
        {
            Some(&token) => {
                bad("special token ids", format!("below {}", self.vocab), token as usize)
            }
            None => Ok(()),
        }
    }
}
