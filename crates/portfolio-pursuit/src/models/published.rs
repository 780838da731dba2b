//! The published bids: forest, network and Gaussian process, one fitted to the other.

use rand::{RngExt as _, seq::index};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use super::{
    History,
    bids::{Bids, OFFERS},
    forest::{Forest, ForestConfig},
    network::{Loss, Network, NetworkConfig},
    process::GaussianProcess,
};
use crate::Error;

/// How the published bids are learned. The default is as published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PublishedBidsConfig {
    /// Market model.
    pub forest: ForestConfig,
    /// Conversion model.
    pub network: NetworkConfig,
    /// Quotes to which the Gaussian process is fitted, at least 2; its cost grows with their cube.
    pub process_rows: usize,
    /// Scale of the Laplace distribution around 1 from which their k are drawn, above 0.
    pub k_scale: f64,
}

impl Default for PublishedBidsConfig {
    fn default() -> Self {
        Self {
            forest: ForestConfig::default(),
            network: NetworkConfig::default(),
            process_rows: 500,
            k_scale: 0.1,
        }
    }
}

impl PublishedBidsConfig {
    /// The same models, small enough for a laptop: a forest of 50 trees with leaves of some rows, a
    /// network of 2 × 64 and 300 rows.
    pub fn reduced() -> Self {
        Self {
            forest: ForestConfig { trees: 50, ..ForestConfig::default() },
            network: NetworkConfig { hidden: vec![64; 2], ..NetworkConfig::default() },
            process_rows: 300,
            ..Self::default()
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        self.forest.validate()?;
        self.network.validate()?;
        let (rows, scale) = (self.process_rows, self.k_scale);
        Error::check("process_rows", "at least 2", rows, rows >= 2)?;
        let held = scale > 0.0 && scale.is_finite();
        Error::check("k_scale", "a finite number above 0", scale, held)
    }
}

/// Three models: features → rivals' prices (forest), rivals' prices and offer → probability
/// (network), rivals' prices and k → offer (Gaussian process).
///
/// The network sees no customer. It is not monotone in the offer, and what the Gaussian process
/// learns is where a bounded search found its maximum. Both are fitted to prices that rivals were seen
/// to ask, and used on those that the forest expects. Inputs of the network are standardized, which
/// the published ones may not be.
#[derive(Debug, Clone)]
pub struct PublishedBids {
    market: Forest,
    conversion: Network,
    bidding: GaussianProcess,
}

/// What rivals are expected to ask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublishedProspect {
    top: [f64; 3],
}

impl PublishedBids {
    /// Fits the three models; streams `forest`, `network` and `process` of the seed.
    ///
    /// # Errors
    /// [`Error::Setting`] for the configuration, [`Error::Fit`] as [`History::check`].
    pub fn fit(history: &History, config: &PublishedBidsConfig, seed: Seed) -> Result<Self, Error> {
        config.validate()?;
        history.check(2)?;
        let market = Forest::fit(history, &config.forest, seed.derive("forest", 0))?;
        let inputs: Vec<f64> = history
            .top
            .iter()
            .zip(&history.offer)
            .flat_map(|(t, a)| [t[0], t[1], t[2], *a])
            .collect();
        let conversion = Network::fit(
            &inputs,
            4,
            &history.accepted,
            Loss::Logistic,
            &config.network,
            seed.derive("network", 0),
        )?;
        let mut rng = seed.derive("process", 0).rng();
        let rows = config.process_rows.min(history.len());
        let cases: Vec<([f64; 3], f64)> = index::sample(&mut rng, history.len(), rows)
            .into_iter()
            .map(|row| {
                let u: f64 = rng.random_range(-0.5..0.5);
                let spread = (1.0 - 2.0 * u.abs()).max(f64::MIN_POSITIVE).ln();
                (history.top[row], 1.0 - config.k_scale * u.signum() * spread)
            })
            .collect();
        let targets = search(&conversion, &cases);
        let inputs: Vec<f64> = cases.iter().flat_map(|(t, k)| [t[0], t[1], t[2], *k]).collect();
        let bidding = GaussianProcess::fit(&inputs, 4, &targets)?;
        Ok(Self { market, conversion, bidding })
    }

    /// The market model.
    pub fn market(&self) -> &Forest {
        &self.market
    }
}

