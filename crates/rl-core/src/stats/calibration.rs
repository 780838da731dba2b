//! How good probabilities were, once it is known what happened.

use serde::Serialize;

use super::{Bootstrap, Error, Estimate, bootstrap_percentile, check};

/// Bins of equal width.
pub const CALIBRATION_BINS: usize = 10;

/// One forecast and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Probability that was given, from 0 to 1.
    pub probability: f64,
    /// Whether it happened.
    pub happened: bool,
    /// Forecasts of one cluster are drawn together.
    pub cluster: usize,
}

/// How good forecasts were.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Mean squared distance of probability and outcome; 0 is perfect, 0.25 what 1/2 gets.
    pub brier: Estimate,
    /// Mean −ln of the probability of what happened, in nats.
    pub log_loss: Estimate,
    /// Mean distance of probability and frequency over the bins, weighted by their size.
    pub calibration_error: Estimate,
    /// `1 − brier / brier of always giving the base rate`; none if that is 0.
    pub skill: Option<f64>,
    /// How often it happened.
    pub base_rate: f64,
    /// The bins that hold anything, in ascending order.
    pub bins: Vec<CalibrationBin>,
}

/// Forecasts of similar probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Mean probability given.
    pub predicted: f64,
    /// How often it happened.
    pub observed: f64,
    /// Interval of `observed`, from resampled clusters.
    pub band: [f64; 2],
    /// Forecasts.
    pub n: usize,
}

/// Brier score, log loss, calibration error and skill of forecasts, by resampling clusters.
///
/// ```text
/// brier = mean (p − y)²,  log loss = −mean ln max(floor, P(y)),  skill = 1 − brier / r(1 − r)
/// calibration error = Σ_b n_b/n |mean p in b − mean y in b|,  b = ⌊10 p⌋, 1 in the last
/// ```
///
/// `floor` is what a probability of zero stands for: with whole percentages 0.005, since 0 % may be
/// anything below a half. Sources: Brier, *Verification of forecasts expressed in terms of
/// probability*, Monthly Weather Review 78 (1950); Naeini, Cooper and Hauskrecht, *Obtaining well
/// calibrated probabilities using Bayesian binning*, AAAI 2015.
///
/// # Errors
/// [`Error::Empty`] without forecasts; [`Error::TooFew`] for one cluster; [`Error::Range`] for a
/// probability, for `floor` (above 0, below 1/2) and for the settings.
pub fn calibration(
    forecasts: &[Forecast],
    floor: f64,
    settings: Bootstrap,
) -> Result<Calibration, Error> {
    if forecasts.is_empty() {
        return Err(Error::Empty { argument: "forecasts" });
    }
    for forecast in forecasts {
        if !(0.0..=1.0).contains(&forecast.probability) {
            let found = forecast.probability;
            return Err(Error::Range { argument: "probability", found, expected: "0 to 1" });
        }
    }
    if !(floor > 0.0 && floor < 0.5) {
        let expected = "a number between 0 and 1/2, both excluded";
        return Err(Error::Range { argument: "floor", found: floor, expected });
    }
    let mut clusters: Vec<&[Forecast]> = Vec::new();
    let mut sorted = forecasts.to_vec();
    sorted.sort_by_key(|f| f.cluster);
    clusters.extend(sorted.chunk_by(|a, b| a.cluster == b.cluster));
    check::at_least("clusters", clusters.len(), 2)?;
    let estimate = |of: fn(&[&[Forecast]], f64) -> f64| {
        bootstrap_percentile(&clusters, |drawn| of(drawn, floor), settings)
    };
    let brier = estimate(brier)?;
    let base_rate = mean(&clusters, |f| f64::from(u8::from(f.happened)));
    let base = base_rate * (1.0 - base_rate);
    let bins = bins(&clusters)
        .into_iter()
        .enumerate()
        .filter(|(_, bin)| bin.n > 0.0)
        .map(|(b, bin)| {
            let observed = bin.happened / bin.n;
            // A resample without this bin says nothing of it: it counts as it was.
            let again = |drawn: &[&[Forecast]]| {
                let again = bins(drawn)[b];
                if again.n > 0.0 { again.happened / again.n } else { observed }
            };
            let band = bootstrap_percentile(&clusters, again, settings)?.interval;
            Ok(CalibrationBin { predicted: bin.sum / bin.n, observed, band, n: bin.n as usize })
        })
        .collect::<Result<_, Error>>()?;
    Ok(Calibration {
        log_loss: estimate(log_loss)?,
        calibration_error: estimate(error)?,
        skill: (base > 0.0).then(|| 1.0 - brier.value / base),
        brier,
        base_rate,
        bins,
    })
}

fn mean(clusters: &[&[Forecast]], of: impl Fn(&Forecast) -> f64) -> f64 {
    let n: usize = clusters.iter().map(|c| c.len()).sum();
    clusters.iter().copied().flatten().map(of).sum::<f64>() / n as f64
}

