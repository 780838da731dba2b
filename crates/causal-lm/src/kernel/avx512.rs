//! Micro-kernels for processors with AVX-512: bf16 dot products, and f32 multiply-adds.
//!
//! A micro-kernel holds `R × P` sums in registers, for `R` rows and `P` panels of 16 outputs, and
//! walks once along the inputs. `R · P` stays within 24 of the 32 registers; few rows take more
//! panels, so that enough independent sums hide the latency of the instruction.
#![expect(unsafe_code, reason = "vector instructions and raw tensor memory")]
#![expect(clippy::cast_ptr_alignment, reason = "libtorch aligns tensors to 64 bytes")]

use std::{
    arch::x86_64::{
        __m256bh, __m256i, __m512, __m512bh, __m512i, _mm256_storeu_si256, _mm512_cvtneps_pbh,
        _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_set1_epi32,
        _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    },
    mem::transmute,
};

use tch::{Kind, Tensor};

use super::{LANES, Product, Shared, team};

const LANE_COUNT: usize = LANES as usize;

/// Whether this processor has the instructions for matrices of `kind`.
pub(super) fn supported(kind: Kind) -> bool {
    match kind {
        Kind::BFloat16 => {
            is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512f")
        }
        Kind::Float => is_x86_feature_detected!("avx512f"),
        _ => false,
    }
}

/// `y = x Wᵀ` over contiguous tensors of the shapes in `shape`; `y` is f32 or of the type of `x`.
pub(super) fn multiply(x: &Tensor, panels: &Tensor, y: &Tensor, shape: Product) {
    let [x_data, w_data, y_data] = [x, panels, y].map(Shared::of);
    let tile = Tile::for_rows(shape.rows);
    let bf16 = x.kind() == Kind::BFloat16;
    let wide = y.kind() == Kind::Float;
    let x_size = if bf16 { 2 } else { 4 };
    let groups = (shape.out / LANE_COUNT).div_ceil(tile.panels);
    team::run(&|thread, threads| {
        let [x_data, w_data, y_data] = [x_data.get(), w_data.get(), y_data.get()];
        for group in groups * thread / threads..groups * (thread + 1) / threads {
            let first = group * tile.panels;
            let panels = tile.panels.min(shape.out / LANE_COUNT - first);
            for block in 0..tile.blocks {
                let row = shape.rows * block / tile.blocks;
                let rows = shape.rows * (block + 1) / tile.blocks - row;
                let ahead = Ahead::of(block, &tile, shape.input * LANE_COUNT * x_size);
                let place = Place { row, rows, first, panels, shape, ahead };
                // SAFETY: `supported` held when the matrix was packed; the tensors are contiguous
                // and of these sizes; blocks of rows and groups of panels are disjoint.
                unsafe {
                    match (bf16, wide) {
                        (true, false) => place.run::<Bf16, false>(x_data, w_data, y_data),
                        (true, true) => place.run::<Bf16, true>(x_data, w_data, y_data),
                        (false, _) => place.run::<F32, true>(x_data, w_data, y_data),
                    }
                }
            }
        }
    });
}

/// How rows and panels are cut into micro-kernels.
struct Tile {
    /// Row blocks of nearly equal size.
    blocks: usize,
    /// Panels computed together.
    panels: usize,
}

impl Tile {
    fn for_rows(rows: usize) -> Self {
        match rows {
            0..=4 => Self { blocks: 1, panels: 4 },
            5..=12 => Self { blocks: 1, panels: 2 },
            _ => Self { blocks: rows.div_ceil(12), panels: 2 },
        }
    }
}

/// Which weights are asked for before their use.
#[derive(Clone, Copy)]
enum Ahead {
    /// Those of the same panel a little further on, since each is used once.
    Near,
    /// Those of a later panel, this many bytes on: the blocks of rows use a group of panels one after
    /// the other, and have time to fetch the next one.
    Far(usize),
}

impl Ahead {
    /// The first blocks fetch a panel of the next group each, the others nothing new.
    fn of(block: usize, tile: &Tile, panel_bytes: usize) -> Self {
        match block {
            _ if tile.blocks == 1 => Self::Near,
            block if block < tile.panels => Self::Far((tile.panels + block) * panel_bytes),
            _ => Self::Far(0),
        }
    }
}

/// The part of a product that one micro-kernel computes.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    rows: usize,
    first: usize,
    panels: usize,
    shape: Product,
    ahead: Ahead,
}

impl Place {
    /// # Safety
    /// The pointers are to contiguous `x`, panels and `y` of the shapes in `self.shape`, element
    /// types as `E` and `WIDE` say, and no other thread writes this part of `y`.
    unsafe fn run<E: Element, const WIDE: bool>(self, x: *const u8, w: *const u8, y: *mut u8) {
        macro_rules! dispatch {
            ($($rows:literal x $panels:literal),*) => {
                match (self.rows, self.panels) {
                    // SAFETY: as promised by the caller.
                    $(($rows, $panels) => unsafe { E::kernel::<$rows, $panels, WIDE>(self, x, w, y) },)*
                    (rows, panels) => {
                        // A group cut short at the end of the matrix: one panel after the other.
                        for panel in 0..panels {
                            let one = Self { first: self.first + panel, panels: 1, ..self };
                            assert!(rows <= 16, "row blocks have at most 16 rows");
                            // SAFETY: as promised by the caller.
                            unsafe { one.run::<E, WIDE>(x, w, y) }
                        }
                    }
                }
            };
        }
        dispatch!(
            1 x 4, 2 x 4, 3 x 4, 4 x 4,
            5 x 2, 6 x 2, 7 x 2, 8 x 2, 9 x 2, 10 x 2, 11 x 2, 12 x 2,
            1 x 1, 2 x 1, 3 x 1, 4 x 1, 5 x 1, 6 x 1, 7 x 1, 8 x 1,
            9 x 1, 10 x 1, 11 x 1, 12 x 1, 13 x 1, 14 x 1, 15 x 1, 16 x 1
        );
    }
}

