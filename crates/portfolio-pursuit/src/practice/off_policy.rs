//! What another policy would have earned, from quotes that were logged with their propensities.

use rl_core::stats::{Estimate, mean};
use serde::Serialize;

use crate::{Error, error::in_range};

/// An estimate of a policy's mean reward, and how much of the log speaks for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OffPolicy {
    /// The estimate, with its interval.
    pub estimate: Estimate,
    /// (Σw)²/Σw²: as many quotes of the policy itself would tell about as much.
    pub effective: f64,
    /// The share of all weight on one quote; an estimate that rests on a few is not to be trusted.
    pub largest_share: f64,
}

/// Importance sampling: the mean of w·r. Unbiased where every price of the new policy could have been
/// logged.
///
/// # Shapes
/// - `weights`: probability, or density, of the logged price under the new policy over that under the
///   logging one: `[quotes]`
/// - `rewards`: `[quotes]`
///
/// # Errors
/// [`Error::Length`], [`Error::Setting`] for a weight that is negative or not finite, and what
/// statistics refuse.
pub fn importance_sampling(
    weights: &[f64],
    rewards: &[f64],
    confidence: f64,
) -> Result<OffPolicy, Error> {
    check(weights, &[("rewards", rewards)])?;
    let products: Vec<f64> = weights.iter().zip(rewards).map(|(w, r)| w * r).collect();
    Ok(with_weights(weights, mean(&products, confidence)?))
}

/// Self-normalized importance sampling: Σw·r/Σw. Slightly biased, usually far less noisy, and a
/// constant added to every reward adds just that.
///
/// The standard error is that of a ratio: the mean of w(r − estimate), over the mean of w.
///
/// # Shapes
/// As [`importance_sampling`].
///
/// # Errors
/// As [`importance_sampling`], and [`Error::Setting`] if no weight is above 0.
pub fn self_normalized(
    weights: &[f64],
    rewards: &[f64],
    confidence: f64,
) -> Result<OffPolicy, Error> {
    check(weights, &[("rewards", rewards)])?;
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return Err(Error::setting("weights", "at least one above 0", "none"));
    }
    let value = weights.iter().zip(rewards).map(|(w, r)| w * r).sum::<f64>() / total;
    let per_quote = weights.len() as f64 / total;
    let influence: Vec<f64> =
        weights.iter().zip(rewards).map(|(w, r)| value + per_quote * w * (r - value)).collect();
    let spread = mean(&influence, confidence)?;
    let estimate = Estimate { value, ..spread };
    Ok(with_weights(weights, estimate))
}

/// The doubly robust estimate: the mean of q(new) + w·(r − q(logged)). Right on average if either the
/// propensities or the model of rewards is.
///
/// # Shapes
/// - `weights`, `rewards`: as [`importance_sampling`]
/// - `logged`: the model's reward at the price that was logged: `[quotes]`
/// - `new`: its expected reward under the new policy: `[quotes]`
///
/// # Errors
/// As [`importance_sampling`].
pub fn doubly_robust(
    weights: &[f64],
    rewards: &[f64],
    logged: &[f64],
    new: &[f64],
    confidence: f64,
) -> Result<OffPolicy, Error> {
    check(weights, &[("rewards", rewards), ("logged", logged), ("new", new)])?;
    let terms: Vec<f64> =
        (0..weights.len()).map(|i| new[i] + weights[i] * (rewards[i] - logged[i])).collect();
    Ok(with_weights(weights, mean(&terms, confidence)?))
}

