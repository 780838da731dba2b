//! What a firm offers, given what a sale is worth to it.

use super::structural::sigmoid;

/// Offers lie in this range, as ratios to the own cost.
pub const OFFERS: [f64; 2] = [1.0, 2.0];

/// From customers to offers.
///
/// All else sees a customer only through this: the policies say what the cost of a sale is to be
/// multiplied by (k), the bids make an offer of it.
pub trait Bids: Send + Sync {
    /// What the firm knows of a customer before it makes an offer.
    type Prospect: Clone + Send + Sync;

    /// Looks at a customer: what the firm sees, and what it thinks the cost is.
    fn prospect(&self, row: &[f64], cost: f64) -> Self::Prospect;

    /// The offer `a*(k)`, over the cost, which is to maximize `p(a) (a − k)`.
    fn offer(&self, prospect: &Self::Prospect, k: f64) -> f64;

    /// [`Bids::offer`] for each of some k in rising order, put into `out`.
    fn offers(&self, prospect: &Self::Prospect, ks: &[f64], out: &mut Vec<f64>) {
        out.clear();
        out.extend(ks.iter().map(|k| self.offer(prospect, *k)));
    }

    /// Probability that an offer is taken, as the firm sees it.
    fn probability(&self, prospect: &Self::Prospect, offer: f64) -> f64;

    /// [`Bids::probability`] for each of some offers, put into `out`.
    fn probabilities(&self, prospect: &Self::Prospect, offers: &[f64], out: &mut Vec<f64>) {
        out.clear();
        out.extend(offers.iter().map(|a| self.probability(prospect, *a)));
    }
}

/// A customer to whom the firm does not know what rivals will ask: one logistic curve for each of
/// some equally likely cases.
///
/// ```text
/// p(a) = mean_j 1 / (1 + exp(−level − slope (market + shift_j − a)))
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixture<'a> {
    /// Logit at a price equal to the market's.
    pub level: f64,
    /// How far the logit falls when the price rises by the cost, above 0.
    pub slope: f64,
    /// What rivals are expected to ask, over the cost.
    pub market: f64,
    /// By how much they may differ from it.
    pub shifts: &'a [f64],
}

impl Mixture<'_> {
    /// The logit at the market that is expected.
    #[inline]
    fn at(&self, offer: f64) -> f64 {
        self.level + self.slope * (self.market - offer)
    }

    /// p(a).
    pub fn probability(&self, offer: f64) -> f64 {
        let at = self.at(offer);
        self.shifts.iter().map(|shift| sigmoid(at + self.slope * shift)).sum::<f64>()
            / self.shifts.len() as f64
    }

    /// The offer within [`OFFERS`] that maximizes `p(a) (a − k)`.
    ///
    /// A grid says between which points it lies, whatever the shape of p; within them Newton's method
    /// finds where the mark-up is one over the hazard, `(a − k) h(a) = 1` with `h = −p'/p`.
    pub fn best_offer(&self, k: f64) -> f64 {
        let curve = Curve::of(self);
        curve.best_of(k, &GRID.map(|a| curve.probability(a)))
    }

    /// [`Mixture::best_offer`] for each of some k.
    pub fn best_offers(&self, ks: &[f64], out: &mut Vec<f64>) {
        let curve = Curve::of(self);
        let probabilities = GRID.map(|a| curve.probability(a));
        out.clear();
        out.extend(ks.iter().map(|k| curve.best_of(*k, &probabilities)));
    }
}

/// A mixture about to be asked for many offers.
///
/// `exp(−slope shift_j)` does not change with the offer, so with it at hand an offer takes one
/// exponential rather than one for each case.
struct Curve<'a> {
    mixture: &'a Mixture<'a>,
    /// `exp(−slope shift_j)`; empty where products of exponentials might overflow.
    odds: Vec<f64>,
}

/// Largest exponent of either factor, so that a product of two is finite and not 0.
const LARGEST: f64 = 300.0;

impl<'a> Curve<'a> {
    fn of(mixture: &'a Mixture<'a>) -> Self {
        let Mixture { slope, shifts, .. } = *mixture;
        let small = |x: f64| x.abs() <= LARGEST;
        let held = OFFERS.iter().all(|a| small(mixture.at(*a)))
            && shifts.iter().all(|shift| small(slope * shift));
        let odds = if held {
            shifts.iter().map(|shift| (-slope * shift).exp()).collect()
        } else {
            Vec::new()
        };
        Self { mixture, odds }
    }

