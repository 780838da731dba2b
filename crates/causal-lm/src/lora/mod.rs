//! Low-rank adapters: `y = x Wᵀ + s (x Aᵀ) Bᵀ` beside chosen matrices, which stay as they are.
//!
//! Source: arXiv 2106.09685, §4.1.

mod peft;
pub mod setting;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::{
    Error,
    config::{Mlp, ModelConfig},
};

/// A matrix that can be adapted, by its published name in the Llama family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Queries.
    QProj,
    /// Keys.
    KProj,
    /// Values.
    VProj,
    /// Output of attention.
    OProj,
    /// Gate of the feed-forward part.
    GateProj,
    /// Way up of the feed-forward part.
    UpProj,
    /// Way down of the feed-forward part.
    DownProj,
}

impl Target {
    const ALL: [Self; 7] = [
        Self::QProj,
        Self::KProj,
        Self::VProj,
        Self::OProj,
        Self::GateProj,
        Self::UpProj,
        Self::DownProj,
    ];

    /// The published name, without its place in the block.
    fn name(self) -> &'static str {
        match self {
            Self::QProj => "q_proj",
            Self::KProj => "k_proj",
            Self::VProj => "v_proj",
            Self::OProj => "o_proj",
            Self::GateProj => "gate_proj",
            Self::UpProj => "up_proj",
            Self::DownProj => "down_proj",
        }
    }
}

/// Size and place of an adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Rows of A, columns of B.
    pub rank: usize,
    /// The product is scaled by `alpha / rank`.
    pub alpha: f64,
    /// Matrices that are adapted, in every block.
    pub targets: Vec<Target>,
}

impl Default for LoraConfig {
    /// Rank 16 with scale 2 on all matrices of a block.
    fn default() -> Self {
        Self { rank: 16, alpha: 32.0, targets: Target::ALL.to_vec() }
    }
}

/// The low-rank addition to one matrix.
#[derive(Debug)]
pub struct Pair {
    /// `[rank, in]`, f32.
    pub a: Tensor,
    /// `[out, rank]`, f32.
    pub b: Tensor,
    /// Factor on the product.
    pub scale: f64,
}

impl Pair {
    /// `s B A`, what the pair adds to the matrix, in f32.
    pub fn product(&self) -> Tensor {
        self.b.matmul(&self.a) * self.scale
    }
}

/// The additions to some rows of a matrix: how many rows, and the pair of these, if they have one.
pub(crate) type Part<'a> = (i64, Option<&'a Pair>);

