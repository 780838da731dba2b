//! Grouped-query attention over a whole batch or over a cache.

mod some;

pub(crate) use some::Tokens;
use tch::{Kind, Tensor};

use super::{
    linear::Linear,
    norm::NormLayer,
    plan::{Mask, Plan, View},
    rope::Rotation,
    tree::Rows,
};
use crate::{
    config::{ModelConfig, QkNorm, Window},
    lora::LayerLora,
};

/// Longest sequence whose scores are held.
const SHORT: i64 = 512;

/// Projections of one block's attention.
#[derive(Debug)]
pub struct Attention {
    /// Rows of q, then of k, then of v.
    pub qkv: Linear,
    /// Output projection.
    pub out: Linear,
    /// Norms of q and of k, if the family has them.
    pub qk_norm: Option<[NormLayer; 2]>,
    shape: Shape,
}

/// Head counts of an attention.
#[derive(Debug, Clone, Copy)]
struct Shape {
    num_heads: i64,
    num_kv_heads: i64,
    head_dim: i64,
    qk_norm: QkNorm,
}

/// Keys and values of one block: the cached past, into which new ones are written.
#[derive(Debug)]
pub(crate) struct LayerCache<'a> {
    /// `[batch, kv_heads, capacity, head_dim]`.
    pub(crate) keys: &'a Tensor,
    /// As `keys`.
    pub(crate) values: &'a Tensor,
    /// Positions already written.
    pub(crate) len: i64,
    /// Rows of the cache that the new tokens belong to, `[rows]`, where they are not all.
    pub(crate) rows: Option<&'a Tensor>,
    /// Positions that nothing sees, `[batch, capacity]`, where there are some.
    pub(crate) hidden: Option<&'a Tensor>,
}

impl Attention {
    pub(crate) fn new(
        config: &ModelConfig,
        qkv: Linear,
        out: Linear,
        qk_norm: Option<[NormLayer; 2]>,
    ) -> Self {
        let shape = Shape {
            num_heads: config.num_heads as i64,
            num_kv_heads: config.num_kv_heads as i64,
            head_dim: config.head_dim as i64,
            qk_norm: config.qk_norm,
        };
        Self { qkv, out, qk_norm, shape }
    }

    pub(crate) fn shallow_clone(&self) -> Self {
        Self {
            qkv: self.qkv.shallow_clone(),
            out: self.out.shallow_clone(),
            ..self.map(&Tensor::shallow_clone)
        }
    }

