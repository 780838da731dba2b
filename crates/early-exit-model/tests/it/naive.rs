//! The forward pass written out token by token in f64, with the published rule: a token that has left
//! keeps its residual stream, and every later block makes its key and value of that.

use causal_lm::{
    CausalLm,
    config::{Activation, Mlp, QkNorm, Residual},
    model::{Block, Linear, NormLayer, frequencies},
};
use early_exit_model::Skipped;
use tch::{Kind, Tensor};

fn wide(t: &Tensor) -> Tensor {
    t.detach().to_kind(Kind::Double)
}

fn apply(linear: &Linear, x: &Tensor) -> Tensor {
    let y = wide(&linear.weight).mv(x);
    linear.bias.as_ref().map_or_else(|| y.shallow_clone(), |b| &y + wide(b))
}

fn norm(layer: &NormLayer, x: &Tensor) -> Tensor {
    match layer {
        NormLayer::Rms { weight, eps } => {
            x * (x.square().mean(Kind::Double) + *eps).rsqrt() * wide(weight)
        }
        NormLayer::Layer { weight, bias, eps } => {
            let centered = x - x.mean(Kind::Double);
            let var = centered.square().mean(Kind::Double);
            centered * (var + *eps).rsqrt() * wide(weight) + wide(bias)
        }
    }
}

fn rotate(lm: &CausalLm, head: &Tensor, position: usize) -> Tensor {
    let rope = &lm.config().rope;
    let half = rope.rotary_dim as i64 / 2;
    let angles: Vec<f64> = frequencies(rope).iter().map(|f| f * position as f64).collect();
    let (cos, sin) = (Tensor::from_slice(&angles).cos(), Tensor::from_slice(&angles).sin());
    let (a, b) = (head.narrow(0, 0, half), head.narrow(0, half, half));
    let rest = head.narrow(0, 2 * half, head.size()[0] - 2 * half);
    Tensor::cat(&[&a * &cos - &b * &sin, &b * &cos + &a * &sin, rest], 0)
}

/// Query, key and value heads of one token: `[heads, head_dim]` each.
fn heads(lm: &CausalLm, block: &Block, x: &Tensor, position: usize) -> [Tensor; 3] {
    let c = lm.config();
    let sizes = [c.num_heads, c.num_kv_heads, c.num_kv_heads].map(|n| (n * c.head_dim) as i64);
    let mut parts = apply(&block.attention.qkv, x).split_with_sizes(sizes, 0);
    if let (QkNorm::Full, Some(norms)) = (c.qk_norm, &block.attention.qk_norm) {
        for (part, layer) in parts.iter_mut().zip(norms) {
            *part = norm(layer, part);
        }
    }
    let mut out = parts.into_iter().enumerate().map(|(i, part)| {
        let heads = part.view([-1, c.head_dim as i64]);
        if i == 2 {
            return heads;
        }
        let rotated: Vec<Tensor> = (0..heads.size()[0])
            .map(|h| {
                let mut head = heads.get(h);
                if let (QkNorm::PerHead, Some(norms)) = (c.qk_norm, &block.attention.qk_norm) {
                    head = norm(&norms[i], &head);
                }
                rotate(lm, &head, position)
            })
            .collect();
        Tensor::stack(&rotated, 0)
    });
    [out.next().unwrap(), out.next().unwrap(), out.next().unwrap()]
}

fn feed_forward(block: &Block, mlp: Mlp, activation: Activation, x: &Tensor) -> Tensor {
    let act = |x: &Tensor| match activation {
        Activation::Silu => x * x.sigmoid(),
        Activation::Gelu => x.gelu("none"),
        Activation::GeluTanh => x.gelu("tanh"),
    };
    let up = apply(&block.feed_forward.up, x);
    let inner = match mlp {
        Mlp::Gated => {
            let halves = up.chunk(2, 0);
            act(&halves[0]) * &halves[1]
        }
        Mlp::Plain => act(&up),
    };
    apply(&block.feed_forward.down, &inner)
}