/// A of all pairs one below the other and `s B` of each along a diagonal, in type `kind`: one pair
/// that adds to all rows what `parts` add to theirs. `None` where there is no pair.
///
/// One product with `x` in the place of several reads it once, and what the blocks beside the
/// diagonal cost is little, as ranks are small.
///
/// # Shapes
/// - returns: `[ranks, in]` and `[rows, ranks]`
pub(crate) fn join(parts: &[Part<'_>], kind: Kind) -> Option<[Tensor; 2]> {
    let pairs: Vec<&Pair> = parts.iter().filter_map(|&(_, pair)| pair).collect();
    let place = (Kind::Float, pairs.first()?.b.device());
    let ranks: i64 = pairs.iter().map(|pair| pair.a.size()[0]).sum();
    let mut before = 0;
    let rows: Vec<Tensor> = parts
        .iter()
        .map(|&(rows, pair)| {
            let Some(pair) = pair else { return Tensor::zeros([rows, ranks], place) };
            let rank = pair.a.size()[0];
            let padded = (&pair.b * pair.scale).constant_pad_nd([before, ranks - before - rank]);
            before += rank;
            padded
        })
        .collect();
    let all: Vec<&Tensor> = pairs.iter().map(|pair| &pair.a).collect();
    Some([Tensor::cat(&all, 0).to_kind(kind), Tensor::cat(&rows, 0).to_kind(kind)])
}

/// The adapted matrices of one block.
#[derive(Debug, Default)]
pub struct LayerLora {
    /// Queries.
    pub q: Option<Pair>,
    /// Keys.
    pub k: Option<Pair>,
    /// Values.
    pub v: Option<Pair>,
    /// Output of attention.
    pub o: Option<Pair>,
    /// Gate.
    pub gate: Option<Pair>,
    /// Up.
    pub up: Option<Pair>,
    /// Down.
    pub down: Option<Pair>,
}

impl LayerLora {
    fn slots(&self) -> [(Target, &Option<Pair>); 7] {
        [
            (Target::QProj, &self.q),
            (Target::KProj, &self.k),
            (Target::VProj, &self.v),
            (Target::OProj, &self.o),
            (Target::GateProj, &self.gate),
            (Target::UpProj, &self.up),
            (Target::DownProj, &self.down),
        ]
    }

    fn from_slots(mut pair: impl FnMut(Target) -> Option<Pair>) -> Self {
        Self {
            q: pair(Target::QProj),
            k: pair(Target::KProj),
            v: pair(Target::VProj),
            o: pair(Target::OProj),
            gate: pair(Target::GateProj),
            up: pair(Target::UpProj),
            down: pair(Target::DownProj),
        }
    }
}

/// An adapter for every block of a model.
#[derive(Debug)]
pub struct LoraAdapter {
    layers: Vec<LayerLora>,
}

impl LoraAdapter {
    /// An adapter that changes nothing yet: A is uniform in ±1/√in from the stream of its place, B
    /// is zero.
    ///
    /// # Errors
    /// [`Error::Setting`] for a rank of 0, no targets, or a gate where the model has none.
    pub fn new(model: &ModelConfig, config: &LoraConfig, seed: u64) -> Result<Self, Error> {
        let bad = |name: &str, expected: &str, found: String| {
            Err(Error::Setting { name: name.into(), expected: expected.into(), found })
        };
        if config.rank == 0 {
            return bad("rank", "at least 1", "0".into());
        }
        if config.targets.is_empty() {
            return bad("targets", "at least one matrix", "none".into());
        }
        if model.mlp == Mlp::Plain && config.targets.contains(&Target::GateProj) {
            return bad("targets", "matrices that the model has", "gate_proj".into());
        }
        let scale = config.alpha / config.rank as f64;
        let layer = |index: usize| {
            LayerLora::from_slots(|target| {
                config.targets.contains(&target).then(|| {
                    let [out, input] = shape(model, target);
                    let mut rng = ChaCha8Rng::seed_from_u64(seed);
                    rng.set_stream(index as u64 * 8 + target as u64);
                    let bound = 1.0 / (input as f32).sqrt();
                    let values: Vec<f32> = (0..config.rank * input)
                        .map(|_| (rng.next_u32() as f32 / u32::MAX as f32 * 2.0 - 1.0) * bound)
                        .collect();
                    let a = Tensor::from_slice(&values).view([config.rank as i64, input as i64]);
                    let b =
                        Tensor::zeros([out as i64, config.rank as i64], (Kind::Float, Device::Cpu));
                    Pair { a, b, scale }
                })
            })
        };
        Ok(Self { layers: (0..model.num_layers).map(layer).collect() })
    }

    /// The adapted matrices of block `index`.
    pub fn layer(&self, index: usize) -> &LayerLora {
        &self.layers[index]
    }

    /// Everything that is trained: block by block, A before B.
    pub fn parameters(&self) -> Vec<&Tensor> {
        self.pairs().flat_map(|(_, _, p)| [&p.a, &p.b]).collect()
    }

    /// As [`LoraAdapter::parameters`], with a name for each, such as `blocks.3.q_proj.a`.
    pub fn named_parameters(&self) -> Vec<(String, Tensor)> {
        self.pairs()
            .flat_map(|(block, target, p)| {
                let name = |part| format!("blocks.{block}.{}.{part}", target.name());
                [(name("a"), p.a.shallow_clone()), (name("b"), p.b.shallow_clone())]
            })
            .collect()
    }

    /// All adapted matrices, block by block.
    fn pairs(&self) -> impl Iterator<Item = (usize, Target, &Pair)> {
        self.layers.iter().enumerate().flat_map(|(block, layer)| {
            let slots = layer.slots().into_iter();
            slots.filter_map(move |(target, pair)| Some((block, target, pair.as_ref()?)))
        })
    }

    /// Asks for gradients of all parameters.
    pub fn require_grad(&self) {
        for parameter in self.parameters() {
            let _ = parameter.set_requires_grad(true);
        }
    }

    /// The adapter on another device; the same tensors where it already is there.
    #[must_use]
    pub fn to_device(&self, device: Device) -> Self {
        self.map(&|t: &Tensor| t.to_device(device))
    }

    /// Checks that the adapter fits a model.
    ///
    /// # Errors
    /// [`Error::Shape`] naming block and matrix.
    pub fn check(&self, model: &ModelConfig) -> Result<(), Error> {
        if self.layers.len() != model.num_layers {
            return Err(Error::Shape {
                what: "blocks of the adapter".into(),
                expected: model.num_layers.to_string(),
                found: self.layers.len().to_string(),
            });
        }
        for (index, layer) in self.layers.iter().enumerate() {
            for (target, pair) in layer.slots() {
                let Some(pair) = pair else { continue };
                let [out, input] = shape(model, target);
                let (a, b) = (pair.a.size(), pair.b.size());
                if a.len() != 2 || b != [out as i64, a[0]] || a[1] != input as i64 {
                    return Err(Error::Shape {
                        what: format!("adapter of {target:?} in block {index}"),
                        expected: format!("A [rank, {input}] and B [{out}, rank]"),
                        found: format!("{a:?} and {b:?}"),
                    });
                }
            }
        }
        Ok(())
    }

    /// Another handle on the same tensors.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        self.map(&Tensor::shallow_clone)
    }

    fn map(&self, change: &impl Fn(&Tensor) -> Tensor) -> Self {
        let pair = |p: &Pair| Pair { a: change(&p.a), b: change(&p.b), scale: p.scale };
        let layer = |layer: &LayerLora| {
            let slots = layer.slots();
            // `slots` lists the targets in the order of their declaration.
            LayerLora::from_slots(|target| slots[target as usize].1.as_ref().map(pair))
        };
        Self { layers: self.layers.iter().map(layer).collect() }
    }
}

