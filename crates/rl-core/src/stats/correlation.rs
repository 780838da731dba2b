//! Correlation of values and of ranks.

use super::{Error, Estimate, check, distribution::normal_critical, moments, rank::ranks};

/// Pearson's correlation with Fisher's interval.
///
/// ```text
/// r = Σ (x_i − mean x)(y_i − mean y) / √(Σ (x_i − mean x)² Σ (y_i − mean y)²)
/// σ = 1 / √(n − 3)
/// interval = tanh(artanh r ± z σ)
/// SE = (1 − r²) σ
/// ```
///
/// SE is that of artanh r carried over to first order. Source: Fisher, *On the probable error of a
/// coefficient of correlation deduced from a small sample*, Metron 1 (1921). The interval supposes
/// that x and y are jointly normal.
///
/// Fewer than four pairs have no interval and are refused, and so is zero variance. If r is ±1 the
/// interval has no width.
///
/// # Shapes
/// - `x`, `y`: `[n]`, n at least 4
///
/// # Errors
/// [`Error::Empty`], [`Error::Length`], [`Error::TooFew`], [`Error::NotFinite`],
/// [`Error::Constant`] for the values; [`Error::Range`] for `confidence`.
///
/// # Examples
/// ```
/// let [x, y] = [[1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]];
/// let r = rl_core::stats::pearson(&x, &y, 0.95)?;
/// assert!((r.value - 0.8).abs() < 1e-12);
/// assert!((r.interval[0] + 0.696953).abs() < 1e-6 && (r.interval[1] - 0.995600).abs() < 1e-6);
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn pearson(x: &[f64], y: &[f64], confidence: f64) -> Result<Estimate, Error> {
    let r = correlation(x, y, confidence, [x, y])?;
    Ok(fisher(r, 1.0, x.len(), confidence))
}

/// Spearman's rank correlation with an interval of Fisher's kind.
///
/// ```text
/// r = Pearson's correlation of the ranks; equal values share the mean of their ranks
/// σ = √((1 + r²/2) / (n − 3))
/// interval = tanh(artanh r ± z σ)
/// SE = (1 − r²) σ
/// ```
///
/// Source: Spearman, *The proof and measurement of association between two things*, American
/// Journal of Psychology 15 (1904); σ is Bonett and Wright, *Sample size requirements for
/// estimating Pearson, Kendall and Spearman correlations*, Psychometrika 65 (2000), because
/// Fisher's own is too small for ranks.
///
/// Fewer than four pairs, and zero variance, are refused. If r is ±1 the interval has no width.
///
/// # Shapes
/// - `x`, `y`: `[n]`, n at least 4
///
/// # Errors
/// As for [`pearson`].
///
/// # Examples
/// ```
/// let [x, y] = [[1.0, 2.0, 3.0, 40.0], [1.0, 30.0, 2.0, 400.0]];
/// assert!((rl_core::stats::spearman(&x, &y, 0.95)?.value - 0.8).abs() < 1e-12);
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn spearman(x: &[f64], y: &[f64], confidence: f64) -> Result<Estimate, Error> {
    let [rank_x, rank_y] = [x, y].map(|values| ranks(values).ranks);
    let r = correlation(x, y, confidence, [&rank_x, &rank_y])?;
    Ok(fisher(r, 1.0 + 0.5 * r * r, x.len(), confidence))
}

/// Correlation of `scores`, which stand for `x` and `y`, once all arguments are checked.
fn correlation(x: &[f64], y: &[f64], confidence: f64, scores: [&[f64]; 2]) -> Result<f64, Error> {
    check::values("x", x)?;
    check::length("y", y.len(), x.len())?;
    check::values("y", y)?;
    check::at_least("x", x.len(), 4)?;
    check::confidence(confidence)?;
    for (argument, values) in [("x", scores[0]), ("y", scores[1])] {
        if moments::negligible(moments::std_dev(values), &[values]) {
            let found = if argument == "x" { x[0] } else { y[0] };
            return Err(Error::Constant { argument, found });
        }
    }
    let [a, b] = scores.map(|values| {
        let center = moments::mean(values);
        let length = moments::sum_of_squares(values).sqrt();
        values.iter().map(|v| (v - center) / length).collect::<Vec<f64>>()
    });
    let r: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
    Ok(r.clamp(-1.0, 1.0))
}

fn fisher(r: f64, factor: f64, n: usize, confidence: f64) -> Estimate {
    let sigma = (factor / (n as f64 - 3.0)).sqrt();
    let reach = normal_critical(confidence) * sigma;
    Estimate {
        value: r,
        interval: [(r.atanh() - reach).tanh(), (r.atanh() + reach).tanh()],
        n,
        std_error: (1.0 - r * r) * sigma,
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn arguments_are_checked() {
        let [x, same] = [[0.1, 0.2, 0.3, 0.5], [0.1; 4]];
        assert!(matches!(
            pearson(&x, &same, 0.95),
            Err(Error::Constant { argument: "y", found: 0.1 })
        ));
        assert!(matches!(spearman(&same, &x, 0.95), Err(Error::Constant { argument: "x", .. })));
        assert!(matches!(pearson(&x[..3], &x[..3], 0.95), Err(Error::TooFew { .. })));
        assert!(matches!(spearman(&x, &x[..3], 0.95), Err(Error::Length { .. })));
        assert!(matches!(spearman(&[f64::NAN; 4], &x, 0.95), Err(Error::NotFinite { .. })));
    }

    #[test]
    fn a_line_leaves_no_doubt() {
        let x = [1.0, 2.0, 4.0, 8.0, 16.0];
        let y = x.map(|x| 3.0 - x);
        for r in [pearson(&x, &y, 0.95).unwrap(), spearman(&x, &y, 0.95).unwrap()] {
            for value in [r.value, r.interval[0], r.interval[1]] {
                // Rounding of r next to 1 is a square root larger in artanh.
                assert_relative_eq!(value, -1.0, max_relative = 1e-12);
            }
        }
    }
}
