//! What decides at a site whether a token leaves.

use causal_lm::model::Linear;
use rand::RngExt as _;
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// Shape of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GateKind {
    /// `w · relu(A h + a) + b`, A being twice as tall as it is wide.
    #[default]
    Mlp,
    /// `w · h + b`.
    Linear,
}

/// The bias that gates begin with: p ≈ 0.05, so that training starts near full depth.
pub const START_BIAS: f64 = -3.0;

/// One gate: the logit of leaving, from the residual stream as it enters a block. No norm.
#[derive(Debug)]
pub struct Gate {
    inner: Option<Linear>,
    outer: Linear,
}

impl Gate {
    /// A gate that says [`START_BIAS`] of every state.
    fn new(kind: GateKind, hidden: usize, seed: Seed, device: Device) -> Self {
        let size = hidden as i64;
        let zeros = |size: &[i64]| Tensor::zeros(size, (Kind::Float, device));
        let inner = (kind == GateKind::Mlp).then(|| {
            let bound = 1.0 / (hidden as f32).sqrt();
            let mut rng = seed.rng();
            let values: Vec<f32> =
                (0..2 * hidden * hidden).map(|_| rng.random_range(-bound..bound)).collect();
            let weight = Tensor::from_slice(&values).view([2 * size, size]).to_device(device);
            Linear::new(weight, Some(zeros(&[2 * size])))
        });
        let width = if inner.is_some() { 2 * size } else { size };
        let bias = zeros(&[1]).fill(START_BIAS);
        Self { inner, outer: Linear::new(zeros(&[1, width]), Some(bias)) }
    }

    /// Logits of leaving, in f32, with gradient.
    ///
    /// # Shapes
    /// - `states`: `[n, hidden]`
    /// - returns: `[n]`
    pub fn forward(&self, states: &Tensor) -> Tensor {
        let x = states.to_kind(Kind::Float);
        let x = match &self.inner {
            Some(inner) => inner.forward(&x).relu(),
            None => x,
        };
        self.outer.forward(&x).squeeze_dim(-1)
    }

    fn linears(&self) -> impl Iterator<Item = (&'static str, &Linear)> {
        self.inner.iter().map(|linear| ("inner", linear)).chain([("outer", &self.outer)])
    }
}

/// The gates of all sites.
#[derive(Debug)]
pub struct Gates {
    gates: Vec<Gate>,
    kind: GateKind,
}

impl Gates {
    /// A gate a site, each from a stream of its own.
    pub fn new(kind: GateKind, sites: usize, hidden: usize, seed: Seed, device: Device) -> Self {
        let gate = |site| Gate::new(kind, hidden, seed.derive("gate", site as u64), device);
        Self { gates: (0..sites).map(gate).collect(), kind }
    }

    /// Their shape.
    pub fn kind(&self) -> GateKind {
        self.kind
    }

    /// One gate.
    ///
    /// # Panics
    /// If there is no such site.
    pub fn gate(&self, site: usize) -> &Gate {
        &self.gates[site]
    }

    /// All tensors, by name, such as `2.inner.weight`.
    pub fn named_parameters(&self) -> Vec<(String, Tensor)> {
        let mut out = Vec::new();
        for (site, gate) in self.gates.iter().enumerate() {
            for (part, linear) in gate.linears() {
                for (name, tensor) in ["weight", "bias"].iter().zip(linear.parameters()) {
                    out.push((format!("{site}.{part}.{name}"), tensor.shallow_clone()));
                }
            }
        }
        out
    }

    /// Asks for gradients of all tensors.
    pub fn require_grad(&self) {
        for (_, parameter) in self.named_parameters() {
            let _ = parameter.set_requires_grad(true);
        }
    }

    /// Adds to the logits of all gates: below 0 tokens go deeper.
    pub fn shift(&self, by: f64) {
        let _guard = tch::no_grad_guard();
        for bias in self.gates.iter().filter_map(|gate| gate.outer.bias.as_ref()) {
            let _ = bias.shallow_clone().g_add_scalar_(by);
        }
    }

    /// The same gates for inference, their large matrices arranged for products of few rows; later
    /// changes do not reach them.
    #[must_use]
    pub(crate) fn for_decoding(&self, packed: bool) -> Self {
        let copy = |linear: &Linear| {
            Linear::new(
                linear.weight.detach().copy(),
                linear.bias.as_ref().map(|b| b.detach().copy()),
            )
        };
        let gates = self.gates.iter().map(|gate| {
            let mut inner = gate.inner.as_ref().map(copy);
            if let Some(inner) = inner.as_mut().filter(|_| packed) {
                inner.pack();
            }
            Gate { inner, outer: copy(&gate.outer) }
        });
        Self { gates: gates.collect(), kind: self.kind }
    }
}