/// Weights for continuous prices: the new policy's price is blurred by a kernel (Epanechnikov's) of
/// half-width `bandwidth`, since no logged price is exactly it.
///
/// ```text
/// w_i = K((a_i − π(x_i))/h) / (h · m_i · density_i),  K(u) = ¾(1 − u²) on [−1, 1]
/// ```
///
/// `m_i` is the kernel's mass within the range of prices that could be logged, so that weights average
/// 1 near its ends too. The bias is of order h² in the curvature of rewards, and of order h at the
/// ends. Source: Kallus and Zhou, arXiv 1802.06037.
///
/// # Shapes
/// - `logged`: prices a: `[quotes]`
/// - `densities`: the logging policy's density at them: `[quotes]`
/// - `new`: the new policy's prices π(x): `[quotes]`
/// - `range`: lowest and highest price that could be logged
///
/// # Errors
/// [`Error::Length`]; [`Error::Setting`] for a density or bandwidth that is not above 0, an empty range
/// and a new price outside of it.
pub fn kernel_weights(
    logged: &[f64],
    densities: &[f64],
    new: &[f64],
    range: [f64; 2],
    bandwidth: f64,
) -> Result<Vec<f64>, Error> {
    check(densities, &[("logged", logged), ("new", new)])?;
    let positive = "a number above 0";
    in_range("bandwidth", bandwidth, f64::MIN_POSITIVE.., positive)?;
    let [low, high] = range;
    if low.is_nan() || high.is_nan() || low >= high {
        return Err(Error::setting("range", "two prices that increase", format!("{low}, {high}")));
    }
    // ∫ K up to u.
    let mass = |u: f64| {
        let u = u.clamp(-1.0, 1.0);
        0.75 * (u - u * u * u / 3.0) + 0.5
    };
    (0..logged.len())
        .map(|i| {
            let name = |what: &str| format!("{what} of quote {i}");
            in_range(&name("density"), densities[i], f64::MIN_POSITIVE.., positive)?;
            in_range(&name("new price"), new[i], low..=high, "a price that could be logged")?;
            let u = (logged[i] - new[i]) / bandwidth;
            let kernel = if u.abs() < 1.0 { 0.75 * (1.0 - u * u) } else { 0.0 };
            let within = mass((high - new[i]) / bandwidth) - mass((low - new[i]) / bandwidth);
            Ok(kernel / (bandwidth * within * densities[i]))
        })
        .collect()
}

