//! Keys and values of tokens whose residual stream no further block changes.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::{CausalLm, Linear, NormLayer, Rotation};
use crate::{
    cache::KvCache,
    config::{ModelConfig, Norm, QkNorm, Residual, Window},
};

/// The key and value projections of all blocks as one matrix, their norms' gains multiplied in.
///
/// A token that has left the forward pass before block `l` has the same residual stream before every
/// block from `l` on. Its keys and values in all of them are then one product, which costs a small
/// part of the blocks themselves.
///
/// ```text
/// K_j = rope(norm_k(W_k (g_j ⊙ x̂ + b_j) + c)),   V_j = W_v (g_j ⊙ x̂ + b_j) + c,   j ≥ l
/// x̂ = x / √(mean(x²) + ε), or (x − mean x) / √(var x + ε)
/// ```
#[derive(Debug)]
pub struct FrozenKv {
    /// Rows of block 0's keys, of its values, of block 1's keys, and so on.
    projection: Linear,
    /// Gains of the norm of keys, `[blocks, 1, 1 or kv_heads, head_dim]`.
    key_gain: Option<Tensor>,
    key_eps: f64,
    /// True for blocks with a sliding window, `[blocks, 1, 1, 1]`, where there are some.
    sliding: Option<Tensor>,
    config: ModelConfig,
    kind: Kind,
    device: Device,
}

/// Rows that have left a pass.
#[derive(Debug)]
pub(crate) struct Left {
    /// The first block that they skip.
    pub(crate) block: usize,
    /// Rows of the cache.
    pub(crate) rows: Vec<usize>,
    /// Their residual streams, `[rows, hidden]`.
    pub(crate) states: Tensor,
}

impl FrozenKv {
    /// The projections of `lm`, of whose adapter nothing is known here: merge it first. Arranged for
    /// products of few rows if `packed`.
    ///
    /// Takes as much memory as the key and value projections do.
    pub fn new(lm: &CausalLm, packed: bool) -> Self {
        let _guard = tch::no_grad_guard();
        let config = lm.config().clone();
        let q_dim = (config.num_heads * config.head_dim) as i64;
        let kv_dim = (config.num_kv_heads * config.head_dim) as i64;
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for block in lm.blocks() {
            let rows = block.attention.qkv.rows(q_dim, 2 * kv_dim);
            let (mut weight, mut bias) = (rows.weight, rows.bias);
            if config.residual != Residual::PostNorm {
                let wide = weight.to_kind(Kind::Float);
                let mut norm = block.attention_norm.parameters();
                let gain = norm.next().map(|g| g.to_kind(Kind::Float));
                if let Some(shift) = norm.next() {
                    let shifted = wide.matmul(&shift.to_kind(Kind::Float));
                    bias = Some(match bias {
                        Some(bias) => bias.to_kind(Kind::Float) + shifted,
                        None => shifted,
                    });
                }
                weight = gain.map_or_else(|| wide.shallow_clone(), |gain| &wide * gain);
            }
            weights.push(weight.to_kind(lm.kind()));
            biases.extend(bias.map(|b| b.to_kind(lm.kind())));
        }
        let bias = (!biases.is_empty()).then(|| Tensor::cat(&biases, 0));
        let mut projection = Linear::new(Tensor::cat(&weights, 0).detach(), bias);
        if packed {
            projection.pack();
        }
        let (mut gains, mut key_eps) = (Vec::new(), 0.0);
        for block in lm.blocks() {
            let Some([_, norm]) = &block.attention.qk_norm else { continue };
            if let NormLayer::Rms { weight, eps } = norm {
                key_eps = *eps;
                gains.push(weight.detach().view([1, 1, -1, config.head_dim as i64]));
            }
        }
        let key_gain = (!gains.is_empty()).then(|| Tensor::cat(&gains, 0));
        let sliding = config.sliding_width().map(|_| {
            let flags: Vec<bool> =
                config.windows.iter().map(|w| matches!(w, Window::Sliding(_))).collect();
            Tensor::from_slice(&flags).view([-1, 1, 1, 1]).to_device(lm.device())
        });
        let (kind, device) = (lm.kind(), lm.device());
        Self { projection, key_gain, key_eps, sliding, config, kind, device }
    }

