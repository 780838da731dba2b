//! Attention of one new token a row over its cache: rotation, cache write, softmax and mixing in one
//! pass over the keys and one over the values.
#![expect(unsafe_code, reason = "vector instructions and raw tensor memory")]

use std::arch::x86_64::{
    __m512, _MM_HINT_T0, _mm_prefetch, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_max_ps,
    _mm512_mul_ps, _mm512_reduce_add_ps, _mm512_reduce_max_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_storeu_ps, _mm512_sub_ps,
};

use tch::{Kind, Tensor};

use super::{
    Shared, Step,
    lanes::{Bf16, Element, WIDTH, add, exp},
    team,
};

/// Registers of the longest head.
const MAX_REGISTERS: usize = 16;

/// Keys ahead of its use that a key is asked for: a cache is read once a step, from far away.
const KEYS_AHEAD: usize = 8;

/// Whether heads of this size are served.
pub(super) fn fits(head_dim: usize) -> bool {
    head_dim.is_multiple_of(WIDTH) && matches!(head_dim / WIDTH, 1..=6 | 8 | 10 | 12 | 16)
}

/// Sizes and places of one step's attention.
struct Task<'a> {
    step: &'a Step,
    qkv: Shared,
    keys: Shared,
    values: Shared,
    out: Shared,
    num_heads: usize,
    num_kv_heads: usize,
    head_dim: usize,
    capacity: usize,
    window: usize,
}

/// Sizes of an attention.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "the field's own names")]
pub(super) struct Heads {
    pub(super) num_heads: usize,
    pub(super) num_kv_heads: usize,
    pub(super) head_dim: usize,
    /// Keys a query can see, itself included.
    pub(super) window: usize,
}

/// See [`super::Step::attend`].
pub(super) fn attend(
    step: &Step,
    heads: Heads,
    qkv: &Tensor,
    keys: &Tensor,
    values: &Tensor,
) -> Tensor {
    let Heads { num_heads, num_kv_heads, head_dim, window } = heads;
    let batch = step.starts.len();
    let out =
        Tensor::empty([batch as i64, 1, (num_heads * head_dim) as i64], (qkv.kind(), qkv.device()));
    let task = Task {
        step,
        qkv: Shared::of(qkv),
        keys: Shared::of(keys),
        values: Shared::of(values),
        out: Shared::of(&out),
        num_heads,
        num_kv_heads,
        head_dim,
        capacity: keys.size()[2] as usize,
        window,
    };
    let bf16 = qkv.kind() == Kind::BFloat16;
    let units = batch * num_kv_heads;
    let work = |thread: usize, threads: usize| {
        let group = num_heads / num_kv_heads;
        let mut scratch = vec![0.0; group * (head_dim + (step.len + 1).next_multiple_of(WIDTH))];
        for unit in units * thread / threads..units * (thread + 1) / threads {
            let (row, kv_head) = (unit / num_kv_heads, unit % num_kv_heads);
            // SAFETY: the sizes were checked by `Step::attend`; every unit has its own cache rows
            // and its own part of the output.
            unsafe {
                if bf16 {
                    task.sized::<Bf16>(row, kv_head, &mut scratch);
                } else {
                    task.sized::<f32>(row, kv_head, &mut scratch);
                }
            }
        }
    };
    // A single row of a short context is done before the team has woken.
    if units * step.len < 256 {
        work(0, 1);
    } else {
        team::run(&work);
    }
    out
}