fn check(weights: &[f64], others: &[(&'static str, &[f64])]) -> Result<(), Error> {
    for (name, values) in others {
        if values.len() != weights.len() {
            return Err(Error::Length { name, expected: weights.len(), found: values.len() });
        }
    }
    let expected = "a finite number, 0 or above";
    weights
        .iter()
        .enumerate()
        .try_for_each(|(i, w)| in_range(&format!("weight of quote {i}"), *w, 0.0.., expected))
}

fn with_weights(weights: &[f64], estimate: Estimate) -> OffPolicy {
    let total: f64 = weights.iter().sum();
    let squares: f64 = weights.iter().map(|w| w * w).sum();
    let largest = weights.iter().copied().fold(0.0, f64::max);
    let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
    OffPolicy {
        estimate,
        effective: ratio(total * total, squares),
        largest_share: ratio(largest, total),
    }
}

#[cfg(test)]
mod tests {
    use rl_core::seed::Seed;

    use super::*;
    use crate::Stream;

    /// Two prices, logged with probability 0.8 and 0.2; rewards 1 + x and 3 − x plus noise, x uniform.
    /// A policy that always asks the second earns 2.5.
    fn log(n: u64, seed: u64) -> (Vec<f64>, Vec<f64>, Vec<f64>, Vec<bool>) {
        let mut log = (vec![], vec![], vec![], vec![]);
        for i in 0..n {
            let mut stream = Stream::at(Seed::new(seed), i);
            let (x, second) = (stream.unit(), stream.unit() < 0.2);
            let noise = stream.unit() - 0.5;
            log.0.push(if second { 5.0 } else { 0.0 });
            log.1.push(noise + if second { 3.0 - x } else { 1.0 + x });
            log.2.push(x);
            log.3.push(second);
        }
        log
    }

    fn within(found: &OffPolicy, expected: f64) {
        let Estimate { value, std_error, .. } = found.estimate;
        assert!((value - expected).abs() < 4.0 * std_error, "{value} ± {std_error}");
    }

    #[test]
    fn all_estimators_find_the_policys_value() {
        let (weights, rewards, x, second) = log(40_000, 1);
        within(&importance_sampling(&weights, &rewards, 0.95).unwrap(), 2.5);
        let normalized = self_normalized(&weights, &rewards, 0.95).unwrap();
        within(&normalized, 2.5);
        // A model that knows the reward leaves only noise; one that knows nothing is still unbiased.
        let new: Vec<f64> = x.iter().map(|x| 3.0 - x).collect();
        let logged: Vec<f64> =
            x.iter().zip(&second).map(|(x, s)| if *s { 3.0 - x } else { 1.0 + x }).collect();
        let good = doubly_robust(&weights, &rewards, &logged, &new, 0.95).unwrap();
        within(&good, 2.5);
        let wrong = vec![1.0; x.len()];
        within(&doubly_robust(&weights, &rewards, &wrong, &wrong, 0.95).unwrap(), 2.5);
        assert!(good.estimate.std_error < normalized.estimate.std_error);
        // 20 % of the quotes are the policy's own.
        assert!((normalized.effective / 40_000.0 - 0.2).abs() < 0.01);
    }

    type Estimator = fn(&[f64], &[f64], f64) -> Result<OffPolicy, Error>;

    #[test]
    fn intervals_cover_as_often_as_they_say() {
        let covered = |estimate: Estimator| {
            (0..400)
                .filter(|seed| {
                    let (weights, rewards, _, _) = log(300, 1000 + seed);
                    let [low, high] = estimate(&weights, &rewards, 0.9).unwrap().estimate.interval;
                    (low..=high).contains(&2.5)
                })
                .count()
        };
        // 360 expected, standard deviation 6.
        assert!(covered(importance_sampling).abs_diff(360) < 25);
        assert!(covered(self_normalized).abs_diff(360) < 25);
    }

    #[test]
    fn self_normalized_estimates_move_with_rewards() {
        let (weights, rewards, _, _) = log(500, 2);
        let moved: Vec<f64> = rewards.iter().map(|r| r + 100.0).collect();
        let of = |r: &[f64]| self_normalized(&weights, r, 0.95).unwrap().estimate;
        assert!((of(&moved).value - of(&rewards).value - 100.0).abs() < 1e-9);
        assert!((of(&moved).std_error - of(&rewards).std_error).abs() < 1e-9);
    }

    #[test]
    fn kernel_weights_average_one_and_find_a_line() {
        // Prices logged uniformly on [1, 1.2]; reward 10·(1.2 − a): at 1.05 it is 1.5.
        let n = 40_000;
        let mut stream = Stream::at(Seed::new(3), 0);
        let logged: Vec<f64> = (0..n).map(|_| 1.0 + 0.2 * stream.unit()).collect();
        let rewards: Vec<f64> = logged.iter().map(|a| 10.0 * (1.2 - a)).collect();
        let densities = vec![5.0; n];
        let weights = |new: f64| {
            kernel_weights(&logged, &densities, &vec![new; n], [1.0, 1.2], 0.03).unwrap()
        };
        for new in [1.0, 1.01, 1.05, 1.2] {
            let ones = vec![1.0; n];
            within(&importance_sampling(&weights(new), &ones, 0.95).unwrap(), 1.0);
        }
        within(&self_normalized(&weights(1.05), &rewards, 0.95).unwrap(), 1.5);
        // At the end half the kernel is cut off: its mean is 3/8 of the bandwidth inside.
        let at_end = self_normalized(&weights(1.0), &rewards, 0.95).unwrap();
        within(&at_end, 10.0 * (0.2 - 0.03 * 0.375));
    }

    #[test]
    fn bad_logs_are_refused() {
        let said = |r: Result<OffPolicy, Error>| r.unwrap_err().to_string();
        let found = said(importance_sampling(&[1.0, f64::NAN], &[1.0, 2.0], 0.95));
        assert_eq!(found, "weight of quote 1: expected a finite number, 0 or above, found NaN");
        let found = said(self_normalized(&[1.0], &[1.0, 2.0], 0.95));
        assert_eq!(found, "rewards: expected 1 values, found 2");
        let found = said(self_normalized(&[0.0, 0.0], &[1.0, 2.0], 0.95));
        assert_eq!(found, "weights: expected at least one above 0, found none");
        let zero = kernel_weights(&[1.1], &[0.0], &[1.1], [1.0, 1.2], 0.1).unwrap_err();
        assert_eq!(zero.to_string(), "density of quote 0: expected a number above 0, found 0");
    }

    /// Weights 0, 1, 3 and rewards 5, 2, 4 by hand: 14/4, and influences 3.5, 2.375, 4.625.
    #[test]
    fn three_quotes_by_hand() {
        let found = self_normalized(&[0.0, 1.0, 3.0], &[5.0, 2.0, 4.0], 0.95).unwrap();
        assert!((found.estimate.value - 3.5).abs() < 1e-12);
        assert!((found.estimate.std_error - 1.125 / 3_f64.sqrt()).abs() < 1e-12);
        assert!((found.effective - 1.6).abs() < 1e-12);
        assert!((found.largest_share - 0.75).abs() < 1e-12);
    }
}
