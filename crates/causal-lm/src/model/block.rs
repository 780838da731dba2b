//! One transformer block.

use tch::Tensor;

use super::{
    attention::{Attention, LayerCache, Tokens},
    linear::Linear,
    norm::NormLayer,
    plan::Plan,
};
use crate::{
    config::{Activation, Mlp, Residual, Window},
    kernel::silu_mul,
    lora::LayerLora,
};

/// The residual stream, and what the last branch has yet to add to it.
///
/// The addition is left to the next norm, which can do both in one pass.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) x: Tensor,
    pub(crate) pending: Option<Tensor>,
}

impl Stream {
    /// The stream, and its norm.
    pub(crate) fn norm(self, norm: &NormLayer, fused: bool) -> (Tensor, Tensor) {
        norm.add_forward(self.x, self.pending.as_ref(), fused)
    }

    /// The stream, all branches added.
    pub(crate) fn sum(self) -> Tensor {
        match self.pending {
            Some(pending) => self.x + pending,
            None => self.x,
        }
    }
}

/// The feed-forward part of a block.
#[derive(Debug)]
pub struct FeedForward {
    /// Rows of the gate, then of up; only up where there is no gate.
    pub up: Linear,
    /// Back to the residual stream.
    pub down: Linear,
    pub(crate) mlp: Mlp,
    pub(crate) activation: Activation,
}

impl FeedForward {
    fn forward(&self, x: &Tensor, fused: bool, lora: Option<&LayerLora>) -> Tensor {
        let wide = self.widen(x, lora);
        let one_pass = match (self.mlp, self.activation) {
            (Mlp::Gated, Activation::Silu) if fused => silu_mul(&wide),
            _ => None,
        };
        let inner = one_pass.unwrap_or_else(|| match self.mlp {
            Mlp::Gated => {
                let halves = wide.chunk(2, -1);
                self.activate(&halves[0]) * &halves[1]
            }
            Mlp::Plain => self.activate(&wide),
        });
        let pair = lora.and_then(|l| l.down.as_ref());
        self.down.forward_adapted(&inner, &[(self.down.out_dim(), pair)])
    }

    /// Gate and up side by side, or up alone, adapters applied.
    fn widen(&self, x: &Tensor, lora: Option<&LayerLora>) -> Tensor {
        let Some(lora) = lora else { return self.up.forward(x) };
        let (rows, gate, up) = (self.up.out_dim(), lora.gate.as_ref(), lora.up.as_ref());
        match self.mlp {
            Mlp::Gated => self.up.forward_adapted(x, &[(rows / 2, gate), (rows / 2, up)]),
            Mlp::Plain => self.up.forward_adapted(x, &[(rows, up)]),
        }
    }

    fn activate(&self, x: &Tensor) -> Tensor {
        match self.activation {
            Activation::Silu => x.silu(),
            Activation::Gelu => x.gelu("none"),
            Activation::GeluTanh => x.gelu("tanh"),
        }
    }
}

/// Attention and feed-forward part with their norms.
#[derive(Debug)]
pub struct Block {
    /// First norm: before attention, or after it in a post-norm block.
    pub attention_norm: NormLayer,
    /// Attention.
    pub attention: Attention,
    /// Second norm: before the feed-forward part, or after it in a post-norm block.
    pub feed_forward_norm: NormLayer,
    /// Feed-forward part.
    pub feed_forward: FeedForward,
    pub(crate) residual: Residual,
    pub(crate) window: Window,
    /// Whether the kernels of `kernel` take the place of libtorch's operations.
    pub(crate) fused: bool,
}

impl Block {
    /// The residual stream after this block.
    pub(crate) fn forward(
        &self,
        stream: Stream,
        plan: &Plan,
        cache: Option<LayerCache<'_>>,
        lora: Option<&LayerLora>,
    ) -> Stream {
        let attend = |x: &Tensor| self.attention.forward(x, plan, self.window, cache, lora);
        self.around(stream, attend, lora)
    }

