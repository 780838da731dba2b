//! Row-wise steps between the products of a decoding step, fused so that each is one pass.
#![expect(unsafe_code, reason = "vector instructions and raw tensor memory")]

use std::arch::x86_64::{
    _mm512_add_ps, _mm512_div_ps, _mm512_fmadd_ps, _mm512_mul_ps, _mm512_reduce_add_ps,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_sub_ps,
};

use tch::{Kind, Tensor};

use super::{
    Shared,
    lanes::{Bf16, Element, WIDTH, exp},
    team,
};

/// Elements below which waking the team costs more than it saves.
const ALONE: usize = 1 << 14;

/// Runs `body(row)` for all rows, on the team if there is enough to do.
fn each_row(rows: usize, width: usize, body: &(impl Fn(usize) + Sync)) {
    if rows * width < ALONE {
        (0..rows).for_each(body);
    } else {
        team::run(&|thread, threads| {
            (rows * thread / threads..rows * (thread + 1) / threads).for_each(body);
        });
    }
}

/// Adds `delta` to `x` in place if given, and returns the root-mean-square norm of the sum.
///
/// All tensors are contiguous, on the CPU, of one type, and their last dimension is a multiple of
/// 16.
pub(super) fn add_rms_norm(x: &Tensor, delta: Option<&Tensor>, gain: &Tensor, eps: f64) -> Tensor {
    let y = x.empty_like();
    let width = gain.numel();
    let rows = x.numel() / width;
    let [x_data, y_data, gain] = [x, &y, gain].map(Shared::of);
    let delta = delta.map(Shared::of);
    let bf16 = x.kind() == Kind::BFloat16;
    each_row(rows, width, &|row| {
        let delta = delta.as_ref().map(Shared::get);
        // SAFETY: `row` is inside the tensors, whose type is looked at here; rows are disjoint.
        unsafe {
            if bf16 {
                norm_row::<Bf16>(
                    row,
                    width,
                    x_data.get(),
                    delta,
                    gain.get(),
                    y_data.get(),
                    eps as f32,
                );
            } else {
                norm_row::<f32>(
                    row,
                    width,
                    x_data.get(),
                    delta,
                    gain.get(),
                    y_data.get(),
                    eps as f32,
                );
            }
        }
    });
    y
}

#[target_feature(enable = "avx512f")]
unsafe fn norm_row<E: Element>(
    row: usize,
    width: usize,
    x: *mut u8,
    delta: Option<*mut u8>,
    gain: *mut u8,
    y: *mut u8,
    eps: f32,
) {
    // SAFETY: the caller's promise: `row` rows of `width` elements of type `E`.
    unsafe {
        let x = x.cast::<E>().add(row * width);
        let y = y.cast::<E>().add(row * width);
        let gain = gain.cast::<E>();
        let mut squares = _mm512_setzero_ps();
        for i in (0..width).step_by(WIDTH) {
            if let Some(delta) = delta {
                let sum = _mm512_add_ps(
                    E::load(x.add(i)),
                    E::load(delta.cast::<E>().add(row * width + i)),
                );
                E::store(x.add(i), sum);
            }
            // Read back, so that the norm is of what was stored.
            let value = E::load(x.add(i));
            squares = _mm512_fmadd_ps(value, value, squares);
        }
        let mean = _mm512_reduce_add_ps(squares) / width as f32;
        let scale = _mm512_set1_ps((mean + eps).sqrt().recip());
        for i in (0..width).step_by(WIDTH) {
            let value = _mm512_mul_ps(E::load(x.add(i)), scale);
            E::store(y.add(i), _mm512_mul_ps(value, E::load(gain.add(i))));
        }
    }
}

/// `silu(gate) · up` of rows that hold the gate and then up.
///
/// # Shapes
/// - `wide`: `[.., 2 n]`, contiguous, `n` a multiple of 16
/// - returns: `[.., n]`
pub(super) fn silu_mul(wide: &Tensor) -> Tensor {
    let mut size = wide.size();
    let width = size.last().copied().unwrap_or(0) as usize / 2;
    if let Some(last) = size.last_mut() {
        *last = width as i64;
    }
    let y = Tensor::empty(&size[..], (wide.kind(), wide.device()));
    let rows = y.numel() / width.max(1);
    let [wide_data, y_data] = [wide, &y].map(Shared::of);
    let bf16 = wide.kind() == Kind::BFloat16;
    each_row(rows, width, &|row| {
        // SAFETY: `row` is inside the tensors, whose type is looked at here; rows are disjoint.
        unsafe {
            if bf16 {
                silu_mul_row::<Bf16>(row, width, wide_data.get(), y_data.get());
            } else {
                silu_mul_row::<f32>(row, width, wide_data.get(), y_data.get());
            }
        }
    });
    y
}

#[target_feature(enable = "avx512f")]
unsafe fn silu_mul_row<E: Element>(row: usize, width: usize, wide: *mut u8, y: *mut u8) {
    let one = _mm512_set1_ps(1.0);
    // SAFETY: the caller's promise: `row` rows of `2 width` and `width` elements of type `E`.
    unsafe {
        let gate = wide.cast::<E>().add(row * 2 * width);
        let y = y.cast::<E>().add(row * width);
        for i in (0..width).step_by(WIDTH) {
            let g = E::load(gate.add(i));
            let up = E::load(gate.add(width + i));
            let sigmoid_inverse = _mm512_add_ps(one, exp(_mm512_sub_ps(_mm512_setzero_ps(), g)));
            E::store(y.add(i), _mm512_mul_ps(_mm512_div_ps(g, sigmoid_inverse), up));
        }
    }
}
