//! Sixteen numbers at a time: loads, stores and the exponential.
#![expect(unsafe_code, reason = "vector instructions and raw tensor memory")]

use std::arch::x86_64::{
    __m512, __m512i, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_add_epi32, _mm512_add_ps,
    _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cvtepi32_epi16,
    _mm512_cvtepu16_epi32, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_loadu_ps, _mm512_max_ps,
    _mm512_min_ps, _mm512_mul_ps, _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_storeu_ps,
};

/// Lanes of a register.
pub(super) const WIDTH: usize = 16;

/// A stored element type; arithmetic is in f32.
pub(super) trait Element: 'static {
    /// # Safety
    /// 16 elements lie at `at`; the processor has AVX-512F.
    unsafe fn load(at: *const Self) -> __m512;

    /// Rounds to nearest even.
    ///
    /// # Safety
    /// As for [`Element::load`].
    unsafe fn store(at: *mut Self, value: __m512);
}

impl Element for f32 {
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn load(at: *const Self) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_ps(at) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn store(at: *mut Self, value: __m512) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_ps(at, value) }
    }
}

/// Bits of a bf16 number.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Bf16(u16);

impl Element for Bf16 {
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn load(at: *const Self) -> __m512 {
        // SAFETY: the caller's promise.
        let bits = unsafe { _mm256_loadu_si256(at.cast()) };
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)))
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn store(at: *mut Self, value: __m512) {
        let bits: __m512i = _mm512_castps_si512(value);
        let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
        let narrow = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded));
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_si256(at.cast(), narrow) }
    }
}

/// `eˣ`, to about two units in the last place; 0 below −104, finite above 88, NaN of NaN.
///
/// `x = n ln 2 + f`, `|f| ≤ ln 2 / 2`; the Taylor series of `e^f` to the seventh power, times `2ⁿ`.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn exp(x: __m512) -> __m512 {
    // The second operand is what these return for NaN: it must not be lost.
    let x = _mm512_min_ps(_mm512_set1_ps(88.0), _mm512_max_ps(_mm512_set1_ps(-104.0), x));
    let n = _mm512_roundscale_ps::<8>(_mm512_mul_ps(x, _mm512_set1_ps(std::f32::consts::LOG2_E)));
    // ln 2 in two parts, so that the difference keeps its low bits.
    let f = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693_359_4), x);
    let f = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.121_944_4e-4), f);
    let mut sum = _mm512_set1_ps(1.0 / 5040.0);
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = _mm512_fmadd_ps(sum, f, _mm512_set1_ps(coefficient));
    }
    _mm512_scalef_ps(sum, n)
}

/// `a + b`.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn add(a: __m512, b: __m512) -> __m512 {
    _mm512_add_ps(a, b)
}