impl Task<'_> {
    /// [`Task::unit`] for the number of registers that a head has; all that [`fits`] knows are here.
    #[target_feature(enable = "avx512f")]
    unsafe fn sized<E: Element>(&self, row: usize, kv_head: usize, scratch: &mut [f32]) {
        macro_rules! dispatch {
            ($($registers:literal),*) => {
                match self.head_dim / WIDTH {
                    // SAFETY: as promised by the caller.
                    $($registers => unsafe { self.unit::<E, $registers>(row, kv_head, scratch) },)*
                    other => unreachable!("heads of {other} registers do not fit"),
                }
            };
        }
        dispatch!(1, 2, 3, 4, 5, 6, 8, 10, 12, 16);
    }

    /// One key/value head of `R` registers of one row, with all query heads that share it.
    #[target_feature(enable = "avx512f")]
    unsafe fn unit<E: Element, const R: usize>(
        &self,
        row: usize,
        kv_head: usize,
        scratch: &mut [f32],
    ) {
        let (dim, group) = (self.head_dim, self.num_heads / self.num_kv_heads);
        let len = self.step.len;
        let total = self.num_heads + 2 * self.num_kv_heads;
        let (queries, scores) = scratch.split_at_mut(group * dim);
        let stride = scores.len() / group;
        let first = self.step.starts[row].max((len + 1).saturating_sub(self.window));
        let count = len + 1 - first;
        // SAFETY: all offsets are inside the tensors: see `attend`.
        unsafe {
            let qkv = self.qkv.get().cast::<E>().add(row * total * dim);
            let cache_row = self.step.rows[row];
            let cache_row = (cache_row * self.num_kv_heads + kv_head) * self.capacity * dim;
            let keys = self.keys.get().cast::<E>().add(cache_row);
            let values = self.values.get().cast::<E>().add(cache_row);
            let new_key = qkv.add((self.num_heads + kv_head) * dim);
            let new_value = qkv.add((self.num_heads + self.num_kv_heads + kv_head) * dim);
            let mut rotated = [0.0; MAX_REGISTERS * WIDTH];
            self.rotate(row, new_key, 1.0, &mut rotated[..dim]);
            for i in (0..dim).step_by(WIDTH) {
                E::store(keys.add(len * dim + i), _mm512_loadu_ps(rotated.as_ptr().add(i)));
                E::store(values.add(len * dim + i), E::load(new_value.add(i)));
            }
            let scale = (dim as f32).sqrt().recip();
            for (g, query) in queries.chunks_mut(dim).enumerate() {
                self.rotate(row, qkv.add((kv_head * group + g) * dim), scale, query);
            }
            for key in 0..count {
                let offset = (first + key) * dim;
                // The values are wanted as soon as the scores are there.
                fetch(values.add(offset), dim);
                fetch(keys.wrapping_add(offset + KEYS_AHEAD * dim), dim);
                let mut parts = [_mm512_setzero_ps(); R];
                for (i, part) in parts.iter_mut().enumerate() {
                    *part = E::load(keys.add(offset + i * WIDTH));
                }
                for g in 0..group {
                    let query = queries.as_ptr().add(g * dim);
                    let mut sum = _mm512_setzero_ps();
                    for (i, part) in parts.iter().enumerate() {
                        sum = _mm512_fmadd_ps(*part, _mm512_loadu_ps(query.add(i * WIDTH)), sum);
                    }
                    scores[g * stride + key] = _mm512_reduce_add_ps(sum);
                }
            }
            let out =
                self.out.get().cast::<E>().add((row * self.num_heads + kv_head * group) * dim);
            for g in 0..group {
                let weights = &mut scores[g * stride..(g + 1) * stride];
                let scale = softmax(weights, count);
                let mut sums = [_mm512_setzero_ps(); R];
                for (key, weight) in weights[..count].iter().enumerate() {
                    let at = values.add((first + key) * dim);
                    let weight = _mm512_set1_ps(*weight);
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = _mm512_fmadd_ps(E::load(at.add(i * WIDTH)), weight, *sum);
                    }
                }
                for (i, sum) in sums.iter().enumerate() {
                    let scaled = _mm512_mul_ps(*sum, _mm512_set1_ps(scale));
                    E::store(out.add(g * dim + i * WIDTH), scaled);
                }
            }
        }
    }

    /// `scale` times the rotated head at `head`, in f32.
    #[target_feature(enable = "avx512f")]
    unsafe fn rotate<E: Element>(&self, row: usize, head: *const E, scale: f32, out: &mut [f32]) {
        let factor = _mm512_set1_ps(scale);
        for i in (0..out.len()).step_by(WIDTH) {
            // SAFETY: `out` and the head have `head_dim` elements.
            unsafe {
                let value: __m512 = _mm512_mul_ps(E::load(head.add(i)), factor);
                _mm512_storeu_ps(out.as_mut_ptr().add(i), value);
            }
        }
        let (cos, sin) = self.step.angles(row);
        let (low, high) = out[..2 * cos.len()].split_at_mut(cos.len());
        for (((a, b), c), s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
            (*a, *b) = (*a * c - *b * s, *b * c + *a * s);
        }
    }
}

/// Asks for the cache lines of a head.
#[inline]
fn fetch<E>(head: *const E, dim: usize) {
    for byte in (0..dim * size_of::<E>()).step_by(64) {
        // SAFETY: a prefetch of any address is allowed and never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(head.cast::<i8>().wrapping_add(byte)) }
    }
}

/// Replaces the first `count` scores by `exp(score − max)`; returns one over their sum.
#[target_feature(enable = "avx512f")]
fn softmax(scores: &mut [f32], count: usize) -> f32 {
    // The tail up to a whole register must not count.
    let padded = count.next_multiple_of(WIDTH);
    scores[count..padded].fill(f32::NEG_INFINITY);
    let mut max = _mm512_set1_ps(f32::NEG_INFINITY);
    for chunk in scores[..padded].chunks_exact(WIDTH) {
        // SAFETY: a chunk has exactly 16 elements. Of NaN the second operand is returned; it is not
        // lost, since its exponential below is NaN too.
        max = _mm512_max_ps(unsafe { _mm512_loadu_ps(chunk.as_ptr()) }, max);
    }
    let shift = _mm512_set1_ps(_mm512_reduce_max_ps(max));
    let mut sum = _mm512_setzero_ps();
    for chunk in scores[..padded].chunks_exact_mut(WIDTH) {
        // SAFETY: a chunk has exactly 16 elements.
        unsafe {
            let value = exp(_mm512_sub_ps(_mm512_loadu_ps(chunk.as_ptr()), shift));
            _mm512_storeu_ps(chunk.as_mut_ptr(), value);
            sum = add(sum, value);
        }
    }
    _mm512_reduce_add_ps(sum).recip()
}
