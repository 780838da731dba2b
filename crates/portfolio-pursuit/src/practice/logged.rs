//! Prices that were logged, standing for prices that were not.

use serde::{Deserialize, Serialize};

/// A price that may be asked, and how likely.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    /// In £.
    pub price: f64,
    /// Of asking it.
    pub probability: f64,
}

/// Prices nearer to each other than this share of them are the same: what rounding does.
const SAME: f64 = 1e-9;

/// The probabilities with which logged prices stand for those of a new policy.
///
/// A new price is split between the two logged ones around it so that its mean stays; so whatever is
/// straight in the price between them is estimated without bias, and what is curved with one of the
/// order of their distance squared.
///
/// ```text
/// q_j += r (a_{j+1} − b)/(a_{j+1} − a_j),   q_{j+1} += r (b − a_j)/(a_{j+1} − a_j)
/// ```
///
/// None if a new price lies outside of those that might have been logged: of it the log says nothing.
///
/// # Shapes
/// - `logged`, rising: `[prices]`
/// - `new`: any number
/// - returns: `[prices]`, with the sum that the probabilities of `new` have
///
/// # Examples
/// ```
/// use portfolio_pursuit::practice::{Alternative, stand_in};
/// let price = |price, probability| Alternative { price, probability };
/// let logged = [price(95.0, 0.1), price(100.0, 0.8), price(104.0, 0.1)];
/// let found = stand_in(&logged, &[price(101.0, 1.0)]);
/// assert_eq!(found, Some(vec![0.0, 0.75, 0.25]));
/// assert_eq!(stand_in(&logged, &[price(105.0, 1.0)]), None);
/// ```
pub fn stand_in(logged: &[Alternative], new: &[Alternative]) -> Option<Vec<f64>> {
    let mut out = vec![0.0; logged.len()];
    for Alternative { price, probability } in new {
        let near = |a: &Alternative| (a.price - price).abs() <= SAME * price.abs();
        if let Some(same) = logged.iter().position(near) {
            out[same] += probability;
            continue;
        }
        let above = logged.partition_point(|a| a.price < *price);
        if above == 0 || above == logged.len() {
            return None;
        }
        let [low, high] = [logged[above - 1].price, logged[above].price];
        let share = (price - low) / (high - low);
        out[above - 1] += probability * (1.0 - share);
        out[above] += probability * share;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(price: f64, probability: f64) -> Alternative {
        Alternative { price, probability }
    }

    proptest! {
        #[test]
        fn sums_and_means_stay(
            steps in proptest::collection::vec(0.1..9.0_f64, 2..8),
            new in proptest::collection::vec((0.0..1.0_f64, 0.01..1.0_f64), 1..5),
        ) {
            let mut at = 100.0;
            let logged: Vec<Alternative> = steps
                .iter()
                .map(|step| {
                    at += step;
                    price(at, 0.1)
                })
                .collect();
            let [low, high] = [logged[0].price, at];
            let new: Vec<Alternative> =
                new.into_iter().map(|(u, p)| price(low + u * (high - low), p)).collect();
            let found = stand_in(&logged, &new).unwrap();
            let mass = new.iter().map(|a| a.probability).sum::<f64>();
            prop_assert!((found.iter().sum::<f64>() - mass).abs() < 1e-12);
            let mean = new.iter().map(|a| a.probability * a.price).sum::<f64>();
            let stands = found.iter().zip(&logged).map(|(q, a)| q * a.price).sum::<f64>();
            prop_assert!((stands - mean).abs() < 1e-6);
            prop_assert!(found.iter().all(|q| *q >= 0.0));
        }
    }

    #[test]
    fn only_what_lies_between_logged_prices_is_known() {
        let one = [price(100.0, 1.0)];
        assert_eq!(stand_in(&one, &[price(100.0, 1.0)]), Some(vec![1.0]));
        assert_eq!(stand_in(&one, &[price(100.01, 1.0)]), None);
        let two = [price(100.0, 0.5), price(110.0, 0.5)];
        assert_eq!(stand_in(&two, &[price(105.0, 0.9), price(99.0, 0.1)]), None);
        // A price that rounding has moved is the same.
        let found = stand_in(&two, &[price(100.0 * (1.0 - 1e-13), 1.0)]);
        assert_eq!(found, Some(vec![1.0, 0.0]));
    }
}
