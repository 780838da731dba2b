//! Permutations that leave nothing where it was.

use rand::seq::SliceRandom as _;
use rl_core::seed::Seed;

/// A permutation of `0..n` without a fixed point, each as likely; none for n = 1, where there is no
/// such permutation.
///
/// Shuffles until none is left in place, which one in e is.
///
/// # Examples
/// ```
/// use cot_metrics::interventions::derangement;
/// use rl_core::seed::Seed;
///
/// let order = derangement(5, Seed::new(1)).unwrap();
/// assert!(order.iter().enumerate().all(|(i, &from)| i != from));
/// assert_eq!(derangement(1, Seed::new(1)), None);
/// ```
pub fn derangement(n: usize, seed: Seed) -> Option<Vec<usize>> {
    if n == 1 {
        return None;
    }
    let mut rng = seed.derive("derangement", 0).rng();
    let mut order: Vec<usize> = (0..n).collect();
    loop {
        order.shuffle(&mut rng);
        if order.iter().enumerate().all(|(i, &from)| i != from) {
            return Some(order);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_stays_and_all_are_there(n in 2_usize..60, seed in any::<u64>()) {
            let mut order = derangement(n, Seed::new(seed)).unwrap();
            prop_assert!(order.iter().enumerate().all(|(i, &from)| i != from));
            order.sort_unstable();
            prop_assert_eq!(order, (0..n).collect::<Vec<_>>());
        }
    }

    #[test]
    fn all_derangements_are_as_likely() {
        // Of four things there are nine.
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..4_500 {
            *counts.entry(derangement(4, Seed::new(seed)).unwrap()).or_insert(0_i32) += 1;
        }
        assert_eq!(counts.len(), 9);
        // Five standard deviations of a binomial count.
        assert!(counts.values().all(|count| (count - 500).abs() < 106), "{counts:?}");
        assert_eq!(derangement(0, Seed::new(0)), Some(vec![]));
    }
}