fn brier(clusters: &[&[Forecast]], _: f64) -> f64 {
    mean(clusters, |f| (f.probability - f64::from(u8::from(f.happened))).powi(2))
}

fn log_loss(clusters: &[&[Forecast]], floor: f64) -> f64 {
    mean(clusters, |f| {
        let of_it = if f.happened { f.probability } else { 1.0 - f.probability };
        -of_it.max(floor).ln()
    })
}

fn error(clusters: &[&[Forecast]], _: f64) -> f64 {
    let bins = bins(clusters);
    let n: f64 = bins.iter().map(|b| b.n).sum();
    bins.iter().map(|b| (b.sum - b.happened).abs()).sum::<f64>() / n
}

#[derive(Debug, Clone, Copy, Default)]
struct Bin {
    n: f64,
    sum: f64,
    happened: f64,
}

fn bins(clusters: &[&[Forecast]]) -> [Bin; CALIBRATION_BINS] {
    let mut bins = [Bin::default(); CALIBRATION_BINS];
    for forecast in clusters.iter().copied().flatten() {
        let place = (forecast.probability * CALIBRATION_BINS as f64) as usize;
        let bin = &mut bins[place.min(CALIBRATION_BINS - 1)];
        bin.n += 1.0;
        bin.sum += forecast.probability;
        bin.happened += f64::from(u8::from(forecast.happened));
    }
    bins
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;
    use crate::seed::Seed;

    const SETTINGS: Bootstrap = Bootstrap { resamples: 200, confidence: 0.95, seed: Seed::new(2) };

    fn forecasts(of: &[(f64, bool)]) -> Vec<Forecast> {
        of.iter()
            .enumerate()
            .map(|(cluster, &(probability, happened))| Forecast { probability, happened, cluster })
            .collect()
    }

    #[test]
    fn a_constant_half_scores_a_quarter() {
        let half = forecasts(&[(0.5, true), (0.5, false), (0.5, true), (0.5, false)]);
        let found = calibration(&half, 0.005, SETTINGS).unwrap();
        assert_relative_eq!(found.brier.value, 0.25);
        assert_relative_eq!(found.brier.std_error, 0.0);
        assert_relative_eq!(found.log_loss.value, 2_f64.ln(), max_relative = 1e-12);
        assert_relative_eq!(found.calibration_error.value, 0.0);
        assert_eq!(found.skill, Some(0.0));
        assert_eq!(found.bins.len(), 1);
        let bin = found.bins[0];
        assert!(bin.band[0] < 0.5 && bin.band[1] > 0.5 && bin.n == 4);
    }

    #[test]
    fn a_small_table_by_hand() {
        let some = forecasts(&[(0.1, false), (0.15, true), (0.9, true), (1.0, true), (0.0, false)]);
        let found = calibration(&some, 0.005, SETTINGS).unwrap();
        let brier = (0.01 + 0.85_f64.powi(2) + 0.01 + 0.0 + 0.0) / 5.0;
        assert_relative_eq!(found.brier.value, brier, max_relative = 1e-12);
        assert_relative_eq!(found.skill.unwrap(), 1.0 - brier / 0.24, max_relative = 1e-12);
        let log_loss = -(0.9_f64.ln() + 0.15_f64.ln() + 0.9_f64.ln()) / 5.0;
        assert_relative_eq!(found.log_loss.value, log_loss, max_relative = 1e-12);
        // Bins 0, 1 and 9: sums of p − y are 0, −0.75 and −0.1.
        assert_relative_eq!(found.calibration_error.value, 0.85 / 5.0, max_relative = 1e-12);
        let sizes: Vec<usize> = found.bins.iter().map(|b| b.n).collect();
        assert_eq!(sizes, [1, 2, 2]);
    }

    #[test]
    fn surprises_cost_the_floor_and_certainty_has_no_skill() {
        let wrong = forecasts(&[(0.0, true), (0.0, true)]);
        let found = calibration(&wrong, 0.005, SETTINGS).unwrap();
        assert_relative_eq!(found.log_loss.value, -0.005_f64.ln(), max_relative = 1e-12);
        assert_eq!(found.skill, None);
    }

    #[test]
    fn arguments_are_checked() {
        let two = forecasts(&[(0.5, true), (0.5, false)]);
        assert!(matches!(calibration(&[], 0.01, SETTINGS), Err(Error::Empty { .. })));
        assert!(matches!(calibration(&two[..1], 0.01, SETTINGS), Err(Error::TooFew { .. })));
        assert!(matches!(calibration(&two, 0.0, SETTINGS), Err(Error::Range { .. })));
        let off = forecasts(&[(1.1, true), (0.5, false)]);
        assert!(matches!(calibration(&off, 0.01, SETTINGS), Err(Error::Range { .. })));
    }
}
