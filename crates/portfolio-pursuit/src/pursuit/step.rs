//! One step's value as a sum over categories, by least squares.

use crate::{
    Error,
    models::linear_algebra::{Cholesky, dot},
};

/// `c + Σ_i w_i ρ_i`, with as many hinges `(ρ_i − knot)₊` in each category as it has knots.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Regression {
    constant: f64,
    /// For each category: slope at 0, and what every knot adds to it.
    slopes: Vec<Vec<f64>>,
    knots: Vec<Vec<f64>>,
}

impl Regression {
    /// Fits values of portfolios; knots lie among the counts that occur, at quantiles if there are
    /// more.
    pub(crate) fn fit(portfolios: &[Vec<u32>], y: &[f64], knots: usize) -> Result<Self, Error> {
        let d = portfolios.first().map_or(0, Vec::len);
        let knots: Vec<Vec<f64>> = (0..d).map(|i| place(portfolios, i, knots)).collect();
        let mut model = Self {
            constant: 0.0,
            slopes: knots.iter().map(|k| vec![0.0; k.len() + 1]).collect(),
            knots,
        };
        let rows: Vec<Vec<f64>> = portfolios.iter().map(|p| model.features(p)).collect();
        let n = rows.len() as f64;
        let width = rows[0].len();
        // Around the means, so that the constant is free of the ridge.
        let mean: Vec<f64> =
            (0..width).map(|j| rows.iter().map(|r| r[j]).sum::<f64>() / n).collect();
        let center = y.iter().sum::<f64>() / n;
        let mut gram = vec![0.0; width * width];
        let mut moment = vec![0.0; width];
        for (row, y) in rows.iter().zip(y) {
            let row: Vec<f64> = row.iter().zip(&mean).map(|(r, m)| r - m).collect();
            for (a, xa) in row.iter().enumerate() {
                moment[a] += xa * (y - center);
                gram[a * width..=a * width + a]
                    .iter_mut()
                    .zip(&row)
                    .for_each(|(g, x)| *g += xa * x);
            }
        }
        for a in 0..width {
            let diagonal = &mut gram[a * width + a];
            // Counts that never vary, and hinges that lie on a line, have no slope of their own.
            *diagonal += 1e-9 * *diagonal + 1e-9;
        }
        let weights = Cholesky::factor(gram, width)
            .ok_or_else(|| Error::Fit { what: "a step of backward induction".into() })?
            .solve(&moment);
        model.constant = center - dot(&weights, &mean);
        let mut weights = weights.into_iter();
        for slopes in &mut model.slopes {
            slopes.iter_mut().zip(&mut weights).for_each(|(s, w)| *s = w);
        }
        Ok(model)
    }

    fn features(&self, portfolio: &[u32]) -> Vec<f64> {
        let each = portfolio.iter().zip(&self.knots);
        each.flat_map(|(n, knots)| {
            let n = f64::from(*n);
            [n].into_iter().chain(knots.iter().map(move |knot| (n - knot).max(0.0)))
        })
        .collect()
    }

    pub(crate) fn value(&self, portfolio: &[u32]) -> f64 {
        self.constant + dot(&self.features(portfolio), &self.slopes.concat())
    }

    /// V(ρ + 1 of a category) − V(ρ).
    #[inline]
    pub(crate) fn change(&self, category: usize, count: u32) -> f64 {
        let (n, slopes) = (f64::from(count), &self.slopes[category]);
        let hinge = |x: f64| x.max(0.0);
        let bends = self.knots[category].iter().zip(&slopes[1..]);
        slopes[0] + bends.map(|(k, s)| s * (hinge(n + 1.0 - k) - hinge(n - k))).sum::<f64>()
    }
}

fn place(portfolios: &[Vec<u32>], category: usize, knots: usize) -> Vec<f64> {
    if knots == 0 {
        return Vec::new();
    }
    let mut counts: Vec<u32> = portfolios.iter().map(|p| p[category]).collect();
    counts.sort_unstable();
    counts.dedup();
    // The ends bend nothing.
    let inner =
        &counts[1.min(counts.len())..counts.len().saturating_sub(1).max(1.min(counts.len()))];
    if inner.len() <= knots {
        return inner.iter().map(|n| f64::from(*n)).collect();
    }
    (1..=knots).map(|j| f64::from(inner[j * inner.len() / (knots + 1)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the little ridge leaves of an exact fit.
    const RIDGE: f64 = 1e-4;

    fn square() -> Vec<Vec<u32>> {
        (0..7).flat_map(|a| (0..5).map(move |b| vec![a, b])).collect()
    }

    #[test]
    fn a_plane_is_recovered() {
        let y: Vec<f64> =
            square().iter().map(|p| 3.0 - 2.0 * f64::from(p[0]) + 0.5 * f64::from(p[1])).collect();
        for knots in [0, 3] {
            let model = Regression::fit(&square(), &y, knots).unwrap();
            assert!((model.value(&[2, 3]) - 0.5).abs() < 1e-6);
            assert!((model.change(0, 4) + 2.0).abs() < 1e-6);
            assert!((model.change(1, 0) - 0.5).abs() < 1e-6);
        }
    }

    #[test]
    fn with_a_knot_at_every_count_any_sum_is_exact() {
        let part = |n: u32| (f64::from(n) * 1.7).sin() * 5.0;
        let y: Vec<f64> = square().iter().map(|p| part(p[0]) - 2.0 * part(p[1] + 3)).collect();
        let model = Regression::fit(&square(), &y, 9).unwrap();
        for (p, y) in square().iter().zip(&y) {
            assert!((model.value(p) - y).abs() < RIDGE);
            if p[0] < 6 {
                assert!((model.change(0, p[0]) - (part(p[0] + 1) - part(p[0]))).abs() < RIDGE);
            }
        }
    }
}
