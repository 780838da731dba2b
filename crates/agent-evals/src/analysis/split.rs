//! Random order, and random halves.

use rand_chacha::{ChaCha8Rng, rand_core::Rng as _};

/// Puts items in random order: Fisher and Yates.
pub(super) fn shuffle<T>(items: &mut [T], rng: &mut ChaCha8Rng) {
    front(items, items.len().saturating_sub(1), rng);
}

/// Puts `count` random items in front, in random order.
pub(super) fn front<T>(items: &mut [T], count: usize, rng: &mut ChaCha8Rng) {
    let n = items.len();
    for i in 0..count.min(n) {
        let left = (n - i) as u64;
        // Even to within n / 2^64.
        let j = i + ((u128::from(rng.next_u64()) * u128::from(left)) >> 64) as usize;
        items.swap(i, j);
    }
}

/// Two random disjoint parts of `size` items; there are at least twice as many.
pub(super) fn halves<'a, T>(items: &'a mut [T], size: usize, rng: &mut ChaCha8Rng) -> [&'a [T]; 2] {
    front(items, 2 * size, rng);
    let (one, rest) = items.split_at(size);
    [one, &rest[..size]]
}

#[cfg(test)]
mod tests {
    use rl_core::seed::Seed;

    use super::*;

    #[test]
    fn every_order_is_as_likely() {
        let mut rng = Seed::new(1).rng();
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            shuffle(&mut items, &mut rng);
            *counts.entry(items).or_insert(0_i32) += 1;
        }
        assert_eq!(counts.len(), 24);
        // Five standard deviations of a count of 1000.
        assert!(counts.values().all(|c| (c - 1000).abs() < 155), "{counts:?}");
    }

    #[test]
    fn halves_share_nothing() {
        let mut rng = Seed::new(2).rng();
        let mut items: Vec<usize> = (0..7).collect();
        for _ in 0..50 {
            let [a, b] = halves(&mut items, 3, &mut rng);
            assert!(a.len() == 3 && b.len() == 3 && a.iter().all(|x| !b.contains(x)));
        }
    }
}
