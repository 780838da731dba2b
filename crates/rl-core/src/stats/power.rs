//! How many pairs a difference needs to be seen.

use super::{
    Error,
    distribution::{normal_cdf, normal_critical, normal_quantile},
};

/// How much paired differences vary: between items, and within an item from one epoch to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairSpread {
    /// Standard deviation of the items' own differences.
    pub between: f64,
    /// Standard deviation of one epoch's difference around its item's.
    pub within: f64,
}

impl PairSpread {
    /// Standard deviation of an item's difference over so many epochs: `√(between² + within²/epochs)`.
    ///
    /// Epochs make the second part small and leave the first as it is.
    ///
    /// # Errors
    /// [`Error::Range`] for a part below 0 or not finite, and for no epochs.
    ///
    /// # Examples
    /// ```
    /// use rl_core::stats::PairSpread;
    ///
    /// let spread = PairSpread { between: 0.3, within: 0.4 };
    /// assert_eq!(spread.std_dev(1)?, 0.5);
    /// assert!((spread.std_dev(1_000_000)? - 0.3).abs() < 1e-6);
    /// # Ok::<(), rl_core::stats::Error>(())
    /// ```
    pub fn std_dev(self, epochs: usize) -> Result<f64, Error> {
        for (argument, found) in [("between", self.between), ("within", self.within)] {
            if !(found >= 0.0 && found.is_finite()) {
                return Err(Error::Range { argument, found, expected: "a number of at least 0" });
            }
        }
        if epochs == 0 {
            return Err(Error::Range { argument: "epochs", found: 0.0, expected: "at least 1" });
        }
        Ok(self.between.hypot(self.within / (epochs as f64).sqrt()))
    }
}

/// Pairs needed for a paired difference to be found.
///
/// ```text
/// n = ⌈((z_{1−α/2} + z_power) σ_d / δ)²⌉
/// ```
///
/// The test is two-sided at level `alpha`; the normal approximation leaves out the two or so pairs by
/// which Student's t wants more. Source: Cohen, *Statistical Power Analysis for the Behavioral
/// Sciences*, 2nd ed. (1988), chapter 2; for evaluations Miller, arXiv 2411.00640, §5.
///
/// # Errors
/// [`Error::Range`] unless δ ≠ 0, `σ_d` > 0, and `power` and `alpha` lie between 0 and 1.
///
/// # Examples
/// ```
/// use rl_core::stats::pairs_needed;
///
/// let pairs = [0.20, 0.10, 0.05].map(|delta| pairs_needed(delta, 0.5, 0.8, 0.05));
/// assert_eq!(pairs, [Ok(50), Ok(197), Ok(785)]);
/// ```
pub fn pairs_needed(delta: f64, sigma_d: f64, power: f64, alpha: f64) -> Result<usize, Error> {
    check(delta, sigma_d)?;
    for (argument, found) in [("power", power), ("alpha", alpha)] {
        if !(found > 0.0 && found < 1.0) {
            let expected = "a number between 0 and 1, both excluded";
            return Err(Error::Range { argument, found, expected });
        }
    }
    let reach = normal_critical(1.0 - alpha) + normal_quantile(power);
    // Below a power of α/2 no pair is needed: chance does it.
    Ok((reach.max(0.0) * sigma_d / delta).powi(2).ceil().max(1.0) as usize)
}

/// Power of a two-sided test of `pairs` paired differences: what [`pairs_needed`] inverts.
///
/// ```text
/// power = Φ(|δ| √n / σ_d − z_{1−α/2}) + Φ(−|δ| √n / σ_d − z_{1−α/2})
/// ```
///
/// # Errors
/// As for [`pairs_needed`]; [`Error::TooFew`] without pairs.
pub fn paired_power(pairs: usize, delta: f64, sigma_d: f64, alpha: f64) -> Result<f64, Error> {
    check(delta, sigma_d)?;
    super::check::at_least("pairs", pairs, 1)?;
    super::check::confidence(1.0 - alpha)?;
    let shift = delta.abs() * (pairs as f64).sqrt() / sigma_d;
    let critical = normal_critical(1.0 - alpha);
    Ok(normal_cdf(shift - critical) + normal_cdf(-shift - critical))
}

fn check(delta: f64, sigma_d: f64) -> Result<(), Error> {
    if delta == 0.0 || !delta.is_finite() {
        let expected = "a finite number other than 0";
        return Err(Error::Range { argument: "delta", found: delta, expected });
    }
    if !(sigma_d > 0.0 && sigma_d.is_finite()) {
        let expected = "a number above 0";
        return Err(Error::Range { argument: "sigma_d", found: sigma_d, expected });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_needed_have_the_power_and_one_fewer_has_not() {
        for delta in [0.05, 0.1, 0.2, 0.37] {
            for power in [0.5, 0.8, 0.95] {
                let n = pairs_needed(delta, 0.5, power, 0.05).unwrap();
                assert!(paired_power(n, delta, 0.5, 0.05).unwrap() >= power);
                // The other tail, which the formula leaves out, adds less than this.
                assert!(paired_power(n - 1, -delta, 0.5, 0.05).unwrap() < power + 1e-5);
            }
        }
    }

    #[test]
    fn arguments_are_checked() {
        for (delta, sigma, power, alpha) in [
            (0.0, 0.5, 0.8, 0.05),
            (0.1, 0.0, 0.8, 0.05),
            (0.1, 0.5, 1.0, 0.05),
            (0.1, 0.5, 0.8, 0.0),
        ] {
            assert!(pairs_needed(delta, sigma, power, alpha).is_err());
        }
        assert!(paired_power(0, 0.1, 0.5, 0.05).is_err());
        assert!(PairSpread { between: -1.0, within: 0.0 }.std_dev(1).is_err());
        assert!(PairSpread { between: 1.0, within: 0.0 }.std_dev(0).is_err());
    }
}