/// `[out, in]` of a matrix.
fn shape(model: &ModelConfig, target: Target) -> [usize; 2] {
    let (hidden, wide) = (model.hidden, model.intermediate);
    let (q_dim, kv_dim) = (model.num_heads * model.head_dim, model.num_kv_heads * model.head_dim);
    match target {
        Target::QProj => [q_dim, hidden],
        Target::KProj | Target::VProj => [kv_dim, hidden],
        Target::OProj => [hidden, q_dim],
        Target::GateProj | Target::UpProj => [wide, hidden],
        Target::DownProj => [hidden, wide],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(out: i64, input: i64, rank: i64, scale: f64, seed: f64) -> Pair {
        let numbers = |rows: i64, columns: i64, start: f64| {
            let numbers = Tensor::arange(rows * columns, (Kind::Float, Device::Cpu));
            ((numbers + start) * 1.3).sin().view([rows, columns]).set_requires_grad(true)
        };
        Pair { a: numbers(rank, input, seed), b: numbers(out, rank, seed + 0.5), scale }
    }

    /// Products and gradients of joined pairs are those of each on its own, whatever their ranks and
    /// scales, and where rows have none.
    #[test]
    fn joined_pairs_add_what_each_adds() {
        let (first, last) = (pair(4, 6, 2, 0.5, 0.0), pair(3, 6, 3, 2.0, 9.0));
        let x = pair(5, 1, 6, 1.0, 4.0).b;
        let weights = pair(5, 1, 9, 1.0, 7.0).b;
        let gradients = |y: &Tensor| {
            let mut leaves = [&first.a, &first.b, &last.a, &last.b, &x].map(Tensor::shallow_clone);
            leaves.iter_mut().for_each(Tensor::zero_grad);
            (y * &weights).sum(Kind::Float).backward();
            leaves.map(|leaf| leaf.grad().copy())
        };
        let [a, b] = join(&[(4, Some(&first)), (2, None), (3, Some(&last))], Kind::Float).unwrap();
        let found = x.matmul(&a.tr()).matmul(&b.tr());
        let alone = |pair: &Pair| x.matmul(&pair.product().tr());
        let none = x.new_zeros([5, 2], (Kind::Float, Device::Cpu));
        let expected = Tensor::cat(&[alone(&first), none, alone(&last)], -1);
        let near = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]) < 1e-5;
        assert!(near(&found, &expected));
        let (found, expected) = (gradients(&found), gradients(&expected));
        assert!(found.iter().zip(&expected).all(|(a, b)| near(a, b)));
        assert!(join(&[(4, None), (3, None)], Kind::Float).is_none());
    }
}