    /// Keys, rotated, and values that some blocks make of residual streams.
    ///
    /// # Shapes
    /// - `states`: `[n, hidden]`
    /// - `positions`: `[n]`
    /// - returns: `[blocks, n, kv_heads, head_dim]` each
    ///
    /// # Panics
    /// If there are no such blocks.
    fn project(&self, states: &Tensor, positions: &[i64], blocks: Range<usize>) -> [Tensor; 2] {
        let ModelConfig { num_kv_heads, head_dim, .. } = self.config;
        let (heads, dim) = (num_kv_heads as i64, head_dim as i64);
        let (first, blocks) = (blocks.start as i64, blocks.len() as i64);
        let width = 2 * heads * dim;
        let rows = self.projection.rows(first * width, blocks * width);
        let both = rows.forward(&self.standardized(states)); // [n, blocks · 2 kv_dim]
        let both = both.view([-1, blocks, 2, heads, dim]).transpose(0, 1); // [blocks, n, 2, ..]
        let (mut keys, values) = (both.select(2, 0), both.select(2, 1));
        if let Some(gain) = &self.key_gain {
            let over = match self.config.qk_norm {
                QkNorm::Full => vec![heads, dim],
                _ => vec![dim],
            };
            keys = keys.rms_norm::<&Tensor>(over, None, self.key_eps);
            keys *= gain.narrow(0, first, blocks);
        }
        let rotate = |rope| Rotation::few(rope, positions, self.kind, self.device).apply(&keys);
        let rotated = rotate(&self.config.rope);
        let keys = match &self.sliding {
            Some(sliding) if self.config.sliding_rope != self.config.rope => {
                let sliding = sliding.narrow(0, first, blocks);
                rotate(&self.config.sliding_rope).where_self(&sliding, &rotated)
            }
            _ => rotated,
        };
        [keys, values]
    }

    /// Writes the keys and values of rows that have left as the next position of a cache.
    ///
    /// Between one block where rows left and the next, all that are out by then are one product, so
    /// that no projection is read twice and none is computed in vain.
    pub(crate) fn write(&self, left: &[Left], cache: &KvCache) {
        let mut stops: Vec<usize> = left.iter().map(|left| left.block).collect();
        stops.push(self.config.num_layers);
        stops.sort_unstable();
        stops.dedup();
        let (starts, len) = (cache.starts(), cache.len() as i64);
        for stop in stops.windows(2) {
            let out = || left.iter().filter(|left| left.block <= stop[0]);
            let rows: Vec<usize> = out().flat_map(|left| left.rows.iter().copied()).collect();
            let positions: Vec<i64> = rows.iter().map(|&row| len - starts[row]).collect();
            let states: Vec<&Tensor> = out().map(|left| &left.states).collect();
            let states = Tensor::cat(&states, 0);
            let [keys, values] = self.project(&states, &positions, stop[0]..stop[1]);
            let index = (!rows.is_sorted() || rows.len() < cache.batch()).then(|| {
                let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
                Tensor::from_slice(&rows).to_device(self.device)
            });
            cache.fill(stop[0], index.as_ref(), &keys, &values);
        }
    }

    /// The norm before attention, without gain and bias.
    fn standardized(&self, x: &Tensor) -> Tensor {
        let hidden = [self.config.hidden as i64];
        match (self.config.residual, self.config.norm) {
            (Residual::PostNorm, _) => x.shallow_clone(),
            (_, Norm::Rms { eps }) => x.rms_norm::<&Tensor>(hidden, None, eps),
            (_, Norm::Layer { eps }) => x.layer_norm::<&Tensor>(hidden, None, None, eps, false),
        }
    }
}
