//! Our market model: what rivals will ask, by ridge regression.

use serde::{Deserialize, Serialize};

use super::{
    History,
    inputs::{Inputs, finite_list},
    linear_algebra::{Cholesky, dot},
};
use crate::Error;

/// Predicts rivals' cheapest offer and the means of their 3 and 5 cheapest, over the own cost.
///
/// ```text
/// min_b Σ (y − b₀ − b·x)² + ridge ‖b‖²
/// ```
///
/// x are the standardized features, log C and log (C / insured value).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RidgeMarket {
    pub(crate) inputs: Inputs,
    /// For each target, weights and, last, the intercept.
    weights: [Vec<f64>; 3],
    /// Of the rows it was fitted to; not written.
    #[serde(skip)]
    residuals: Vec<[f64; 3]>,
}

impl RidgeMarket {
    /// Fits `ridge`, at least 0, to all quotes.
    ///
    /// # Errors
    /// [`Error::Fit`] as [`History::check`], or if the normal equations cannot be solved.
    pub fn fit(history: &History, value_column: Option<usize>, ridge: f64) -> Result<Self, Error> {
        history.check(2)?;
        let inputs = Inputs::of(&history.features, &history.cost, value_column);
        let x = inputs.table(&history.features, &history.cost);
        let (width, n) = (inputs.width(), history.len());
        let mut gram = vec![0.0; width * width];
        for row in x.chunks_exact(width) {
            for (i, xi) in row.iter().enumerate() {
                for (g, xj) in gram[i * width..=i * width + i].iter_mut().zip(row) {
                    *g += xi * xj;
                }
            }
        }
        for i in 0..width {
            // Indicators that add up to one make the equations singular.
            gram[i * width + i] += ridge + 1e-9 * n as f64;
        }
        let factor = Cholesky::factor(gram, width)
            .ok_or_else(|| Error::Fit { what: "the market model has no solution".into() })?;
        let weights = [0, 1, 2].map(|k| {
            let mean = history.top.iter().map(|t| t[k]).sum::<f64>() / n as f64;
            let mut moment = vec![0.0; width];
            for (row, top) in x.chunks_exact(width).zip(&history.top) {
                moment.iter_mut().zip(row).for_each(|(m, xi)| *m += xi * (top[k] - mean));
            }
            let mut weights = factor.solve(&moment);
            weights.push(mean);
            weights
        });
        let mut model = Self { inputs, weights, residuals: Vec::with_capacity(n) };
        for (row, top) in x.chunks_exact(width).zip(&history.top) {
            let predicted = model.scaled(row);
            model.residuals.push([0, 1, 2].map(|k| top[k] - predicted[k]));
        }
        Ok(model)
    }

    /// Checks what was read from a file against customers of so many columns.
    pub(crate) fn validate(&self, columns: usize) -> Result<(), Error> {
        self.inputs.validate(columns)?;
        let lists = self.weights.iter().map(|list| &list[..]);
        lists.into_iter().try_for_each(|list| {
            finite_list("weights of the market model", list, self.inputs.width() + 1)
        })
    }

    /// What it expects for one customer.
    pub fn predict(&self, row: &[f64], cost: f64) -> [f64; 3] {
        self.scaled(&self.inputs.of_one(row, cost))
    }

    /// Likewise for inputs.
    pub(crate) fn scaled(&self, x: &[f64]) -> [f64; 3] {
        [0, 1, 2].map(|k| {
            let weights = &self.weights[k];
            dot(&weights[..x.len()], x) + weights[x.len()]
        })
    }

    /// What was observed less what it says, of the quotes it was fitted to.
    pub fn residuals(&self) -> &[[f64; 3]] {
        &self.residuals
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rl_core::seed::Seed;

    use super::*;

    #[test]
    fn known_weights_are_recovered() {
        let mut rng = Seed::new(1).rng();
        let mut history = History::new(2);
        let truth = |x: &[f64], cost: f64| {
            let base = 0.9 + 0.02 * x[0] + 0.05 * cost.ln() - 0.1 * (cost / x[1]).ln();
            [base, base + 0.03, base + 0.01 * x[0]]
        };
        for i in 0..200 {
            let row = [rng.random_range(-1.0..1.0), rng.random_range(5000.0..20_000.0)];
            let cost = rng.random_range(500.0..3000.0);
            history.push(&row, cost, 1.1, truth(&row, cost), f64::from(i % 2));
        }
        // log C and log (C / value) leave log value to be expressed, so nothing is left over.
        let model = RidgeMarket::fit(&history, Some(1), 0.0).unwrap();
        for row in [[0.3, 7000.0], [-0.9, 15_000.0]] {
            let (found, expected) = (model.predict(&row, 900.0), truth(&row, 900.0));
            for (f, e) in found.iter().zip(expected) {
                assert!((f - e).abs() < 1e-6, "{found:?} {expected:?}");
            }
        }
        assert!(model.residuals().iter().flatten().all(|r| r.abs() < 1e-6));
    }

    #[test]
    fn residuals_have_mean_zero_whatever_the_ridge() {
        let mut history = History::new(1);
        for i in 0..50 {
            let x = f64::from(i);
            history.push(&[x], 100.0 + x, 1.1, [x.sin(), x.cos(), 1.0], f64::from(i % 2));
        }
        let model = RidgeMarket::fit(&history, None, 10.0).unwrap();
        for k in 0..3 {
            let mean = model.residuals().iter().map(|r| r[k]).sum::<f64>() / 50.0;
            assert!(mean.abs() < 1e-12);
        }
    }
}