/// Golden-section search for the maximum of `p(a) (a − k)` on [`OFFERS`], all cases at once; 1.1 where
/// nothing is gained there.
fn search(conversion: &Network, cases: &[([f64; 3], f64)]) -> Vec<f64> {
    let ratio = f64::midpoint(5_f64.sqrt(), -1.0);
    let values = |offers: &[f64]| -> Vec<f64> {
        let inputs: Vec<f64> =
            cases.iter().zip(offers).flat_map(|((t, _), a)| [t[0], t[1], t[2], *a]).collect();
        let p = conversion.predict(&inputs);
        p.iter().zip(cases).zip(offers).map(|((p, (_, k)), a)| p * (a - k)).collect()
    };
    let n = cases.len();
    let [mut low, mut high] = OFFERS.map(|end| vec![end; n]);
    let inner = |low: f64, high: f64| [high - ratio * (high - low), low + ratio * (high - low)];
    for _ in 0..26 {
        let points: Vec<[f64; 2]> = low.iter().zip(&high).map(|(l, h)| inner(*l, *h)).collect();
        let [left, right] =
            [0, 1].map(|i| values(&points.iter().map(|p| p[i]).collect::<Vec<_>>()));
        for i in 0..n {
            if left[i] >= right[i] {
                high[i] = points[i][1];
            } else {
                low[i] = points[i][0];
            }
        }
    }
    let found: Vec<f64> = low.iter().zip(&high).map(|(l, h)| f64::midpoint(*l, *h)).collect();
    let best = values(&found);
    found.iter().zip(best).map(|(a, value)| if value > 0.0 { *a } else { FALLBACK }).collect()
}

/// The offer where no offer gains anything.
const FALLBACK: f64 = 1.1;

impl Bids for PublishedBids {
    type Prospect = PublishedProspect;

    fn prospect(&self, row: &[f64], _: f64) -> PublishedProspect {
        PublishedProspect { top: self.market.predict(row) }
    }

    fn offer(&self, prospect: &PublishedProspect, k: f64) -> f64 {
        let [a, b, c] = prospect.top;
        self.bidding.predict(&[a, b, c, k]).clamp(OFFERS[0], OFFERS[1])
    }

    fn probability(&self, prospect: &PublishedProspect, offer: f64) -> f64 {
        let [a, b, c] = prospect.top;
        self.conversion.predict(&[a, b, c, offer])[0]
    }

    fn probabilities(&self, prospect: &PublishedProspect, offers: &[f64], out: &mut Vec<f64>) {
        let [a, b, c] = prospect.top;
        let inputs: Vec<f64> = offers.iter().flat_map(|offer| [a, b, c, *offer]).collect();
        *out = self.conversion.predict(&inputs);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::structural::sigmoid, *};

    #[test]
    fn offers_follow_the_market_and_k() {
        let mut rng = Seed::new(6).rng();
        let mut history = History::new(1);
        for _ in 0..1500 {
            let row = [rng.random_range(-1.0..1.0)];
            let cheapest = 1.06 + 0.03 * row[0];
            let offer = rng.random_range(1.0..1.2);
            let p = sigmoid(50.0 * (cheapest - offer));
            let won = f64::from(u8::from(rng.random_bool(p)));
            history.push(&row, 100.0, offer, [cheapest, cheapest + 0.02, cheapest + 0.04], won);
        }
        let mut config = PublishedBidsConfig::reduced();
        config.forest.trees = 10;
        config.network.hidden = vec![32; 2];
        config.network.learning_rate = 3e-3;
        config.process_rows = 100;
        let bids = PublishedBids::fit(&history, &config, Seed::new(1)).unwrap();
        let offer = |x: f64, k| bids.offer(&bids.prospect(&[x], 100.0), k);
        assert!(offer(0.9, 1.0) > offer(-0.9, 1.0) + 0.005);
        assert!(offer(0.0, 1.05) > offer(0.0, 0.95));
        // The best offer at k = 1 where the cheapest rival asks 1.06.
        let value = |a: f64| sigmoid(50.0 * (1.06 - a)) * (a - 1.0);
        let best = (1000..1200)
            .map(|a| f64::from(a) / 1000.0)
            .fold(1.0, |b, a| if value(a) > value(b) { a } else { b });
        assert!((offer(0.0, 1.0) - best).abs() < 0.02, "{} {best}", offer(0.0, 1.0));
    }
}
