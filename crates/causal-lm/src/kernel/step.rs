//! What a decoding step does between its products, where this machine has a fused kernel for it.

use tch::{Device, Kind, Tensor};

use crate::config::{ModelConfig, Rope, Window};

/// Places and angles of one new token a row.
#[derive(Debug)]
pub(crate) struct Step {
    /// First position each row can see.
    pub(super) starts: Vec<usize>,
    /// Row of the cache that each row has.
    pub(super) rows: Vec<usize>,
    /// Positions cached before this step.
    pub(super) len: usize,
    /// `[rows or 1, rotary_dim / 2]`.
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
}

impl Step {
    /// The step after `len` cached positions of rows that begin at `starts`.
    pub(crate) fn new(rope: &Rope, starts: &[i64], len: usize) -> Self {
        let half = rope.rotary_dim / 2;
        let frequencies = crate::model::frequencies(rope);
        let amplitude = rope.amplitude() as f32;
        let distinct = if starts.iter().all(|&s| s == starts[0]) { &starts[..1] } else { starts };
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for start in distinct {
            let position = (len as i64 - start) as f32;
            for frequency in &frequencies {
                let (s, c) = (position * *frequency as f32).sin_cos();
                cos.push(c * amplitude);
                sin.push(s * amplitude);
            }
        }
        let rows = (0..starts.len()).collect();
        let starts = starts.iter().map(|&s| s as usize).collect();
        Self { starts, rows, len, cos, sin, half }
    }

    /// Goes on with some rows only, which keep their rows of the cache.
    pub(crate) fn keep(&mut self, places: &[usize]) {
        if self.cos.len() > self.half {
            for angles in [&mut self.cos, &mut self.sin] {
                let of = |&row: &usize| angles[row * self.half..(row + 1) * self.half].to_vec();
                *angles = places.iter().flat_map(of).collect();
            }
        }
        for per_row in [&mut self.starts, &mut self.rows] {
            *per_row = places.iter().map(|&row| per_row[row]).collect();
        }
    }

    /// Cosines and sines of a row's position.
    #[cfg_attr(
        not(all(target_arch = "x86_64", target_os = "linux")),
        expect(dead_code, reason = "only the kernels read angles")
    )]
    pub(super) fn angles(&self, row: usize) -> (&[f32], &[f32]) {
        let row = if self.cos.len() == self.half { 0 } else { row };
        let range = row * self.half..(row + 1) * self.half;
        (&self.cos[range.clone()], &self.sin[range])
    }

    /// Attention of the new tokens over the cache, into which their keys and values are written.
    ///
    /// # Shapes
    /// - `qkv`: `[rows, 1, (heads + 2 kv_heads) · head_dim]`, not yet rotated
    /// - `keys`, `values`: `[batch, kv_heads, capacity, head_dim]`
    /// - returns: `[rows, 1, heads · head_dim]`; `None` where there is no kernel
    pub(crate) fn attend(
        &self,
        config: [usize; 3],
        window: Window,
        qkv: &Tensor,
        keys: &Tensor,
        values: &Tensor,
    ) -> Option<Tensor> {
        imp::attend(self, config, window, qkv, keys, values)
    }
}

/// Whether a decoding step of such a model can use [`Step::attend`].
pub(crate) fn can_attend(config: &ModelConfig, kind: Kind, device: Device) -> bool {
    device == Device::Cpu && imp::can_attend(config.head_dim, kind)
}

/// Adds `delta` to `x` in place, if given, and returns the root-mean-square norm of the sum; `None`
/// where there is no kernel, and then `x` is as it was.
pub(crate) fn add_rms_norm(
    x: &Tensor,
    delta: Option<&Tensor>,
    gain: &Tensor,
    eps: f64,
) -> Option<Tensor> {
    imp::add_rms_norm(x, delta, gain, eps)
}

/// `silu(gate) · up` of rows that hold the gate and then up; `None` where there is no kernel.
pub(crate) fn silu_mul(wide: &Tensor) -> Option<Tensor> {
    imp::silu_mul(wide)
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod imp {
    use tch::{Device, Kind, Tensor};

    use super::Step;
    use crate::{
        config::Window,
        kernel::{attend, lanes::WIDTH, rows},
    };

    fn served(kind: Kind) -> bool {
        matches!(kind, Kind::BFloat16 | Kind::Float) && is_x86_feature_detected!("avx512f")
    }

    fn plain(tensors: &[&Tensor]) -> bool {
        let kind = tensors[0].kind();
        served(kind)
            && tensors.iter().all(|t| {
                t.kind() == kind
                    && t.device() == Device::Cpu
                    && t.is_contiguous()
                    && !t.requires_grad()
            })
    }

    pub(super) fn can_attend(head_dim: usize, kind: Kind) -> bool {
        served(kind) && attend::fits(head_dim)
    }

    pub(super) fn attend(
        step: &Step,
        [num_heads, num_kv_heads, head_dim]: [usize; 3],
        window: Window,
        qkv: &Tensor,
        keys: &Tensor,
        values: &Tensor,
    ) -> Option<Tensor> {
        let (batch, dim) = (step.starts.len() as i64, head_dim as i64);
        let width = (num_heads + 2 * num_kv_heads) as i64 * dim;
        let cache = keys.size();
        let fits = attend::fits(head_dim)
            && qkv.size() == [batch, 1, width]
            && cache[..] == [cache[0], num_kv_heads as i64, cache[2], dim]
            && step.rows.iter().all(|&row| (row as i64) < cache[0])
            && values.size() == cache
            && (step.len as i64) < cache[2]
            && plain(&[keys, values])
            && qkv.kind() == keys.kind()
            && !qkv.requires_grad();
        if !fits {
            return None;
        }
        let window = match window {
            Window::Full => usize::MAX,
            Window::Sliding(width) => width,
        };
        let heads = attend::Heads { num_heads, num_kv_heads, head_dim, window };
        Some(attend::attend(step, heads, &qkv.contiguous(), keys, values))
    }

    pub(super) fn add_rms_norm(
        x: &Tensor,
        delta: Option<&Tensor>,
        gain: &Tensor,
        eps: f64,
    ) -> Option<Tensor> {
        let fits = gain.numel().is_multiple_of(WIDTH)
            && x.size().last() == gain.size().last()
            && plain(&[x, gain])
            && delta.is_none_or(|d| d.size() == x.size() && d.kind() == x.kind() && plain(&[d]));
        fits.then(|| rows::add_rms_norm(x, delta, gain, eps))
    }

    pub(super) fn silu_mul(wide: &Tensor) -> Option<Tensor> {
        let width = *wide.size().last()? as usize;
        let fits = width.is_multiple_of(2 * WIDTH) && plain(&[wide]);
        fits.then(|| rows::silu_mul(wide))
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod imp {
    use tch::{Kind, Tensor};

    use super::Step;
    use crate::config::Window;

    pub(super) fn can_attend(_head_dim: usize, _kind: Kind) -> bool {
        false
    }

    pub(super) fn attend(
        _step: &Step,
        _heads: [usize; 3],
        _window: Window,
        _qkv: &Tensor,
        _keys: &Tensor,
        _values: &Tensor,
    ) -> Option<Tensor> {
        None
    }

    pub(super) fn add_rms_norm(
        _x: &Tensor,
        _delta: Option<&Tensor>,
        _gain: &Tensor,
        _eps: f64,
    ) -> Option<Tensor> {
        None
    }

    pub(super) fn silu_mul(_wide: &Tensor) -> Option<Tensor> {
        None
    }
}