/// An element type of matrix and input.
trait Element {
    /// # Safety
    /// As for [`Place::run`]; `R` rows and `P` panels lie within the product.
    unsafe fn kernel<const R: usize, const P: usize, const WIDE: bool>(
        place: Place,
        x: *const u8,
        w: *const u8,
        y: *mut u8,
    );
}

struct Bf16;
struct F32;

impl Element for Bf16 {
    unsafe fn kernel<const R: usize, const P: usize, const WIDE: bool>(
        place: Place,
        x: *const u8,
        w: *const u8,
        y: *mut u8,
    ) {
        // SAFETY: the caller's promise, and `supported` for the instructions.
        unsafe { bf16_kernel::<R, P, WIDE>(place, x, w, y) }
    }
}

impl Element for F32 {
    unsafe fn kernel<const R: usize, const P: usize, const WIDE: bool>(
        place: Place,
        x: *const u8,
        w: *const u8,
        y: *mut u8,
    ) {
        // SAFETY: the caller's promise, and `supported` for the instructions.
        unsafe { f32_kernel::<R, P>(place, x, w, y) }
    }
}

/// How far ahead of its use a weight is asked for in [`Ahead::Near`], in bytes: the hardware's own
/// prefetching stops at page ends.
const NEAR: usize = 2048;

#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn bf16_kernel<const R: usize, const P: usize, const WIDE: bool>(
    place: Place,
    x: *const u8,
    w: *const u8,
    y: *mut u8,
) {
    let Product { out, input, .. } = place.shape;
    let panel_bytes = input * LANE_COUNT * 2;
    let row_bytes = input * 2;
    let (near, far) = match place.ahead {
        Ahead::Near => (true, 0),
        Ahead::Far(bytes) => (false, bytes),
    };
    let mut sums = [[_mm512_setzero_ps(); P]; R];
    // SAFETY: all reads are inside `x` and the panels, see `Place::run`; a prefetch never faults.
    unsafe {
        let x = x.add(place.row * row_bytes);
        let w = w.add(place.first * panel_bytes);
        for pair in 0..input / 2 {
            let mut weights = [transmute::<__m512i, __m512bh>(_mm512_set1_epi32(0)); P];
            for (p, weight) in weights.iter_mut().enumerate() {
                let at = w.add(p * panel_bytes + pair * LANE_COUNT * 4);
                *weight = transmute::<__m512i, __m512bh>(_mm512_loadu_si512(at.cast()));
                if near {
                    prefetch(at.wrapping_add(NEAR));
                }
            }
            if !near {
                prefetch_second(w.wrapping_add(far + pair * LANE_COUNT * 4));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let both = x.add(r * row_bytes + pair * 4).cast::<i32>().read_unaligned();
                let both = transmute::<__m512i, __m512bh>(_mm512_set1_epi32(both));
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum = _mm512_dpbf16_ps(*sum, weight, both);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (p, sum) in sums.iter().enumerate() {
                let at = (place.row + r) * out + (place.first + p) * LANE_COUNT;
                store::<WIDE>(y, at, *sum);
            }
        }
    }
}

#[target_feature(enable = "avx512f")]
unsafe fn f32_kernel<const R: usize, const P: usize>(
    place: Place,
    x: *const u8,
    w: *const u8,
    y: *mut u8,
) {
    let Product { out, input, .. } = place.shape;
    let panel = input * LANE_COUNT;
    let (near, far) = match place.ahead {
        Ahead::Near => (true, 0),
        Ahead::Far(bytes) => (false, bytes),
    };
    let mut sums = [[_mm512_setzero_ps(); P]; R];
    // SAFETY: all reads are inside `x` and the panels, see `Place::run`; a prefetch never faults.
    unsafe {
        let x = x.cast::<f32>().add(place.row * input);
        let w = w.cast::<f32>().add(place.first * panel);
        for i in 0..input {
            let mut weights = [_mm512_setzero_ps(); P];
            for (p, weight) in weights.iter_mut().enumerate() {
                let at = w.add(p * panel + i * LANE_COUNT);
                *weight = _mm512_loadu_ps(at);
                if near {
                    prefetch(at.cast::<u8>().wrapping_add(NEAR));
                }
            }
            if !near {
                prefetch_second(w.cast::<u8>().wrapping_add(far + i * LANE_COUNT * 4));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let value = _mm512_set1_ps(*x.add(r * input + i));
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum = _mm512_fmadd_ps(weight, value, *sum);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (p, sum) in sums.iter().enumerate() {
                let at = (place.row + r) * out + (place.first + p) * LANE_COUNT;
                _mm512_storeu_ps(y.cast::<f32>().add(at), *sum);
            }
        }
    }
}

#[inline(always)]
fn prefetch(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch of any address is allowed and never faults.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
}

/// Into the second cache, which holds a whole group of panels.
#[inline(always)]
fn prefetch_second(at: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // SAFETY: as for `prefetch`.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
}

/// Writes 16 sums at element `at` of `y`.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn store<const WIDE: bool>(y: *mut u8, at: usize, sum: __m512) {
    // SAFETY: the caller computes `at` inside `y`.
    unsafe {
        if WIDE {
            _mm512_storeu_ps(y.cast::<f32>().add(at), sum);
        } else {
            let narrow = _mm512_cvtneps_pbh(sum);
            _mm256_storeu_si256(
                y.cast::<u16>().add(at).cast(),
                transmute::<__m256bh, __m256i>(narrow),
            );
        }
    }
}