    /// Sums over cases of p, p (1 − p) and p (1 − p)(1 − 2p).
    #[inline]
    fn sums(&self, offer: f64) -> [f64; 3] {
        let at = self.mixture.at(offer);
        let add = |sums: [f64; 3], one: f64| {
            let spread = one * (1.0 - one);
            [sums[0] + one, sums[1] + spread, sums[2] + spread * (1.0 - 2.0 * one)]
        };
        if self.odds.is_empty() {
            let Mixture { slope, shifts, .. } = *self.mixture;
            return shifts.iter().fold([0.0; 3], |sums, shift| {
                add(sums, sigmoid(at + slope * shift).max(f64::MIN_POSITIVE))
            });
        }
        // Lanes of their own, so that divisions go side by side.
        let away = (-at).exp();
        let (lanes, rest) = self.odds.as_chunks::<LANES>();
        let mut sums = [[0.0; 3]; LANES];
        for odds in lanes {
            for lane in 0..LANES {
                sums[lane] = add(sums[lane], 1.0 / (1.0 + away * odds[lane]));
            }
        }
        let mut all = rest.iter().fold([0.0; 3], |all, o| add(all, 1.0 / (1.0 + away * o)));
        for lane in sums {
            all.iter_mut().zip(lane).for_each(|(a, b)| *a += b);
        }
        all
    }

    #[inline]
    fn probability(&self, offer: f64) -> f64 {
        if self.odds.is_empty() {
            return self.mixture.probability(offer);
        }
        let away = (-self.mixture.at(offer)).exp();
        let (lanes, rest) = self.odds.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for odds in lanes {
            for lane in 0..LANES {
                sums[lane] += 1.0 / (1.0 + away * odds[lane]);
            }
        }
        let rest: f64 = rest.iter().map(|o| 1.0 / (1.0 + away * o)).sum();
        (sums.iter().sum::<f64>() + rest) / self.odds.len() as f64
    }

    fn best_of(&self, k: f64, probabilities: &[f64; GRID.len()]) -> f64 {
        let value = |i: usize| probabilities[i] * (GRID[i] - k);
        let best = (1..GRID.len()).fold(0, |b, i| if value(i) > value(b) { i } else { b });
        let bracket = [GRID[best.saturating_sub(1)], GRID[(best + 1).min(GRID.len() - 1)]];
        let found = self.root(k, bracket, GRID[best]);
        if self.probability(found) * (found - k) >= value(best) { found } else { GRID[best] }
    }

    /// Where `(a − k) h(a)` passes 1, or the end of the bracket beyond which it does.
    fn root(&self, k: f64, [mut low, mut high]: [f64; 2], start: f64) -> f64 {
        let mut a = start;
        for _ in 0..60 {
            let (hazard, rise) = self.hazard(a);
            let excess = (a - k) * hazard - 1.0;
            if excess > 0.0 {
                high = a;
            } else {
                low = a;
            }
            let next = a - excess / (hazard + (a - k) * rise);
            // A start at an end of the bracket may be the answer.
            let next = next.clamp(low, high);
            let settled = (next - a).abs() < 1e-10;
            a = if next > low && next < high || settled { next } else { f64::midpoint(low, high) };
            if settled || high - low < 1e-10 {
                break;
            }
        }
        a
    }

    /// `h = −p'/p` at an offer, and h'.
    fn hazard(&self, offer: f64) -> (f64, f64) {
        let [p, first, second] = self.sums(offer);
        let slope = self.mixture.slope;
        let hazard = slope * first / p;
        (hazard, hazard * hazard - slope * slope * second / p)
    }
}

/// Cases that are summed side by side.
const LANES: usize = 4;

