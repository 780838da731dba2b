//! In which order options are shown, and back.

use rl_core::seed::Seed;

/// The order in which options are shown: place by place, the option that stands there.
///
/// Each paraphrase of an item has an order of its own at random, which the others rotate: over as many
/// orders as there are options each option stands in each place once, and whoever always names the
/// same place names all options equally often.
pub fn shown(
    scenario: &str,
    item: &str,
    paraphrase: u32,
    order: u32,
    options: usize,
) -> Vec<usize> {
    if options == 0 {
        return Vec::new();
    }
    // The root is fixed: an order belongs to an item, not to a run.
    let seed = Seed::new(0).derive(&format!("options {scenario}/{item}"), u64::from(paraphrase));
    let mut places = seed.walk("order", options, 0..options as u64);
    places.rotate_left(order as usize % options);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_stands_in_each_place_once() {
        for options in 1..7 {
            for paraphrase in 0..3 {
                let orders: Vec<Vec<usize>> = (0..options as u32)
                    .map(|order| shown("s", "i", paraphrase, order, options))
                    .collect();
                for place in 0..options {
                    let mut there: Vec<usize> = orders.iter().map(|o| o[place]).collect();
                    there.sort_unstable();
                    assert_eq!(there, (0..options).collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn paraphrases_and_items_have_their_own() {
        let of = |item: &str, paraphrase| shown("s", item, paraphrase, 0, 6);
        assert_eq!(of("a", 0), of("a", 0));
        let all = [of("a", 0), of("a", 1), of("a", 2), of("b", 0)];
        assert!(all.iter().any(|o| *o != all[0]));
        assert!(shown("s", "i", 0, 0, 0).is_empty());
    }
}