    pub(crate) fn map(&self, change: &impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            qkv: self.qkv.map(change),
            out: self.out.map(change),
            qk_norm: self.qk_norm.as_ref().map(|norms| norms.each_ref().map(|n| n.map(change))),
            shape: self.shape,
        }
    }

    /// Attention of `x: [batch, seq, hidden]`, giving the same shape.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        plan: &Plan,
        window: Window,
        cache: Option<LayerCache<'_>>,
        lora: Option<&LayerLora>,
    ) -> Tensor {
        let mixed = match (plan.view(window), cache) {
            (View::General { rotation, mask }, Some(cache))
                if cache.rows.is_some() || cache.hidden.is_some() =>
            {
                self.general_rows(&self.project(x, lora), rotation, mask, &cache)
            }
            (View::General { rotation, mask }, cache) => {
                self.general(&self.project(x, lora), rotation, mask, plan.rows(), cache)
            }
            (View::Step(step), Some(cache)) => {
                let qkv = self.fused(self.project(x, lora));
                let Shape { num_heads, num_kv_heads, head_dim, .. } = self.shape;
                let sizes = [num_heads, num_kv_heads, head_dim].map(|n| n as usize);
                step.attend(sizes, window, &qkv, cache.keys, cache.values)
                    .expect("the plan was made for this cache")
            }
            (View::Step(_), None) => unreachable!("a step has a cache"),
        };
        self.out.forward_adapted(&mixed, &[(self.out.out_dim(), lora.and_then(|l| l.o.as_ref()))])
    }

    /// q, k and v of every token, adapters applied, side by side: `[batch, seq, q_dim + 2 kv_dim]`.
    fn project(&self, x: &Tensor, lora: Option<&LayerLora>) -> Tensor {
        let Some(lora) = lora else { return self.qkv.forward(x) };
        let Shape { num_heads, num_kv_heads, head_dim, .. } = self.shape;
        let kv_dim = num_kv_heads * head_dim;
        let (q, k, v) = (lora.q.as_ref(), lora.k.as_ref(), lora.v.as_ref());
        self.qkv.forward_adapted(x, &[(num_heads * head_dim, q), (kv_dim, k), (kv_dim, v)])
    }

    fn split(&self, qkv: &Tensor) -> Vec<Tensor> {
        let Shape { num_heads, num_kv_heads, head_dim, .. } = self.shape;
        let kv_dim = num_kv_heads * head_dim;
        qkv.split_with_sizes([num_heads * head_dim, kv_dim, kv_dim], -1)
    }

    /// Norms of queries and keys, if the family has them, and the way back to one tensor.
    fn fused(&self, qkv: Tensor) -> Tensor {
        if self.qk_norm.is_none() {
            return qkv;
        }
        let heads = self.heads(&qkv);
        let flat = |t: &Tensor| t.flatten(2, 3);
        Tensor::cat(&[flat(&heads.queries), flat(&heads.keys), flat(&heads.values)], -1)
    }

    fn heads(&self, qkv: &Tensor) -> Heads {
        let Shape { num_heads, num_kv_heads, head_dim, qk_norm } = self.shape;
        let mut parts = self.split(qkv);
        if let (QkNorm::Full, Some(norms)) = (qk_norm, &self.qk_norm) {
            for (part, norm) in parts.iter_mut().zip(norms) {
                *part = norm.forward(part);
            }
        }
        let size = qkv.size();
        let split = |part: &Tensor, heads| part.reshape([size[0], size[1], heads, head_dim]);
        let mut queries = split(&parts[0], num_heads);
        let mut keys = split(&parts[1], num_kv_heads);
        let values = split(&parts[2], num_kv_heads);
        if let (QkNorm::PerHead, Some([q_norm, k_norm])) = (qk_norm, &self.qk_norm) {
            queries = q_norm.forward(&queries);
            keys = k_norm.forward(&keys);
        }
        Heads { queries, keys, values }
    }

    /// Any number of new tokens, with or without a cache, in libtorch's operations.
    fn general(
        &self,
        qkv: &Tensor,
        rotation: &Rotation,
        mask: &Mask,
        rows: Option<&Rows>,
        cache: Option<LayerCache<'_>>,
    ) -> Tensor {
        let heads = self.heads(qkv);
        let mut queries = rotation.apply(&heads.queries); // [batch, seq, heads, head_dim]
        let (mut keys, mut values) = (rotation.apply(&heads.keys), heads.values);
        if let Some(rows) = rows {
            [queries, keys, values] = [queries, keys, values].map(|part| rows.spread(&part));
        }
        let keys = keys.transpose(1, 2); // [batch, kv_heads, seq, head_dim]
        let values = values.transpose(1, 2);
        if let Some(rows) = rows {
            return rows.gather(&self.over_batch(&queries, &keys, &values, mask));
        }
        let Some(cache) = cache else { return self.over_batch(&queries, &keys, &values, mask) };
        write(cache.keys, cache.len, &keys);
        write(cache.values, cache.len, &values);
        if cache.len == 0 {
            return self.over_batch(&queries, &keys, &values, mask);
        }
        let total = cache.len + keys.size()[2];
        let (keys, values) = (cache.keys.narrow(2, 0, total), cache.values.narrow(2, 0, total));
        self.over_cache(&queries, &keys, &values, mask)
    }

    /// Many queries: libtorch's blocked kernel, which never holds the scores of all pairs.
    ///
    /// Its backward pass multiplies in f32 whatever the type, so short sequences in a narrower one
    /// take two batched products instead; without a gradient too, since what is measured must be
    /// what is trained, to the bit.
    fn over_batch(&self, queries: &Tensor, keys: &Tensor, values: &Tensor, mask: &Mask) -> Tensor {
        let seq = keys.size()[2];
        let narrow = !matches!(queries.kind(), Kind::Float | Kind::Double);
        if narrow && seq <= SHORT {
            return match mask {
                Mask::Causal => {
                    let causal = Mask::causal(seq, keys.kind(), keys.device());
                    self.over_cache(queries, keys, values, &causal)
                }
                mask => self.over_cache(queries, keys, values, mask),
            };
        }
        let queries = queries.transpose(1, 2);
        let (mask, causal) = match mask {
            Mask::Causal => (None, true),
            Mask::All => (None, false),
            Mask::Additive(mask) => (Some(mask), false),
        };
        let grouped = self.shape.num_heads != self.shape.num_kv_heads;
        Tensor::scaled_dot_product_attention(
            &queries, keys, values, mask, 0.0, causal, None, grouped,
        )
        .transpose(1, 2)
        .flatten(2, 3)
    }

    /// Few queries: the heads of a group are the rows of one product with their shared keys, so
    /// that keys and values are read once and never repeated.
    fn over_cache(&self, queries: &Tensor, keys: &Tensor, values: &Tensor, mask: &Mask) -> Tensor {
        let Shape { num_heads, num_kv_heads, head_dim, .. } = self.shape;
        let size = queries.size();
        let (batch, new, group) = (size[0], size[1], num_heads / num_kv_heads);
        let rows = (queries * (head_dim as f64).sqrt().recip())
            .view([batch, new, num_kv_heads, group, head_dim])
            .permute([0, 2, 3, 1, 4])
            .reshape([batch, num_kv_heads, group * new, head_dim]);
        let mut scores = rows.matmul(&keys.transpose(2, 3)); // [batch, kv_heads, group · new, keys]
        if let Mask::Additive(mask) = mask {
            // One query row a group member: repeat the mask's query dimension for each.
            scores += if new == 1 { mask.shallow_clone() } else { mask.repeat([1, 1, group, 1]) };
        }
        // Whatever the type, the sum is taken in f32.
        scores
            .softmax(-1, values.kind())
            .matmul(values) // [batch, kv_heads, group · new, head_dim]
            .view([batch, num_kv_heads, group, new, head_dim])
            .permute([0, 3, 1, 2, 4])
            .reshape([batch, new, num_heads * head_dim])
    }
}

/// Split projections, each `[batch, seq, heads, head_dim]`.
struct Heads {
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
}

/// Copies `new` into `cache` from position `at` on.
fn write(cache: &Tensor, at: i64, new: &Tensor) {
    cache.narrow(2, at, new.size()[2]).copy_(new);
}
