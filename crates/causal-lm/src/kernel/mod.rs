//! Products of few rows with a large matrix, at the speed at which the matrix can be read.
//!
//! libtorch's products re-arrange the weight matrix for the processor's dot-product instructions at
//! every call, which for the few rows of a decoding step costs two to three times the product
//! itself. [`PackedMatrix`] holds the matrix re-arranged once. Every output is summed in the same
//! order whatever rows stand beside it, so a row's result does not depend on its batch.
//!
//! Where the processor or the shape does not fit, [`PackedMatrix::pack`] says so and the caller
//! stays with libtorch. This module and its children hold all of the crate's `unsafe` code.

mod step;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod attend;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod avx512;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod lanes;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod rows;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod team;

pub(crate) use step::{Step, add_rms_norm, can_attend, silu_mul};
use tch::{Device, Kind, Tensor};

/// Outputs of one panel: the lanes of a 512-bit register of f32.
const LANES: i64 = 16;

/// Rows beyond which libtorch's own product is used: it re-arranges the matrix once for all of them.
const MAX_ROWS: i64 = 256;

/// A weight matrix in panels of 16 outputs.
///
/// bf16: `[out / 16, in / 2, 16, 2]`, pairs of inputs side by side as the dot-product instruction
/// wants them. f32: `[out / 16, in, 16]`.
#[derive(Debug)]
pub(crate) struct PackedMatrix {
    panels: Tensor,
    out: i64,
    input: i64,
}

impl PackedMatrix {
    /// Re-arranges `weight: [out, in]`; `None` where this processor or this shape is not served.
    pub(crate) fn pack(weight: &Tensor) -> Option<Self> {
        let [out, input] = weight.size()[..] else { return None };
        let even = out % LANES == 0 && input % 2 == 0;
        if !even || weight.device() != Device::Cpu || !supported(weight.kind()) {
            return None;
        }
        let _guard = tch::no_grad_guard();
        let panels = match weight.kind() {
            Kind::BFloat16 => weight.view([out / LANES, LANES, input / 2, 2]).permute([0, 2, 1, 3]),
            _ => weight.view([out / LANES, LANES, input]).permute([0, 2, 1]),
        };
        Some(Self { panels: panels.contiguous().detach(), out, input })
    }

    /// `x Wᵀ` in the type of `x`, or in f32 if `wide`; `None` where libtorch is the better choice or
    /// a gradient is wanted.
    ///
    /// # Shapes
    /// - `x`: `[.., in]`
    /// - returns: `[.., out]`
    pub(crate) fn apply(&self, x: &Tensor, wide: bool) -> Option<Tensor> {
        let mut size = x.size();
        let rows: i64 = size[..size.len() - 1].iter().product();
        let fits = (1..=MAX_ROWS).contains(&rows)
            && size.last() == Some(&self.input)
            && x.kind() == self.panels.kind();
        if !fits || x.requires_grad() {
            return None;
        }
        let kind = if wide { Kind::Float } else { x.kind() };
        *size.last_mut()? = self.out;
        let y = Tensor::empty(&size[..], (kind, Device::Cpu));
        let shape =
            Product { rows: rows as usize, out: self.out as usize, input: self.input as usize };
        multiply(&x.contiguous(), &self.panels, &y, shape);
        Some(y)
    }

    /// The product with some rows of the weight only, on the same storage; `None` if they do not
    /// begin and end with panels.
    pub(crate) fn rows(&self, start: i64, len: i64) -> Option<Self> {
        let whole = start % LANES == 0 && len % LANES == 0;
        whole.then(|| Self {
            panels: self.panels.narrow(0, start / LANES, len / LANES),
            out: len,
            input: self.input,
        })
    }

    /// Another handle on the same storage.
    #[must_use]
    pub(crate) fn shallow_clone(&self) -> Self {
        Self { panels: self.panels.shallow_clone(), out: self.out, input: self.input }
    }
}

/// Memory of a tensor, shared by the team: read everywhere, written in disjoint parts.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
struct Shared(*mut u8);

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[expect(unsafe_code, reason = "the team's threads share tensors")]
// SAFETY: the kernels write disjoint parts from different threads, and read only what none writes.
unsafe impl Sync for Shared {}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
impl Shared {
    fn of(tensor: &Tensor) -> Self {
        Self(tensor.data_ptr().cast())
    }

    fn get(&self) -> *mut u8 {
        self.0
    }
}

/// Sizes of one product.
#[derive(Debug, Clone, Copy)]
struct Product {
    rows: usize,
    out: usize,
    input: usize,
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn supported(kind: Kind) -> bool {
    avx512::supported(kind)
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn multiply(x: &Tensor, panels: &Tensor, y: &Tensor, shape: Product) {
    avx512::multiply(x, panels, y, shape);
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn supported(_kind: Kind) -> bool {
    false
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn multiply(_x: &Tensor, _panels: &Tensor, _y: &Tensor, _shape: Product) {
    unreachable!("a matrix is packed only where `supported` holds")
}
