//! From stored blocks to f32, in the order of operations of the reference, so that results are equal
//! to the bit.

use half::{bf16, f16};
use rayon::prelude::*;

/// How a tensor's numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuantKind {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// The upper halves of 32-bit floats.
    BF16,
    /// Blocks of 32: scale, 4-bit numbers around 8.
    Q4_0,
    /// Blocks of 32: scale and minimum, 4-bit numbers.
    Q4_1,
    /// Blocks of 32: scale, 5-bit numbers around 16.
    Q5_0,
    /// Blocks of 32: scale and minimum, 5-bit numbers.
    Q5_1,
    /// Blocks of 32: scale, 8-bit numbers.
    Q8_0,
    /// Blocks of 256 in 8 parts with 6-bit scales and minima, 4-bit numbers.
    Q4K,
    /// Blocks of 256 in 8 parts with 6-bit scales and minima, 5-bit numbers.
    Q5K,
    /// Blocks of 256 in 16 parts with 8-bit scales, 6-bit numbers around 32.
    Q6K,
}

/// Blocks handed to one thread at a time.
const BLOCKS_PER_TASK: usize = 4096;

impl QuantKind {
    /// The kind with this code in a file.
    pub fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            12 => Self::Q4K,
            13 => Self::Q5K,
            14 => Self::Q6K,
            30 => Self::BF16,
            _ => return None,
        })
    }

    /// Numbers in a block.
    pub fn block(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// All numbers of whole blocks; what is left of an incomplete one is not looked at.
    pub fn dequantize(self, bytes: &[u8]) -> Vec<f32> {
        let (size, count) = (self.block_bytes(), self.block());
        let blocks = bytes.len() / size;
        let mut out = vec![0.0_f32; blocks * count];
        out.par_chunks_mut(BLOCKS_PER_TASK * count)
            .zip(bytes.par_chunks(BLOCKS_PER_TASK * size))
            .for_each(|(out, bytes)| {
                for (out, block) in out.chunks_exact_mut(count).zip(bytes.chunks_exact(size)) {
                    self.block_into(block, out);
                }
            });
        out
    }

    fn block_into(self, b: &[u8], out: &mut [f32]) {
        match self {
            Self::F32 => out[0] = f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            Self::F16 => out[0] = half_at(b, 0),
            Self::BF16 => out[0] = bf16::from_le_bytes([b[0], b[1]]).to_f32(),
            Self::Q4_0 => {
                let d = half_at(b, 0);
                nibbles(&b[2..18], out, |q, _| d * (f32::from(q) - 8.0));
            }
            Self::Q4_1 => {
                let (d, m) = (half_at(b, 0), half_at(b, 2));
                nibbles(&b[4..20], out, |q, _| d * f32::from(q) + m);
            }
            Self::Q5_0 => {
                let d = half_at(b, 0);
                let high = u32::from_le_bytes([b[2], b[3], b[4], b[5]]);
                nibbles(&b[6..22], out, |q, i| d * (f32::from(fifth_bit(q, high, i)) - 16.0));
            }
            Self::Q5_1 => {
                let (d, m) = (half_at(b, 0), half_at(b, 2));
                let high = u32::from_le_bytes([b[4], b[5], b[6], b[7]]);
                nibbles(&b[8..24], out, |q, i| d * f32::from(fifth_bit(q, high, i)) + m);
            }
            Self::Q8_0 => {
                let d = half_at(b, 0);
                for (out, &q) in out.iter_mut().zip(&b[2..]) {
                    *out = f32::from(q.cast_signed()) * d;
                }
            }
            Self::Q4K => k_block(b, &[], &b[16..144], out),
            Self::Q5K => k_block(b, &b[16..48], &b[48..176], out),
            Self::Q6K => q6_k_block(b, out),
        }
    }
}

fn half_at(b: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([b[at], b[at + 1]]).to_f32()
}

/// 32 numbers in 16 bytes: the low halves first.
fn nibbles(packed: &[u8], out: &mut [f32], value: impl Fn(u8, usize) -> f32) {
    for (i, &byte) in packed.iter().enumerate() {
        out[i] = value(byte & 15, i);
        out[i + 16] = value(byte >> 4, i + 16);
    }
}

fn fifth_bit(q: u8, high: u32, i: usize) -> u8 {
    q | (((high >> i) & 1) as u8) << 4
}

/// Scale and minimum of part `i` of 8, six bits each in twelve bytes.
fn scale_min(packed: &[u8], i: usize) -> [f32; 2] {
    let (scale, min) = if i < 4 {
        (packed[i] & 63, packed[i + 4] & 63)
    } else {
        (
            (packed[i + 4] & 15) | (packed[i - 4] >> 6) << 4,
            (packed[i + 4] >> 4) | (packed[i] >> 6) << 4,
        )
    };
    [f32::from(scale), f32::from(min)]
}

/// `Q4_K`, and `Q5_K` where `high` holds the fifth bits.
fn k_block(b: &[u8], high: &[u8], low: &[u8], out: &mut [f32]) {
    let (d, d_min) = (half_at(b, 0), half_at(b, 2));
    for (part, out) in out.chunks_exact_mut(32).enumerate() {
        let [scale, min] = scale_min(&b[4..16], part);
        let (scale, min) = (d * scale, d_min * min);
        for (i, out) in out.iter_mut().enumerate() {
            let byte = low[part / 2 * 32 + i];
            let q = if part % 2 == 0 { byte & 15 } else { byte >> 4 };
            let fifth = high.get(i).map_or(0, |h| ((h >> part) & 1) << 4);
            *out = scale * f32::from(q | fifth) - min;
        }
    }
}

fn q6_k_block(b: &[u8], out: &mut [f32]) {
    let (low, high, scales) = (&b[..128], &b[128..192], &b[192..208]);
    let d = half_at(b, 208);
    for (i, out) in out.iter_mut().enumerate() {
        // Halves of 128; in each, four runs of 32 share bytes.
        let (half, within) = (i / 128, i % 128);
        let byte = low[half * 64 + within % 64];
        let four = if within < 64 { byte & 15 } else { byte >> 4 };
        let two = (high[half * 32 + within % 32] >> (within / 32 * 2)) & 3;
        let q = (four | two << 4).cast_signed() - 32;
        *out = d * f32::from(scales[i / 16].cast_signed()) * f32::from(q);
    }
}
