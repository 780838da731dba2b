//! The decoder: blocks, forward passes, and the way from and to published tensors.

mod attention;
mod block;
mod build;
mod frozen;
mod linear;
mod norm;
mod pass;
mod plan;
mod rope;
mod tree;

pub use attention::Attention;
pub(crate) use attention::LayerCache;
use block::Stream;
pub use block::{Block, FeedForward};
pub(crate) use build::{deinterleave, interleave, published_shapes};
pub use frozen::FrozenKv;
pub use linear::Linear;
pub use norm::NormLayer;
pub use pass::{Pass, Skipped, StepPass};
pub use plan::{Layout, Plan};
pub use rope::{Rotation, frequencies};
use tch::{Device, Kind, Tensor};
pub use tree::Branch;

use crate::{
    Error,
    cache::KvCache,
    config::{Mlp, ModelConfig},
    kernel::PackedMatrix,
    lora::LoraAdapter,
};

/// A decoder language model: base weights, and an adapter if one is switched on.
///
/// Cloning with [`CausalLm::shallow_clone`], [`CausalLm::with_adapter`] or [`CausalLm::base`] is
/// cheap and shares the weights, so a policy and its frozen reference need them only once.
#[derive(Debug)]
pub struct CausalLm {
    config: ModelConfig,
    /// `[vocab, hidden]`.
    embedding: Tensor,
    blocks: Vec<Block>,
    final_norm: NormLayer,
    /// `[vocab, hidden]`; absent where the embedding is the head.
    head: Option<Tensor>,
    packed_head: Option<PackedMatrix>,
    /// Whether the kernels of `kernel` take the place of libtorch's operations.
    fused: bool,
    adapter: Option<LoraAdapter>,
}

impl CausalLm {
    /// What the model is made of.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Type of the weights.
    pub fn kind(&self) -> Kind {
        self.embedding.kind()
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.embedding.device()
    }

    /// The blocks, first to last.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The norm before the head.
    pub fn final_norm(&self) -> &NormLayer {
        &self.final_norm
    }

    /// The output head, `[vocab, hidden]`: the embedding itself where they are tied.
    pub fn head(&self) -> &Tensor {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// The input embedding, `[vocab, hidden]`.
    pub fn embedding(&self) -> &Tensor {
        &self.embedding
    }

    /// The adapter that is switched on.
    pub fn adapter(&self) -> Option<&LoraAdapter> {
        self.adapter.as_ref()
    }

    /// Another handle on the same weights and adapter.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        let mut clone = self.base();
        clone.adapter = self.adapter.as_ref().map(LoraAdapter::shallow_clone);
        clone
    }

    /// The same weights without an adapter.
    #[must_use]
    pub fn base(&self) -> Self {
        Self {
            config: self.config.clone(),
            embedding: self.embedding.shallow_clone(),
            blocks: self.blocks.iter().map(Block::shallow_clone).collect(),
            final_norm: self.final_norm.shallow_clone(),
            head: self.head.as_ref().map(Tensor::shallow_clone),
            packed_head: self.packed_head.as_ref().map(PackedMatrix::shallow_clone),
            fused: self.fused,
            adapter: None,
        }
    }

    /// The same weights with `adapter` switched on, or with none.
    ///
    /// # Errors
    /// [`Error::Shape`] if the adapter was made for another model.
    pub fn with_adapter(&self, adapter: Option<LoraAdapter>) -> Result<Self, Error> {
        if let Some(adapter) = &adapter {
            adapter.check(&self.config)?;
        }
        let mut clone = self.base();
        clone.adapter = adapter;
        Ok(clone)
    }

    /// The same model with its matrices arranged a second time for products of few rows, which makes
    /// decoding two to three times as fast and takes as much memory again.
    ///
    /// For inference: later changes of the weights do not reach the arranged copies. An adapter is
    /// applied as it is.
    #[must_use]
    pub fn packed(&self) -> Self {
        let mut packed = self.shallow_clone();
        for block in &mut packed.blocks {
            block.attention.qkv.pack();
            block.attention.out.pack();
            block.feed_forward.up.pack();
            block.feed_forward.down.pack();
            block.fused = true;
            block.attention_norm = block.attention_norm.map(&Tensor::detach);
            block.feed_forward_norm = block.feed_forward_norm.map(&Tensor::detach);
        }
        packed.fused = true;
        packed.embedding = packed.embedding.detach();
        packed.final_norm = packed.final_norm.map(&Tensor::detach);
        packed.packed_head = PackedMatrix::pack(self.head());
        packed
    }