/// Prices among which the best is looked for first: close where customers are won, wide beyond.
const GRID: [f64; 24] = [
    1.0, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06, 1.07, 1.085, 1.10, 1.12, 1.14, 1.17, 1.2, 1.24, 1.28,
    1.33, 1.39, 1.46, 1.55, 1.65, 1.76, 1.88, 2.0,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHIFTS: [f64; 5] = [-0.03, -0.01, 0.0, 0.015, 0.02];

    proptest! {
        #[test]
        fn the_best_offer_is_the_best(
            level in -4.0..3.0, slope in 0.5..120.0, market in 0.9..1.3, k in 0.2..1.5,
        ) {
            let curve = Mixture { level, slope, market, shifts: &SHIFTS };
            let value = |a: f64| curve.probability(a) * (a - k);
            let best = curve.best_offer(k);
            prop_assert!((OFFERS[0]..=OFFERS[1]).contains(&best));
            let brute = (0..=20_000).map(|i| value(1.0 + f64::from(i) / 20_000.0));
            let brute = brute.fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(value(best) >= brute - 1e-9, "{} < {brute} at {best}", value(best));
        }

        #[test]
        fn offers_rise_with_k(
            level in -4.0..3.0, slope in 0.5..120.0, market in 0.9..1.3,
        ) {
            let curve = Mixture { level, slope, market, shifts: &SHIFTS };
            let ks: Vec<f64> = (0..60).map(|i| -0.5 + f64::from(i) * 0.04).collect();
            let mut offers = Vec::new();
            curve.best_offers(&ks, &mut offers);
            prop_assert!(offers.windows(2).all(|w| w[0] <= w[1] + 1e-9));
            for (k, a) in ks.iter().zip(&offers) {
                let value = |a: f64| curve.probability(a) * (a - k);
                prop_assert!((value(*a) - value(curve.best_offer(*k))).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn the_mean_over_shifts_is_what_it_says() {
        let curve = Mixture { level: -0.3, slope: 40.0, market: 1.05, shifts: &SHIFTS };
        let one = |shift: f64| sigmoid(-0.3 + 40.0 * (1.05 + shift - 1.07));
        let mean = SHIFTS.iter().map(|s| one(*s)).sum::<f64>() / 5.0;
        assert!((curve.probability(1.07) - mean).abs() < 1e-15);
    }

    #[test]
    fn hazards_agree_with_differences() {
        let mixture = Mixture { level: -0.3, slope: 40.0, market: 1.05, shifts: &SHIFTS };
        let curve = Curve::of(&mixture);
        let (hazard, rise) = curve.hazard(1.06);
        let log = |a: f64| curve.probability(a).ln();
        let step = 1e-5;
        let expected = -(log(1.06 + step) - log(1.06 - step)) / (2.0 * step);
        assert!((hazard - expected).abs() < 1e-5);
        let expected = (curve.hazard(1.06 + step).0 - curve.hazard(1.06 - step).0) / (2.0 * step);
        assert!((rise - expected).abs() < 1e-3);
    }

    /// Exponentials at hand, or one for each case: the same but for rounding, and where they would
    /// overflow they are not used.
    #[test]
    fn both_ways_to_sum_agree() {
        let shifts: Vec<f64> = (0..11).map(|i| 0.004 * f64::from(i) - 0.02).collect();
        for (slope, quick) in
            [(3.0, true), (60.0, true), (250.0, true), (400.0, false), (2e8, false)]
        {
            let mixture = Mixture { level: 0.4, slope, market: 1.04, shifts: &shifts };
            let curve = Curve::of(&mixture);
            assert_eq!(!curve.odds.is_empty(), quick, "{slope}");
            let plain = Curve { mixture: &mixture, odds: Vec::new() };
            for offer in [1.0, 1.03, 1.05, 1.1, 1.4, 2.0] {
                let near = |a: f64, b: f64| (a - b).abs() <= 1e-12 * a.abs().max(1e-290);
                assert!(
                    near(curve.probability(offer), plain.probability(offer)),
                    "{slope} {offer}"
                );
                let (found, expected) = (curve.sums(offer), plain.sums(offer));
                let [p, first, second] = [0, 1, 2].map(|i| (found[i], expected[i]));
                assert!(near(p.0, p.1) && near(first.0, first.1), "{slope} {offer}");
                // A difference of what cancels.
                assert!((second.0 - second.1).abs() < 1e-12 * first.1.max(1e-290));
                assert!(near(found[0] / 11.0, mixture.probability(offer)) || !quick);
            }
            let probabilities = GRID.map(|a| plain.probability(a));
            for k in [0.8, 0.99, 1.0, 1.02, 1.3] {
                let (found, expected) = (mixture.best_offer(k), plain.best_of(k, &probabilities));
                assert!((found - expected).abs() < 1e-9, "{slope} {k}: {found} {expected}");
            }
        }
    }
}
