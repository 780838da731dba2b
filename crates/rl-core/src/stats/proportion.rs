//! Proportions: one, the difference of two, and paired ones.

use statrs::function::beta::beta_reg;

use super::{Error, Estimate, Test, check, distribution::normal_critical};

/// How often something was the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proportion {
    /// How often it was, at most `trials`.
    pub successes: usize,
    /// How often it could have been, at least 1.
    pub trials: usize,
}

impl Proportion {
    fn check(self, [successes, trials]: [&'static str; 2]) -> Result<(), Error> {
        if self.trials == 0 {
            return Err(Error::Empty { argument: trials });
        }
        if self.successes > self.trials {
            return Err(Error::Range {
                argument: successes,
                found: self.successes as f64,
                expected: "at most the number of trials",
            });
        }
        Ok(())
    }

    fn rate(self) -> f64 {
        self.successes as f64 / self.trials as f64
    }

    fn variance(self) -> f64 {
        self.rate() * (1.0 - self.rate()) / self.trials as f64
    }

    fn wilson(self, z: f64) -> [f64; 2] {
        let n = self.trials as f64;
        let shrink = 1.0 + z * z / n;
        let center = (self.rate() + 0.5 * z * z / n) / shrink;
        let reach = z * (self.variance() + 0.25 * (z / n).powi(2)).sqrt() / shrink;
        // At the ends the interval touches 0 or 1, which rounding must not miss.
        let low = if self.successes == 0 { 0.0 } else { center - reach };
        let high = if self.successes == self.trials { 1.0 } else { center + reach };
        [low.clamp(0.0, 1.0), high.clamp(0.0, 1.0)]
    }
}

/// A proportion with Wilson's score interval.
///
/// ```text
/// p = successes / trials
/// interval = (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n)
/// SE = √(p(1−p)/n)
/// ```
///
/// Source: Wilson, *Probable inference, the law of succession, and statistical inference*, JASA 22
/// (1927). It stays within 0 and 1 and holds for one trial; with no success or only successes its
/// standard error is 0 but its interval is not empty.
///
/// # Errors
/// [`Error::Empty`] without trials; [`Error::Range`] for more successes than trials or for
/// `confidence`.
///
/// # Examples
/// ```
/// use rl_core::stats::{Proportion, wilson};
///
/// let solved = wilson(Proportion { successes: 0, trials: 10 }, 0.95)?;
/// assert_eq!(solved.interval[0], 0.0);
/// assert!((solved.interval[1] - 0.277532799862889).abs() < 1e-12);
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn wilson(proportion: Proportion, confidence: f64) -> Result<Estimate, Error> {
    proportion.check(["successes", "trials"])?;
    check::confidence(confidence)?;
    Ok(Estimate {
        value: proportion.rate(),
        interval: proportion.wilson(normal_critical(confidence)),
        n: proportion.trials,
        std_error: proportion.variance().sqrt(),
    })
}

/// The difference a − b of two independent proportions with Newcombe's interval.
///
/// ```text
/// d = p_a − p_b, and [l, u] of each by Wilson
/// lower = d − √((p_a − l_a)² + (u_b − p_b)²)
/// upper = d + √((u_a − p_a)² + (p_b − l_b)²)
/// SE = √(p_a(1−p_a)/n_a + p_b(1−p_b)/n_b)
/// ```
///
/// Source: Newcombe, *Interval estimation for the difference between independent proportions*,
/// Statistics in Medicine 17 (1998), method 10. It holds for one trial each and for proportions of
/// 0 and 1. `n` of the result counts all trials.
///
/// # Errors
/// As for [`wilson`].
///
/// # Examples
/// ```
/// use rl_core::stats::{Proportion, newcombe};
///
/// // The first example of the paper's table II.
/// let [a, b] = [(56, 70), (48, 80)].map(|(successes, trials)| Proportion { successes, trials });
/// let [low, high] = newcombe(a, b, 0.95)?.interval;
/// assert!((low - 0.0524).abs() < 5e-5 && (high - 0.3339).abs() < 5e-5);
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn newcombe(a: Proportion, b: Proportion, confidence: f64) -> Result<Estimate, Error> {
    a.check(["a.successes", "a.trials"])?;
    b.check(["b.successes", "b.trials"])?;
    check::confidence(confidence)?;
    let z = normal_critical(confidence);
    let ([low_a, high_a], [low_b, high_b]) = (a.wilson(z), b.wilson(z));
    let value = a.rate() - b.rate();
    Ok(Estimate {
        value,
        interval: [
            value - (a.rate() - low_a).hypot(high_b - b.rate()),
            value + (high_a - a.rate()).hypot(b.rate() - low_b),
        ],
        n: a.trials + b.trials,
        std_error: (a.variance() + b.variance()).sqrt(),
    })
}

/// McNemar's exact test of whether two paired proportions differ.
///
/// ```text
/// m = pairs that differ, k = the lesser of (a only) and (b only)
/// p = min(1, 2 P(X ≤ k)),  X ~ Binomial(m, 1/2)
/// ```
///
/// Source: McNemar, *Note on the sampling error of the difference between correlated proportions or
/// percentages*, Psychometrika 12 (1947), with the binomial in place of its approximation. The
/// statistic is k. If no pair differs p is 1, and so it is for one pair.
///
/// # Shapes
/// - `a`, `b`: `[n]`, of the same n things
///
/// # Errors
/// [`Error::Empty`]; [`Error::Length`].
///
/// # Examples
/// ```
/// let [before, after] = [[false; 5], [true; 5]];
/// assert!((rl_core::stats::mcnemar(&before, &after)?.p_value - 0.0625).abs() < 1e-12);
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn mcnemar(a: &[bool], b: &[bool]) -> Result<Test, Error> {
    if a.is_empty() {
        return Err(Error::Empty { argument: "a" });
    }
    check::length("b", b.len(), a.len())?;
    let only_a = a.iter().zip(b).filter(|&(&a, &b)| a && !b).count();
    let only_b = a.iter().zip(b).filter(|&(&a, &b)| b && !a).count();
    let (k, m) = (only_a.min(only_b), only_a + only_b);
    // P(X ≤ k) = I_{1/2}(m − k, k + 1), which needs k < m.
    let p_value = if only_a == only_b {
        1.0
    } else {
        (2.0 * beta_reg((m - k) as f64, k as f64 + 1.0, 0.5)).min(1.0)
    };
    Ok(Test { statistic: k as f64, p_value, n: a.len() })
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn counts_are_checked() {
        let none = Proportion { successes: 0, trials: 0 };
        let one = Proportion { successes: 1, trials: 1 };
        let many = Proportion { successes: 3, trials: 2 };
        assert_eq!(wilson(none, 0.9), Err(Error::Empty { argument: "trials" }));
        assert_eq!(newcombe(one, none, 0.9), Err(Error::Empty { argument: "b.trials" }));
        assert_eq!(
            newcombe(many, one, 0.9).unwrap_err().to_string(),
            "a.successes: expected at most the number of trials, found 3"
        );
        assert!(wilson(one, 0.9).is_ok());
    }

    #[test]
    fn pairs_that_agree_say_nothing() {
        let test = mcnemar(&[true, false], &[true, false]).unwrap();
        assert_eq!(test, Test { statistic: 0.0, p_value: 1.0, n: 2 });
        assert_relative_eq!(mcnemar(&[true], &[false]).unwrap().p_value, 1.0, max_relative = 1e-14);
        assert!(mcnemar(&[], &[]).is_err() && mcnemar(&[true], &[]).is_err());
    }
}
