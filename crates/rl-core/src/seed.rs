//! One root seed, and streams derived from it by purpose and index.

use std::ops::Range;

use rand::seq::SliceRandom as _;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
use sha2::{Digest as _, Sha256};

/// A seed from which others can be derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed(u64);

impl Seed {
    /// The root of a run.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number itself.
    pub fn value(self) -> u64 {
        self.0
    }

    /// The seed of stream `index` of a purpose.
    ///
    /// The first eight bytes, little-endian, of SHA-256 over this seed, the purpose's length and
    /// text, and the index; so streams of different purposes are independent, and adding one changes
    /// no other.
    #[must_use]
    pub fn derive(self, purpose: &str, index: u64) -> Self {
        let mut digest = Sha256::new();
        digest.update(self.0.to_le_bytes());
        digest.update((purpose.len() as u64).to_le_bytes());
        digest.update(purpose);
        digest.update(index.to_le_bytes());
        let bytes = digest.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&bytes[..8]);
        Self(u64::from_le_bytes(first))
    }

    /// The generator of this stream.
    pub fn rng(self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.0)
    }

    /// The items that stand at `places` of an endless walk over `0..items`, each pass of which has an
    /// order of its own: stream `pass` of `purpose`.
    ///
    /// What a place holds depends on nothing but the arguments, so a run that is resumed goes on with
    /// the same items. Without items there are none.
    pub fn walk(self, purpose: &str, items: usize, places: Range<u64>) -> Vec<usize> {
        if items == 0 {
            return Vec::new();
        }
        let total = items as u64;
        let mut order = Vec::new();
        let mut of = None;
        places
            .map(|place| {
                let pass = place / total;
                if of != Some(pass) {
                    order = (0..items).collect();
                    order.shuffle(&mut self.derive(purpose, pass).rng());
                    of = Some(pass);
                }
                order[(place % total) as usize]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::Rng as _;

    use super::*;

    #[test]
    fn derivation_never_changes() {
        // Python: int.from_bytes(sha256(struct.pack("<QQ", 42, 7) + b"shuffle" + struct.pack("<Q", 3)).digest()[:8], "little")
        assert_eq!(Seed::new(42).derive("shuffle", 3).value(), GOLDEN);
    }

    const GOLDEN: u64 = 14_246_649_391_908_414_731;

    #[test]
    fn purposes_and_indices_are_apart() {
        let root = Seed::new(1);
        let mut seen: Vec<u64> = ["a", "b", "ab"]
            .iter()
            .flat_map(|p| (0..50).map(|i| root.derive(p, i).rng().next_u64()))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 150);
    }

    #[test]
    fn every_pass_of_a_walk_has_all_items_in_an_order_of_its_own() {
        let whole = Seed::new(3).walk("prompts", 7, 0..21);
        let passes: Vec<&[usize]> = whole.chunks(7).collect();
        for pass in &passes {
            let mut items = pass.to_vec();
            items.sort_unstable();
            assert_eq!(items, [0, 1, 2, 3, 4, 5, 6]);
        }
        assert!(passes[0] != passes[1] && passes[1] != passes[2]);
        assert_ne!(whole, Seed::new(3).walk("texts", 7, 0..21));
    }

    #[test]
    fn a_walk_goes_on_where_it_was_left() {
        let whole = Seed::new(3).walk("prompts", 5, 0..40);
        for cut in 0..40 {
            let parts = [0..cut, cut..40].map(|part| Seed::new(3).walk("prompts", 5, part));
            assert_eq!(parts.concat(), whole);
        }
        assert!(Seed::new(3).walk("prompts", 0, 0..4).is_empty());
    }
}
