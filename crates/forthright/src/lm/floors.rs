//! What the machine at hand can do at best: the floors that speeds are held against.

use std::time::Instant;

use tch::{Device, Kind, Tensor};

/// Passes over which the best is taken.
const PASSES: usize = 8;

/// Bytes a second at which memory beyond the caches can be read.
pub(crate) fn read_bytes_s() -> f64 {
    const BYTES: i64 = 256 << 20;
    let numbers = Tensor::ones([BYTES / 4], (Kind::Float, Device::Cpu));
    best(|| drop(numbers.sum(Kind::Float))).map_or(f64::NAN, |time| BYTES as f64 / time)
}

/// Operations a second of a product of two large square matrices.
pub(crate) fn matrix_flops(kind: Kind) -> f64 {
    const SIDE: i64 = 2048;
    let matrix = Tensor::ones([SIDE, SIDE], (kind, Device::Cpu));
    let _guard = tch::no_grad_guard();
    best(|| drop(matrix.matmul(&matrix)))
        .map_or(f64::NAN, |time| 2.0 * (SIDE as f64).powi(3) / time)
}

fn best(mut pass: impl FnMut()) -> Option<f64> {
    let time = |_| {
        let start = Instant::now();
        pass();
        start.elapsed().as_secs_f64()
    };
    (0..PASSES).map(time).min_by(f64::total_cmp)
}
