//! Rotary position embedding, half-rotation form, with the published scalings.

use std::f64::consts::TAU;

use tch::{Device, Kind, Tensor};

use crate::config::{Rope, RopeScaling};

/// Angular frequencies of the rotated pairs, in radians a position.
///
/// Pair `i` of `rotary_dim / 2` has `θ^(−2i / rotary_dim)` before scaling.
///
/// # Shapes
/// - returns: `[rotary_dim / 2]`
pub fn frequencies(rope: &Rope) -> Vec<f64> {
    let dim = rope.rotary_dim as f64;
    let base = (0..rope.rotary_dim / 2).map(|i| rope.theta.powf(-2.0 * i as f64 / dim));
    match rope.scaling {
        RopeScaling::None => base.collect(),
        RopeScaling::Linear { factor } => base.map(|f| f / factor).collect(),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
            let context = original_context as f64;
            base.map(|f| {
                let wavelength = TAU / f;
                if wavelength < context / high_freq_factor {
                    f
                } else if wavelength > context / low_freq_factor {
                    f / factor
                } else {
                    let smooth = (context / wavelength - low_freq_factor)
                        / (high_freq_factor - low_freq_factor);
                    (1.0 - smooth) * f / factor + smooth * f
                }
            })
            .collect()
        }
        RopeScaling::Yarn { factor, beta_fast, beta_slow, original_context, truncate, .. } => {
            // The pair that turns `beta` times over the original context.
            let pair_of = |beta: f64| {
                dim * (original_context as f64 / (beta * TAU)).ln() / (2.0 * rope.theta.ln())
            };
            let (mut low, mut high) = (pair_of(beta_fast), pair_of(beta_slow));
            if truncate {
                (low, high) = (low.floor(), high.ceil());
            }
            let (low, high) = (low.max(0.0), high.min(dim - 1.0));
            let width = if high > low { high - low } else { 0.001 };
            base.enumerate()
                .map(|(i, f)| {
                    let ramp = ((i as f64 - low) / width).clamp(0.0, 1.0);
                    ramp * f / factor + (1.0 - ramp) * f
                })
                .collect()
        }
    }
}

/// Cosines and sines of a set of positions, ready to multiply heads.
#[derive(Debug)]
pub struct Rotation {
    /// `[batch or 1, seq, 1, rotary_dim]`.
    cos: Tensor,
    /// As `cos`, with the first half negated: `[−sin, sin]`.
    signed_sin: Tensor,
    rotary_dim: i64,
}

impl Rotation {
    /// Angles are computed in f32, as the reference implementations do, and cast to `kind` last.
    ///
    /// # Shapes
    /// - `positions`: `[batch or 1, seq]`, integers
    pub fn new(rope: &Rope, positions: &Tensor, kind: Kind, device: Device) -> Self {
        let inv_freq: Vec<f32> = frequencies(rope).into_iter().map(|f| f as f32).collect();
        let inv_freq = Tensor::from_slice(&inv_freq).to_device(device); // [rotary_dim / 2]
        let angles = positions.to_kind(Kind::Float).unsqueeze(-1) * inv_freq; // [batch, seq, half]
        let amplitude = rope.amplitude();
        let (cos, sin) = (angles.cos() * amplitude, angles.sin() * amplitude);
        let cos = Tensor::cat(&[&cos, &cos], -1).unsqueeze(2).to_kind(kind);
        let signed_sin = Tensor::cat(&[&-&sin, &sin], -1).unsqueeze(2).to_kind(kind);
        Self { cos, signed_sin, rotary_dim: rope.rotary_dim as i64 }
    }

    /// As [`Rotation::new`] for one row of positions, which are few: the angles' cosines and sines are
    /// not worth the calls into libtorch.
    pub(crate) fn few(rope: &Rope, positions: &[i64], kind: Kind, device: Device) -> Self {
        let frequencies = frequencies(rope);
        let amplitude = rope.amplitude() as f32;
        let size = [1, positions.len() as i64, 1, rope.rotary_dim as i64];
        let half = frequencies.len();
        let (mut cos, mut signed_sin) = (vec![0.0; 2 * half * positions.len()], Vec::new());
        signed_sin.resize(cos.len(), 0.0);
        for (row, &position) in positions.iter().enumerate() {
            for (i, &frequency) in frequencies.iter().enumerate() {
                let (s, c) = (position as f32 * frequency as f32).sin_cos();
                let at = 2 * half * row + i;
                (cos[at], cos[at + half]) = (c * amplitude, c * amplitude);
                (signed_sin[at], signed_sin[at + half]) = (-s * amplitude, s * amplitude);
            }
        }
        let place = |v: &[f32]| Tensor::from_slice(v).view(size).to_kind(kind).to_device(device);
        let rotary_dim = rope.rotary_dim as i64;
        Self { cos: place(&cos), signed_sin: place(&signed_sin), rotary_dim }
    }

    /// Rotates the leading dimensions of `heads: [batch, seq, heads, head_dim]`.
    pub fn apply(&self, heads: &Tensor) -> Tensor {
        let head_dim = *heads.size().last().unwrap_or(&0);
        if self.rotary_dim == head_dim {
            return self.rotate(heads);
        }
        let rotated = self.rotate(&heads.narrow(-1, 0, self.rotary_dim));
        let rest = heads.narrow(-1, self.rotary_dim, head_dim - self.rotary_dim);
        Tensor::cat(&[rotated, rest], -1)
    }

    /// `x · cos + [−x₂, x₁] · sin`, with the swap done by a roll over half the dimensions.
    fn rotate(&self, x: &Tensor) -> Tensor {
        (x * &self.cos).addcmul_(&x.roll([self.rotary_dim / 2], [-1]), &self.signed_sin)
    }
}