    /// The residual stream after this block if only `tokens` run it: the others keep theirs, and are
    /// seen through the keys and values that it gives.
    pub(crate) fn forward_some(
        &self,
        x: &Tensor,
        tokens: &Tokens<'_>,
        plan: &Plan,
        lora: Option<&LayerLora>,
    ) -> Tensor {
        let flat = x.flatten(0, 1); // [batch · seq, hidden]
        let keys_values = self.attention.keys_values(&self.attention_input(x), lora);
        let attend = |own: &Tensor| {
            self.attention.forward_some(own, &keys_values, tokens, plan, self.window, lora)
        };
        let stream = Stream { x: flat.index_select(0, tokens.index), pending: None };
        let own = self.around(stream, attend, lora).sum();
        flat.index_copy(0, tokens.index, &own).view_as(x)
    }

    /// What attention reads of a residual stream.
    pub(crate) fn attention_input(&self, x: &Tensor) -> Tensor {
        match self.residual {
            Residual::PostNorm => x.shallow_clone(),
            _ => self.attention_norm.forward(x),
        }
    }

    /// The block, with attention as `attend` has it.
    fn around(
        &self,
        stream: Stream,
        attend: impl FnOnce(&Tensor) -> Tensor,
        lora: Option<&LayerLora>,
    ) -> Stream {
        let feed = |x: &Tensor| self.feed_forward.forward(x, self.fused, lora);
        let (first, second) = (&self.attention_norm, &self.feed_forward_norm);
        match self.residual {
            Residual::PreNorm | Residual::Sequential => {
                let (x, normed) = stream.norm(first, self.fused);
                let (x, normed) =
                    Stream { x, pending: Some(attend(&normed)) }.norm(second, self.fused);
                Stream { x, pending: Some(feed(&normed)) }
            }
            Residual::PostNorm => {
                let x = stream.sum();
                let x = &x + first.forward(&attend(&x));
                let branch = second.forward(&feed(&x));
                Stream { x, pending: Some(branch) }
            }
            Residual::Parallel => {
                let x = stream.sum();
                let branches = attend(&first.forward(&x)) + feed(&second.forward(&x));
                Stream { x, pending: Some(branches) }
            }
        }
    }

    pub(crate) fn shallow_clone(&self) -> Self {
        let mut clone = self.map(&Tensor::shallow_clone);
        clone.attention = self.attention.shallow_clone();
        clone.feed_forward.up = self.feed_forward.up.shallow_clone();
        clone.feed_forward.down = self.feed_forward.down.shallow_clone();
        clone.fused = self.fused;
        clone
    }

    /// The block whose tensors are those of this one after `change`, in libtorch's operations.
    pub(crate) fn map(&self, change: &impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            attention_norm: self.attention_norm.map(change),
            attention: self.attention.map(change),
            feed_forward_norm: self.feed_forward_norm.map(change),
            feed_forward: FeedForward {
                up: self.feed_forward.up.map(change),
                down: self.feed_forward.down.map(change),
                mlp: self.feed_forward.mlp,
                activation: self.feed_forward.activation,
            },
            residual: self.residual,
            window: self.window,
            fused: false,
        }
    }

    /// Every trainable tensor of the block, by its place.
    pub(crate) fn named_parameters<'a>(&'a self) -> Vec<(String, &'a Tensor)> {
        fn named<'a>(
            name: &str,
            tensors: impl Iterator<Item = &'a Tensor>,
        ) -> impl Iterator<Item = (String, &'a Tensor)> {
            ["weight", "bias"].iter().zip(tensors).map(move |(p, t)| (format!("{name}.{p}"), t))
        }
        let norm = |name, part: &'a NormLayer| named(name, part.parameters());
        let linear = |name, part: &'a Linear| named(name, part.parameters());
        let mut out: Vec<_> = norm("attention_norm", &self.attention_norm).collect();
        out.extend(linear("attention.qkv", &self.attention.qkv));
        out.extend(linear("attention.out", &self.attention.out));
        if let Some([q, k]) = &self.attention.qk_norm {
            out.extend(norm("attention.q_norm", q));
            out.extend(norm("attention.k_norm", k));
        }
        out.extend(norm("feed_forward_norm", &self.feed_forward_norm));
        out.extend(linear("feed_forward.up", &self.feed_forward.up));
        out.extend(linear("feed_forward.down", &self.feed_forward.down));
        out
    }
}
