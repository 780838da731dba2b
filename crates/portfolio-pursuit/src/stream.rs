//! Random streams that cost nothing to start: one for every customer.

use std::convert::Infallible;

use rand::TryRng;
use rl_core::seed::Seed;

/// A generator that is a pure function of a seed and an index.
///
/// xoroshiro128++ (Blackman and Vigna, ACM TOMS 2021) from a state that `SplitMix64`'s finalizer
/// makes of seed and index, so that customer `i` is the same whoever draws it, and in what order.
/// A hundred million streams of a thousand numbers each share a number of the cycle of 2¹²⁸ − 1 with
/// probability below 10⁻¹⁹.
#[derive(Debug, Clone)]
pub struct Stream {
    state: [u64; 2],
}

/// The increment of `SplitMix64`: 2⁶⁴ over the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Stream {
    /// Stream `index` of a seed.
    #[inline]
    pub fn at(seed: Seed, index: u64) -> Self {
        // Two maps of the index that are one-to-one each, so no two indices share a state.
        let first = finalize(seed.value() ^ finalize(index.wrapping_add(GOLDEN)));
        let second = finalize(first.wrapping_add(index.wrapping_mul(GOLDEN)).wrapping_add(GOLDEN));
        Self { state: [first, second | u64::from(first | second == 0)] }
    }

    /// The next 64 bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let [a, mut b] = self.state;
        let out = a.wrapping_add(b).rotate_left(17).wrapping_add(a);
        b ^= a;
        self.state = [a.rotate_left(49) ^ b ^ (b << 21), b.rotate_left(28)];
        out
    }

    /// Uniform on the open interval (0, 1): the middle of one of 2⁵² equal parts.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) * (1.0 / (1_u64 << 52) as f64)
    }

    /// Uniform on `0..n`, with a bias below n/2⁶⁴.
    #[inline]
    pub fn below(&mut self, n: u32) -> u32 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u32
    }
}

#[inline]
fn finalize(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// For the samplers of `rand` and `rand_distr`.
impl TryRng for Stream {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.bits() >> 32) as u32)
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.bits())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_numbers_never_change() {
        // Python: the published C code of xoroshiro128++ from state [1, 2].
        let mut stream = Stream { state: [1, 2] };
        assert_eq!([stream.bits(), stream.bits(), stream.bits()], XOROSHIRO);
    }

    const XOROSHIRO: [u64; 3] = [393_217, 669_327_710_093_319, 1_732_421_326_133_921_491];

    #[test]
    fn neighbors_are_uncorrelated() {
        let seed = Seed::new(7);
        let n = 200_000;
        let first: Vec<f64> = (0..n).map(|i| Stream::at(seed, i).unit()).collect();
        let mean = first.iter().sum::<f64>() / n as f64;
        let lag: f64 =
            first.windows(2).map(|w| (w[0] - 0.5) * (w[1] - 0.5)).sum::<f64>() / (n as f64 / 12.0);
        // Standard errors: sqrt(1/12 / n) = 6.5e-4, and 1/sqrt(n) = 2.2e-3.
        assert!((mean - 0.5).abs() < 4.0 * 6.5e-4 && lag.abs() < 4.0 * 2.3e-3, "{mean} {lag}");
    }

    #[test]
    fn integers_below_are_even() {
        let mut stream = Stream::at(Seed::new(1), 0);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[stream.below(6) as usize] += 1;
        }
        assert!(counts.iter().all(|&c| c.abs_diff(10_000) < 4 * 92), "{counts:?}");
    }
}
