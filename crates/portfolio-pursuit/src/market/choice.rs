//! Choice between offers and walking away.

/// A visitor's taste: how much money matters, and the price that is as good as walking away.
///
/// ```text
/// P(i) = exp(−β o_i) / (Σ_j exp(−β o_j) + exp(−β b))
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// β, in 1/£.
    pub sensitivity: f64,
    /// b, in £.
    pub walk_away: f64,
}

impl Choice {
    /// The walk-away price at which each of several firms that all offer `offer` wins a given share:
    /// b = o − odds/β with `odds` = [`log_odds`](Self::log_odds), and 0 where that is negative.
    #[inline]
    pub fn calibrated(sensitivity: f64, offer: f64, odds: f64) -> Self {
        Self { sensitivity, walk_away: (offer - odds / sensitivity).max(0.0) }
    }

    /// ln(1/share − firms), from exp(−β(o − b)) = share / (1 − firms·share).
    pub fn log_odds(firms: usize, share: f64) -> f64 {
        (1.0 / share - firms as f64).ln()
    }

    /// Writes the probability of each offer and returns that of walking away.
    #[inline]
    pub fn probabilities(&self, offers: &[f64], probabilities: &mut [f64]) -> f64 {
        let cheapest = offers.iter().copied().fold(self.walk_away, f64::min);
        let mut sum = (self.sensitivity * (cheapest - self.walk_away)).exp();
        let walk = sum;
        for (weight, offer) in probabilities.iter_mut().zip(offers) {
            *weight = (self.sensitivity * (cheapest - offer)).exp();
            sum += *weight;
        }
        let scale = 1.0 / sum;
        probabilities.iter_mut().for_each(|p| *p *= scale);
        walk * scale
    }

    /// The offer that a number uniform on (0, 1) falls on, offers lying on it in order.
    #[inline]
    pub fn choose(&self, offers: &[f64], uniform: f64, weights: &mut [f64]) -> Option<usize> {
        let cheapest = offers.iter().copied().fold(self.walk_away, f64::min);
        let mut sum = (self.sensitivity * (cheapest - self.walk_away)).exp();
        for (weight, offer) in weights.iter_mut().zip(offers) {
            *weight = (self.sensitivity * (cheapest - offer)).exp();
            sum += *weight;
        }
        let mut left = uniform * sum;
        offers.iter().zip(weights).position(|(_, weight)| {
            left -= *weight;
            left < 0.0
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFERS: [f64; 6] = [1100.0; 6];

    #[test]
    fn equal_offers_win_the_share_they_were_calibrated_to() {
        let choice = Choice::calibrated(0.05, 1100.0, Choice::log_odds(6, 0.1));
        let mut p = [0.0; 6];
        let walk = choice.probabilities(&OFFERS, &mut p);
        assert!(p.iter().all(|p| (p - 0.1).abs() < 1e-12) && (walk - 0.4).abs() < 1e-12);
    }

    #[test]
    fn a_visitor_who_hardly_minds_money_never_walks_for_less_than_nothing() {
        assert_eq!(
            Choice::calibrated(1e-4, 1100.0, Choice::log_odds(6, 0.1)).walk_away.to_bits(),
            0
        );
    }

    proptest! {
        #[test]
        fn probabilities_sum_to_one_and_do_not_mind_a_shift(
            offers in proptest::collection::vec(100.0..5000.0_f64, 6),
            walk_away in 0.0..5000.0_f64,
            sensitivity in 1e-3..1.0_f64,
            shift in -50.0..5000.0_f64,
        ) {
            let choice = Choice { sensitivity, walk_away };
            let shifted = Choice { walk_away: walk_away + shift, ..choice };
            let (mut p, mut q) = ([0.0; 6], [0.0; 6]);
            let walk = choice.probabilities(&offers, &mut p);
            let moved: Vec<f64> = offers.iter().map(|o| o + shift).collect();
            shifted.probabilities(&moved, &mut q);
            prop_assert!((p.iter().sum::<f64>() + walk - 1.0).abs() < 1e-12);
            prop_assert!(p.iter().zip(&q).all(|(p, q)| (p - q).abs() < 1e-9));
        }

        #[test]
        fn choices_fall_as_probabilities_say(
            offers in proptest::collection::vec(900.0..1100.0_f64, 4), uniform in 0.0..1.0_f64,
        ) {
            let choice = Choice { sensitivity: 0.02, walk_away: 1000.0 };
            let mut p = [0.0; 4];
            choice.probabilities(&offers, &mut p);
            let mut above = 0.0;
            let by_hand = p.iter().position(|p| { above += p; uniform < above });
            prop_assert_eq!(choice.choose(&offers, uniform, &mut [0.0; 4]), by_hand);
        }
    }
}