    /// Number of weights, a tied head counted once.
    pub fn num_parameters(&self) -> usize {
        self.parameters().iter().map(|t| t.numel()).sum()
    }

    /// Every tensor of the base weights, in the order of the forward pass.
    pub fn parameters(&self) -> Vec<&Tensor> {
        self.named_parameters().into_iter().map(|(_, t)| t).collect()
    }

    /// As [`CausalLm::parameters`], each with the name of its place in this crate's layout, where
    /// q, k and v are one matrix, and gate and up too.
    pub fn named_parameters(&self) -> Vec<(String, &Tensor)> {
        let mut out = vec![("embedding".to_owned(), &self.embedding)];
        for (i, block) in self.blocks.iter().enumerate() {
            let named = block.named_parameters();
            out.extend(named.into_iter().map(|(name, t)| (format!("blocks.{i}.{name}"), t)));
        }
        let parts = ["final_norm.weight", "final_norm.bias"];
        out.extend(parts.into_iter().map(str::to_owned).zip(self.final_norm.parameters()));
        out.extend(self.head.iter().map(|t| ("head".to_owned(), t)));
        out
    }

    /// The model whose weights are those of this one in another type; gradients flow back through
    /// the conversion.
    ///
    /// With f32 leaves and a forward pass in bf16, gradients come and add up in f32.
    #[must_use]
    pub fn to_kind(&self, kind: Kind) -> Self {
        self.map(&|t: &Tensor| t.to_kind(kind))
    }

    /// The same weights as leaves of their own, which ask for gradients: what full fine-tuning
    /// trains.
    #[must_use]
    pub fn trainable_copy(&self, kind: Kind) -> Self {
        self.map(&|t: &Tensor| t.detach().to_kind(kind).copy().set_requires_grad(true))
    }

    /// The model whose weights are those of this one with its adapter added in, and that has none.
    ///
    /// Sums are taken in f32 and rounded to the weights' type. Only the adapted matrices are copied.
    #[must_use]
    pub fn merged(&self) -> Self {
        let _guard = tch::no_grad_guard();
        let mut merged = self.base();
        let Some(adapter) = &self.adapter else { return merged };
        merged.packed_head = None;
        merged.fused = false;
        for (i, block) in merged.blocks.iter_mut().enumerate() {
            *block = block.map(&Tensor::shallow_clone);
            let lora = adapter.layer(i);
            let q_dim = self.config.num_heads * self.config.head_dim;
            let kv_dim = self.config.num_kv_heads * self.config.head_dim;
            let wide = self.config.intermediate;
            let gate_rows = if self.config.mlp == Mlp::Gated { wide } else { 0 };
            let qkv = [(0, &lora.q), (q_dim, &lora.k), (q_dim + kv_dim, &lora.v)];
            block.attention.qkv.add_rows(&qkv);
            block.attention.out.add_rows(&[(0, &lora.o)]);
            block.feed_forward.up.add_rows(&[(0, &lora.gate), (gate_rows, &lora.up)]);
            block.feed_forward.down.add_rows(&[(0, &lora.down)]);
        }
        merged
    }