/// What a pass gives: for every token its residual stream before each block and after the last, and
/// its keys in every block.
pub(crate) struct Naive {
    /// `[blocks + 1][seq]`, `[hidden]` each.
    pub(crate) states: Vec<Vec<Tensor>>,
    /// `[blocks][seq]`, `[kv_heads, head_dim]` each.
    pub(crate) keys: Vec<Vec<Tensor>>,
    pub(crate) values: Vec<Vec<Tensor>>,
}

/// The pass of one row of tokens, of which token `t` runs `exits[t]` blocks.
pub(crate) fn forward(lm: &CausalLm, ids: &[u32], exits: &[usize], skipped: Skipped) -> Naive {
    let _guard = tch::no_grad_guard();
    let c = lm.config();
    let group = c.num_heads / c.num_kv_heads;
    let embedded = |&id: &u32| wide(&lm.embedding().get(i64::from(id)));
    let mut states = vec![ids.iter().map(embedded).collect::<Vec<_>>()];
    // Streams as if nobody left, which back-filled keys and values are made of.
    let mut whole = states[0].iter().map(Tensor::shallow_clone).collect::<Vec<_>>();
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for (j, block) in lm.blocks().iter().enumerate() {
        let input: Vec<Tensor> = match skipped {
            Skipped::Backfill => whole.iter().map(Tensor::shallow_clone).collect(),
            _ => states[j].iter().map(Tensor::shallow_clone).collect(),
        };
        let seen = |x: &Tensor| match c.residual {
            Residual::PostNorm => x.shallow_clone(),
            _ => norm(&block.attention_norm, x),
        };
        let projected: Vec<[Tensor; 3]> =
            input.iter().enumerate().map(|(t, x)| heads(lm, block, &seen(x), t)).collect();
        let after: Vec<Tensor> = (0..ids.len())
            .map(|t| {
                let x = &input[t];
                let visible: Vec<usize> = (0..=t)
                    .filter(|&s| s == t || skipped != Skipped::Hide || exits[s] > j)
                    .collect();
                let mixed: Vec<Tensor> = (0..c.num_heads)
                    .map(|h| {
                        let query = projected[t][0].get(h as i64);
                        let kv = (h / group) as i64;
                        let k: Vec<Tensor> =
                            visible.iter().map(|&s| projected[s][1].get(kv)).collect();
                        let v: Vec<Tensor> =
                            visible.iter().map(|&s| projected[s][2].get(kv)).collect();
                        let scores = Tensor::stack(&k, 0).mv(&query) / (c.head_dim as f64).sqrt();
                        Tensor::stack(&v, 0).tr().mv(&scores.softmax(0, Kind::Double))
                    })
                    .collect();
                let attended = apply(&block.attention.out, &Tensor::cat(&mixed, 0));
                let feed = |x: &Tensor| feed_forward(block, c.mlp, c.activation, x);
                let (first, second) = (&block.attention_norm, &block.feed_forward_norm);
                match c.residual {
                    Residual::PreNorm | Residual::Sequential => {
                        let x = x + attended;
                        &x + feed(&norm(second, &x))
                    }
                    Residual::PostNorm => {
                        let x = x + norm(first, &attended);
                        &x + norm(second, &feed(&x))
                    }
                    Residual::Parallel => x + attended + feed(&norm(second, x)),
                }
            })
            .collect();
        states.push(
            (0..ids.len())
                .map(|t| if exits[t] > j { &after[t] } else { &states[j][t] }.shallow_clone())
                .collect(),
        );
        whole = after;
        keys.push(projected.iter().map(|p| p[1].shallow_clone()).collect());
        values.push(projected.iter().map(|p| p[2].shallow_clone()).collect());
    }
    Naive { states, keys, values }
}

impl Naive {
    /// Hidden states after the final norm, `[seq, hidden]`.
    pub(crate) fn hidden(&self, lm: &CausalLm) -> Tensor {
        let last: Vec<Tensor> =
            self.states.last().unwrap().iter().map(|x| norm(lm.final_norm(), x)).collect();
        Tensor::stack(&last, 0)
    }
}
