//! Attention for some of the tokens of a batch, or some of the rows of a cache.

use tch::{Kind, Tensor};

use super::{Attention, LayerCache, Shape};
use crate::{
    config::Window,
    lora::LayerLora,
    model::{
        plan::{Mask, Plan, View},
        rope::Rotation,
    },
};

/// Which tokens of a batch run a block.
#[derive(Debug)]
pub(crate) struct Tokens<'a> {
    /// Their places in the flattened batch, `[n]`, i64.
    pub(crate) index: &'a Tensor,
    /// Tokens that no other sees in this block, `[batch, seq]`, where there are some.
    pub(crate) hidden: Option<&'a Tensor>,
}

impl Attention {
    /// Keys and values of every token, adapters applied, side by side: `[.., 2 kv_dim]`.
    pub(crate) fn keys_values(&self, x: &Tensor, lora: Option<&LayerLora>) -> Tensor {
        let Shape { num_heads, num_kv_heads, head_dim, .. } = self.shape;
        let kv_dim = num_kv_heads * head_dim;
        let (k, v) = (lora.and_then(|l| l.k.as_ref()), lora.and_then(|l| l.v.as_ref()));
        let rows = self.qkv.rows(num_heads * head_dim, 2 * kv_dim);
        rows.forward_adapted(x, &[(kv_dim, k), (kv_dim, v)])
    }

    /// Attention of some tokens over all.
    ///
    /// # Shapes
    /// - `own`: `[n, hidden]`, what attention reads of `tokens`
    /// - `keys_values`: `[batch, seq, 2 kv_dim]`
    /// - returns: `[n, hidden]`
    pub(crate) fn forward_some(
        &self,
        own: &Tensor,
        keys_values: &Tensor,
        tokens: &Tokens<'_>,
        plan: &Plan,
        window: Window,
        lora: Option<&LayerLora>,
    ) -> Tensor {
        let View::General { rotation, mask } = plan.view(window) else {
            unreachable!("a whole batch has a general plan")
        };
        let Shape { num_heads, head_dim, .. } = self.shape;
        let q_dim = num_heads * head_dim;
        let pair = lora.and_then(|l| l.q.as_ref());
        let queries = self.qkv.rows(0, q_dim).forward_adapted(own, &[(q_dim, pair)]); // [n, q_dim]
        let size = keys_values.size();
        // The others' queries are zeros, and what they see is left out below: next to the products
        // that are saved, attention itself is little.
        let queries = queries
            .new_zeros([size[0] * size[1], q_dim], (queries.kind(), queries.device()))
            .index_copy(0, tokens.index, &queries)
            .view([size[0], size[1], q_dim]);
        let qkv = Tensor::cat(&[&queries, keys_values], -1);
        let hiding = tokens.hidden.map(|hidden| {
            let in_rows = plan.rows().map(|rows| rows.spread_flags(hidden));
            mask.hiding(in_rows.as_ref().unwrap_or(hidden), keys_values.kind())
        });
        let mask = hiding.as_ref().unwrap_or(mask);
        let mixed = self.general(&qkv, rotation, mask, plan.rows(), None);
        let mixed = mixed.flatten(0, 1).index_select(0, tokens.index);
        self.out.forward_adapted(&mixed, &[(self.out.out_dim(), lora.and_then(|l| l.o.as_ref()))])
    }

    /// One new token for some rows of a cache, in libtorch's operations: the others' queries are
    /// zeros, and nothing of theirs is written.
    ///
    /// # Shapes
    /// - `qkv`: `[rows, 1, q_dim + 2 kv_dim]`
    /// - returns: `[rows, 1, q_dim]`
    pub(super) fn general_rows(
        &self,
        qkv: &Tensor,
        rotation: &Rotation,
        mask: &Mask,
        cache: &LayerCache<'_>,
    ) -> Tensor {
        let batch = cache.keys.size()[0];
        let all = match cache.rows {
            None => qkv.shallow_clone(),
            Some(rows) => qkv
                .new_zeros([batch, 1, qkv.size()[2]], (qkv.kind(), qkv.device()))
                .index_copy(0, rows, qkv),
        };
        let heads = self.heads(&all);
        let queries = rotation.apply(&heads.queries);
        let keys = rotation.apply(&heads.keys).transpose(1, 2); // [batch, kv_heads, 1, head_dim]
        for (cached, new) in [(cache.keys, keys), (cache.values, heads.values.transpose(1, 2))] {
            let mut place = cached.narrow(2, cache.len, 1);
            match cache.rows {
                None => place.copy_(&new),
                Some(rows) => drop(place.index_copy_(0, rows, &new.index_select(0, rows))),
            }
        }
        let total = cache.len + 1;
        let [keys, values] = [cache.keys, cache.values].map(|t| t.narrow(2, 0, total));
        let hiding = cache.hidden.map(|hidden| {
            let bars = bars(&hidden.narrow(1, 0, total).view([batch, 1, 1, total]), keys.kind());
            match mask {
                Mask::Additive(mask) => Mask::Additive(mask + bars),
                _ => Mask::Additive(bars),
            }
        });
        let mixed = self.over_cache(&queries, &keys, &values, hiding.as_ref().unwrap_or(mask));
        match cache.rows {
            None => mixed,
            Some(rows) => mixed.index_select(0, rows),
        }
    }
}

impl Mask {
    /// The mask of a whole batch without the keys of `hidden: [batch, seq]`, which see themselves
    /// still: a query that sees nothing would be NaN.
    fn hiding(&self, hidden: &Tensor, kind: Kind) -> Self {
        let [batch, seq] = hidden.size()[..] else { unreachable!("a mask of a batch") };
        let others = Tensor::eye(seq, (Kind::Bool, hidden.device())).logical_not();
        let barred = hidden.view([batch, 1, 1, seq]).logical_and(&others.view([1, 1, seq, seq]));
        let bars = bars(&barred, kind);
        match self {
            Self::All => Self::Additive(bars),
            Self::Additive(mask) => Self::Additive(mask + bars),
            Self::Causal => match Self::causal(seq, kind, hidden.device()) {
                Self::Additive(mask) => Self::Additive(mask + bars),
                other => other,
            },
        }
    }
}

/// −∞ where barred, 0 elsewhere.
fn bars(barred: &Tensor, kind: Kind) -> Tensor {
    Tensor::zeros(barred.size(), (kind, barred.device())).masked_fill_(barred, f64::NEG_INFINITY)
}