    fn map(&self, change: &impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            config: self.config.clone(),
            embedding: change(&self.embedding),
            blocks: self.blocks.iter().map(|b| b.map(change)).collect(),
            final_norm: self.final_norm.map(change),
            head: self.head.as_ref().map(change),
            packed_head: None,
            fused: false,
            adapter: self.adapter.as_ref().map(LoraAdapter::shallow_clone),
        }
    }

    /// Hidden states after the final norm, for a whole batch from its first token on.
    ///
    /// Differentiable in every tensor that requires a gradient. What stands at padding positions is
    /// unspecified but finite.
    ///
    /// # Shapes
    /// - `input_ids`: `[batch, seq]`, integers
    /// - returns: `[batch, seq, hidden]`
    ///
    /// # Errors
    /// [`Error::Shape`] if `input_ids` is not a matrix, is empty, is longer than the context, or
    /// does not fit `layout`.
    pub fn hidden(&self, input_ids: &Tensor, layout: &Layout) -> Result<Tensor, Error> {
        let plan = self.plan(input_ids, layout)?;
        Ok(self.run(input_ids, &plan, None))
    }

    /// Checks a batch, and says where its tokens are and what they see.
    fn plan(&self, input_ids: &Tensor, layout: &Layout) -> Result<Plan, Error> {
        let [batch, seq] = check_ids(input_ids)?;
        layout.validate(batch, seq)?;
        self.check_length(layout.longest(seq))?;
        Ok(Plan::of_batch(&self.config, layout, seq, self.kind(), self.device()))
    }

    /// Hidden states of `input_ids: [batch, new]` after those in `cache`, which grows by `new`.
    ///
    /// An empty cache makes this the prefill: rows are then padded on the left as the cache says.
    ///
    /// # Errors
    /// [`Error::Shape`] if the batch is not the cache's or there is no room left.
    pub fn hidden_cached(&self, input_ids: &Tensor, cache: &mut KvCache) -> Result<Tensor, Error> {
        let [batch, new] = check_ids(input_ids)?;
        self.check_length(new)?;
        if batch != cache.batch() || cache.len() + new > cache.capacity() {
            return Err(Error::Shape {
                what: "tokens to append to the cache".into(),
                expected: format!(
                    "{} rows, at most {} tokens",
                    cache.batch(),
                    cache.capacity() - cache.len()
                ),
                found: format!("{batch} rows, {new} tokens"),
            });
        }
        let plan = if cache.is_empty() {
            let lengths: Vec<usize> =
                cache.starts().iter().map(|&s| new.saturating_sub(s as usize)).collect();
            let layout = Layout::LeftPadded(lengths);
            layout.validate(batch, new)?;
            Plan::of_batch(&self.config, &layout, new, self.kind(), self.device())
        } else {
            let place = (self.kind(), self.device());
            Plan::after_cache(&self.config, cache, new as i64, self.fused, place)
        };
        let hidden = self.run(input_ids, &plan, Some(cache));
        cache.advance(new);
        Ok(hidden)
    }

    /// Logits of hidden states, in f32.
    ///
    /// # Shapes
    /// - `hidden`: `[.., hidden]`
    /// - returns: `[.., vocab]`
    pub fn logits(&self, hidden: &Tensor) -> Tensor {
        match self.packed_head.as_ref().and_then(|p| p.apply(hidden, true)) {
            Some(logits) => logits,
            None => hidden.linear::<&Tensor>(self.head(), None).to_kind(Kind::Float),
        }
    }

    /// The embedded tokens: the residual stream before the first block.
    pub fn embed(&self, input_ids: &Tensor) -> Tensor {
        Tensor::embedding(&self.embedding, input_ids, -1, false, false)
    }

    fn run(&self, input_ids: &Tensor, plan: &Plan, cache: Option<&KvCache>) -> Tensor {
        let mut stream = Stream { x: self.embed(input_ids), pending: None };
        for (i, block) in self.blocks.iter().enumerate() {
            let lora = self.adapter.as_ref().map(|a| a.layer(i));
            stream = block.forward(stream, plan, cache.map(|c| c.layer(i)), lora);
        }
        stream.norm(&self.final_norm, self.fused).1
    }

    fn check_length(&self, row: usize) -> Result<(), Error> {
        if row <= self.config.max_context {
            return Ok(());
        }
        let expected = format!("at most {} tokens a row", self.config.max_context);
        Err(Error::Shape { what: "input_ids".into(), expected, found: row.to_string() })
    }
}

fn check_ids(input_ids: &Tensor) -> Result<[usize; 2], Error> {
    match input_ids.size()[..] {
        [batch, seq] if batch > 0 && seq > 0 => Ok([batch as usize, seq as usize]),
        ref size => Err(Error::Shape {
            what: "input_ids".into(),
            expected: "[batch, seq], neither zero".into(),
            found: format!("{size:?}"),
        }),
    }
}
