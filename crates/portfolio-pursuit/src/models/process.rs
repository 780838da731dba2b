//! Gaussian-process regression, exact.

use super::{
    linear_algebra::{Cholesky, dot},
    scaling::Scaling,
};
use crate::Error;

/// Added to the diagonal, as a multiple of the variance, so that points that repeat have a solution.
const JITTER: f64 = 1e-8;

/// Gaussian process with the kernel `σ² (1 + √3 r/ℓ) exp(−√3 r/ℓ)` (Matérn, ν = 3/2) on standardized
/// inputs, for a standardized target.
///
/// Both parameters maximize the marginal likelihood. σ² has a closed form given ℓ, so a search over ℓ
/// alone is enough:
///
/// ```text
/// σ²(ℓ) = yᵀ R⁻¹ y / n,   log L(ℓ) = −n/2 log σ² − ½ log det R + constant
/// ```
#[derive(Debug, Clone)]
pub struct GaussianProcess {
    scaling: Scaling,
    /// Standardized inputs, each over ℓ / √3.
    points: Vec<f64>,
    /// `R⁻¹ y`; the variance cancels from the mean.
    weights: Vec<f64>,
    target: [f64; 2],
    length: f64,
}

impl GaussianProcess {
    /// Fits `y` to `x`, `[rows, columns]`.
    ///
    /// # Errors
    /// [`Error::Fit`] if there are no rows, lengths differ, or a number is not finite.
    pub fn fit(x: &[f64], columns: usize, y: &[f64]) -> Result<Self, Error> {
        let n = y.len();
        if n == 0 || columns == 0 || x.len() != n * columns {
            let what = format!("expected {columns} inputs for each of {n} rows, found {}", x.len());
            return Err(Error::Fit { what });
        }
        if let Some(found) = x.iter().chain(y).find(|v| !v.is_finite()) {
            return Err(Error::Fit { what: format!("expected finite numbers, found {found}") });
        }
        let scaling = Scaling::of(x, columns);
        let scaled = scaling.table(x);
        let target_scaling = Scaling::of(y, 1);
        let target = target_scaling.table(y);
        let (mean, deviation) = target_scaling.single();

        // Euclidean distances, once.
        let mut distances = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..i {
                distances[i * n + j] =
                    distance(&scaled[i * columns..][..columns], &scaled[j * columns..][..columns]);
            }
        }
        let likelihood = |log_length: f64| -> Option<(f64, Vec<f64>)> {
            let factor = correlate(&distances, n, log_length.exp())?;
            let weights = factor.solve(&target);
            let variance = (dot(&target, &weights) / n as f64).max(f64::MIN_POSITIVE);
            Some((-0.5 * (n as f64 * variance.ln() + factor.log_det()), weights))
        };
        let score = |log_length: f64| likelihood(log_length).map_or(f64::NEG_INFINITY, |l| l.0);
        let [low, high] = LENGTHS.map(f64::ln);
        let steps = 12;
        let at = |i: usize| low + (high - low) * i as f64 / f64::from(steps);
        let scores: Vec<f64> = (0..=steps as usize).map(|i| score(at(i))).collect();
        let best = (0..scores.len()).fold(0, |b, i| if scores[i] > scores[b] { i } else { b });
        let bracket = [at(best.saturating_sub(1)), at((best + 1).min(scores.len() - 1))];
        let length = golden(bracket, 12, score);
        let (_, weights) = likelihood(length)
            .ok_or_else(|| Error::Fit { what: "no length fits the Gaussian process".into() })?;
        let length = length.exp();
        let factor = 3_f64.sqrt() / length;
        let points = scaled.iter().map(|p| p * factor).collect();
        Ok(Self { scaling, points, weights, target: [mean, deviation], length })
    }

    /// ℓ, in deviations of the inputs.
    pub fn length(&self) -> f64 {
        self.length
    }

    /// Mean of the process at `x`, `[columns]`.
    pub fn predict(&self, x: &[f64]) -> f64 {
        let columns = self.scaling.columns();
        let mut scaled = vec![0.0; columns];
        self.scaling.apply(x, &mut scaled);
        let factor = 3_f64.sqrt() / self.length;
        scaled.iter_mut().for_each(|s| *s *= factor);
        let sum: f64 = self
            .points
            .chunks_exact(columns)
            .zip(&self.weights)
            .map(|(point, weight)| {
                let r = distance(point, &scaled);
                weight * (1.0 + r) * (-r).exp()
            })
            .sum();
        self.target[0] + self.target[1] * sum
    }
}

/// Where ℓ is looked for, in deviations of the inputs.
const LENGTHS: [f64; 2] = [0.05, 200.0];

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
}

fn correlate(distances: &[f64], n: usize, length: f64) -> Option<Cholesky> {
    let mut matrix = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..i {
            let r = 3_f64.sqrt() * distances[i * n + j] / length;
            matrix[i * n + j] = (1.0 + r) * (-r).exp();
        }
        matrix[i * n + i] = 1.0 + JITTER;
    }
    Cholesky::factor(matrix, n)
}

/// Golden-section search for the maximum.
fn golden([mut low, mut high]: [f64; 2], steps: usize, score: impl Fn(f64) -> f64) -> f64 {
    let ratio = f64::midpoint(5_f64.sqrt(), -1.0);
    let mut inner = [high - ratio * (high - low), low + ratio * (high - low)];
    let mut scores = inner.map(&score);
    for _ in 0..steps {
        if scores[0] >= scores[1] {
            high = inner[1];
            (inner[1], scores[1]) = (inner[0], scores[0]);
            inner[0] = high - ratio * (high - low);
            scores[0] = score(inner[0]);
        } else {
            low = inner[0];
            (inner[0], scores[0]) = (inner[1], scores[1]);
            inner[1] = low + ratio * (high - low);
            scores[1] = score(inner[1]);
        }
    }
    if scores[0] >= scores[1] { inner[0] } else { inner[1] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_passes_through_its_points_and_fits_between() {
        let x: Vec<f64> = (0..40).map(|i| f64::from(i) * 0.15).collect();
        let y: Vec<f64> = x.iter().map(|x| 3.0 + x.sin()).collect();
        let process = GaussianProcess::fit(&x, 1, &y).unwrap();
        for (x, y) in x.iter().zip(&y) {
            assert!((process.predict(&[*x]) - y).abs() < 1e-4);
        }
        for x in [0.4, 1.7, 3.33] {
            assert!((process.predict(&[x]) - 3.0 - x.sin()).abs() < 2e-3);
        }
        // Far away it knows nothing but the mean.
        let mean = y.iter().sum::<f64>() / y.len() as f64;
        assert!((process.predict(&[1e6]) - mean).abs() < 1e-9);
    }

    #[test]
    fn the_length_maximizes_the_likelihood_of_two_points() {
        // Of two points a distance d apart with targets ±1: log L = −log((1)/(1 − r)) − ½ log(1 − r²)
        // = ½ log((1 − r)/(1 + r)), so the shortest length is best.
        let process = GaussianProcess::fit(&[0.0, 1.0], 1, &[1.0, -1.0]).unwrap();
        assert!(process.length() < 0.5, "{}", process.length());
    }

    #[test]
    fn bad_rows_are_refused() {
        assert!(GaussianProcess::fit(&[], 1, &[]).is_err());
        assert!(GaussianProcess::fit(&[1.0], 1, &[1.0, 2.0]).is_err());
        assert!(GaussianProcess::fit(&[f64::NAN], 1, &[1.0]).is_err());
    }
}
