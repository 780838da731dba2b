//! Whether a difference is there, is too small to matter, or cannot be told.

use serde::{Deserialize, Serialize};

use super::{Error, Estimate, check, distribution::t_two_sided};

/// What a difference and a margin fixed beforehand allow to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// There is a difference, and it is not shown to be within the margin.
    Differs,
    /// The difference is within the margin, be it zero or not.
    Equivalent,
    /// Neither is shown.
    Undecided,
}

/// Both tests of a difference, and what they come to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Equivalence {
    /// What can be said.
    pub decision: Decision,
    /// p of the two-sided test that the difference is zero.
    pub p_difference: f64,
    /// p of the two one-sided tests that it lies outside the margin: the larger of both.
    pub p_equivalence: f64,
}

/// Two one-sided tests of a difference beside the test that it is zero.
///
/// ```text
/// p_difference = P(|T_{n−1}| ≥ |d| / SE)
/// p_equivalence = max(P(T_{n−1} ≥ (d + margin) / SE), P(T_{n−1} ≥ (margin − d) / SE))
/// decision = equivalent if p_equivalence ≤ α; else differs if p_difference ≤ α; else undecided
/// ```
///
/// A difference that is not zero but surely within the margin counts as equivalent, so that a wider
/// margin never turns *equivalent* into anything else. Source: Schuirmann, *A comparison of the two
/// one-sided tests procedure and the power approach*, J. Pharmacokinetics and Biopharmaceutics 15
/// (1987). n is that of the estimate: its independent units.
///
/// Without spread a difference inside the margin is equivalent, and one on it or outside differs.
///
/// # Errors
/// [`Error::TooFew`] for fewer than two units; [`Error::NotFinite`] for the estimate;
/// [`Error::Range`] for `margin`, which is above 0, and `alpha`, between 0 and 1.
///
/// # Examples
/// ```
/// use rl_core::stats::{Decision, equivalence, mean};
///
/// let gap = mean(&[0.02, -0.01, 0.03, 0.00], 0.95)?;
/// assert_eq!(equivalence(gap, 0.1, 0.05)?.decision, Decision::Equivalent);
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn equivalence(difference: Estimate, margin: f64, alpha: f64) -> Result<Equivalence, Error> {
    let Estimate { value, std_error, n, .. } = difference;
    check::values("difference", &[value, std_error])?;
    check::at_least("difference", n, 2)?;
    if !(margin > 0.0 && margin.is_finite()) {
        let expected = "a number above 0";
        return Err(Error::Range { argument: "margin", found: margin, expected });
    }
    if !(alpha > 0.0 && alpha < 1.0) {
        let expected = "a number between 0 and 1, both excluded";
        return Err(Error::Range { argument: "alpha", found: alpha, expected });
    }
    let freedom = n as f64 - 1.0;
    let upper_tail = |distance: f64| {
        if std_error == 0.0 {
            return if distance > 0.0 { 0.0 } else { 1.0 };
        }
        let half = 0.5 * t_two_sided(distance / std_error, freedom);
        if distance > 0.0 { half } else { 1.0 - half }
    };
    let p_difference = match (value == 0.0, std_error == 0.0) {
        (true, _) => 1.0,
        (false, true) => 0.0,
        (false, false) => t_two_sided(value / std_error, freedom),
    };
    let p_equivalence = upper_tail(margin + value).max(upper_tail(margin - value));
    let decision = if p_equivalence <= alpha {
        Decision::Equivalent
    } else if p_difference <= alpha {
        Decision::Differs
    } else {
        Decision::Undecided
    };
    Ok(Equivalence { decision, p_difference, p_equivalence })
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    fn estimate(value: f64, std_error: f64, n: usize) -> Estimate {
        Estimate { value, interval: [value; 2], n, std_error }
    }

    #[test]
    fn p_values_are_those_of_t() {
        // scipy.stats.t.sf(0.05 / 0.03, 9), and twice t.sf(0.05 / 0.03, 9).
        let found = equivalence(estimate(0.05, 0.03, 10), 0.1, 0.05).unwrap();
        assert_relative_eq!(found.p_equivalence, 0.064_97, max_relative = 1e-3);
        assert_relative_eq!(found.p_difference, 2.0 * found.p_equivalence, max_relative = 1e-12);
        assert_eq!(found.decision, Decision::Undecided);
    }

    #[test]
    fn without_spread_the_margin_decides() {
        let decision = |value| equivalence(estimate(value, 0.0, 3), 0.1, 0.05).unwrap().decision;
        assert_eq!(decision(0.0), Decision::Equivalent);
        assert_eq!(decision(-0.05), Decision::Equivalent);
        assert_eq!(decision(0.1), Decision::Differs);
        assert_eq!(decision(-1.0), Decision::Differs);
    }

    #[test]
    fn wider_margins_only_ever_make_equivalent() {
        for value in [-0.2, -0.03, 0.0, 0.04, 0.3] {
            for std_error in [0.001, 0.02, 0.2] {
                let mut was = false;
                for step in 1..60 {
                    let margin = 0.01 * f64::from(step);
                    let found = equivalence(estimate(value, std_error, 12), margin, 0.05).unwrap();
                    let is = found.decision == Decision::Equivalent;
                    assert!(is || !was, "{value} {std_error} {margin}");
                    // Each verdict holds what its definition says, and no more.
                    match found.decision {
                        Decision::Equivalent => assert!(value.abs() < margin),
                        Decision::Differs => assert!(found.p_difference <= 0.05),
                        Decision::Undecided => assert!(found.p_difference > 0.05),
                    }
                    was = is;
                }
            }
        }
    }

    #[test]
    fn arguments_are_checked() {
        assert!(matches!(
            equivalence(estimate(0.0, 0.1, 1), 0.1, 0.05),
            Err(Error::TooFew { found: 1, .. })
        ));
        for (margin, alpha) in [(0.0, 0.05), (f64::NAN, 0.05), (0.1, 0.0), (0.1, 1.0)] {
            assert!(matches!(
                equivalence(estimate(0.0, 0.1, 9), margin, alpha),
                Err(Error::Range { .. })
            ));
        }
    }
}
