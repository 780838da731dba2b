//! How far coders agree.

use super::{Error, check};

/// How far apart two codes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeDistance {
    /// 1 if they differ: codes are names.
    Nominal,
    /// The square of their difference: codes are numbers.
    Interval,
}

/// Krippendorff's alpha: agreement of any number of coders, beyond chance, with codes missing.
///
/// ```text
/// m_u = codes of unit u, only units with m_u ≥ 2 count,  n = Σ_u m_u
/// D_o = 1/n Σ_u 1/(m_u − 1) Σ_{i ≠ j in u} δ(c_i, c_j)
/// D_e = 1/(n(n−1)) Σ_{i ≠ j in all units} δ(c_i, c_j)
/// α = 1 − D_o / D_e
/// ```
///
/// 1 is perfect agreement, 0 what chance brings, and less is worse than chance. Source: Krippendorff,
/// *Content Analysis*, 2nd ed. (2004), chapter 11.
///
/// # Shapes
/// - `units`: codes of each unit, in any order; a coder who gave none is simply not there
///
/// # Errors
/// [`Error::TooFew`] without a unit that two coders coded; [`Error::NotFinite`] for the codes;
/// [`Error::Constant`] if all codes are the same: agreement cannot be told from a habit.
///
/// # Examples
/// ```
/// use rl_core::stats::{CodeDistance, krippendorff_alpha};
///
/// let units = [vec![1.0, 1.0], vec![2.0, 2.0], vec![1.0, 2.0]];
/// assert!((krippendorff_alpha(&units, CodeDistance::Nominal)? - 4.0 / 9.0).abs() < 1e-12);
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn krippendorff_alpha(units: &[Vec<f64>], distance: CodeDistance) -> Result<f64, Error> {
    let paired: Vec<&Vec<f64>> = units.iter().filter(|u| u.len() >= 2).collect();
    check::at_least("units that two coders coded", paired.len(), 1)?;
    let all: Vec<f64> = paired.iter().flat_map(|u| u.iter().copied()).collect();
    check::values("units", &all)?;
    // Codes as they are written: those that are equal are equal to the bit.
    let apart = |a: f64, b: f64| match distance {
        CodeDistance::Nominal => f64::from(u8::from(a.total_cmp(&b).is_ne())),
        CodeDistance::Interval => (a - b).powi(2),
    };
    let pairs = |codes: &[f64]| -> f64 {
        codes.iter().flat_map(|&a| codes.iter().map(move |&b| apart(a, b))).sum()
    };
    let n = all.len() as f64;
    let observed: f64 = paired.iter().map(|u| pairs(u) / (u.len() as f64 - 1.0)).sum::<f64>() / n;
    let expected = pairs(&all) / (n * (n - 1.0));
    if expected == 0.0 {
        return Err(Error::Constant { argument: "units", found: all[0] });
    }
    Ok(1.0 - observed / expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Krippendorff's book: four observers, twelve units.
    #[test]
    fn the_example_of_the_book() {
        const NONE: f64 = f64::NAN;
        let observers = [
            [1.0, 2.0, 3.0, 3.0, 2.0, 1.0, 4.0, 1.0, 2.0, NONE, NONE, NONE],
            [1.0, 2.0, 3.0, 3.0, 2.0, 2.0, 4.0, 1.0, 2.0, 5.0, NONE, 3.0],
            [NONE, 3.0, 3.0, 3.0, 2.0, 3.0, 4.0, 2.0, 2.0, 5.0, 1.0, NONE],
            [1.0, 2.0, 3.0, 3.0, 2.0, 4.0, 4.0, 1.0, 2.0, 5.0, 1.0, NONE],
        ];
        let units: Vec<Vec<f64>> = (0..12)
            .map(|u| observers.iter().map(|o| o[u]).filter(|c| c.is_finite()).collect())
            .collect();
        for (distance, alpha) in [(CodeDistance::Nominal, 0.743), (CodeDistance::Interval, 0.849)] {
            let found = krippendorff_alpha(&units, distance).unwrap();
            assert!((found - alpha).abs() < 5e-4, "{found}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        let nominal = |units: &[Vec<f64>]| krippendorff_alpha(units, CodeDistance::Nominal);
        assert!(matches!(nominal(&[vec![1.0], vec![]]), Err(Error::TooFew { found: 0, .. })));
        assert!(matches!(nominal(&[vec![1.0, 1.0]]), Err(Error::Constant { .. })));
        assert!(matches!(nominal(&[vec![1.0, f64::NAN]]), Err(Error::NotFinite { .. })));
        assert_eq!(nominal(&[vec![1.0, 1.0], vec![2.0, 2.0]]), Ok(1.0));
    }
}
