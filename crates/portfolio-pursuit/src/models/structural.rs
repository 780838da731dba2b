//! Our conversion model: monotone in the price by construction.

use serde::{Deserialize, Serialize};

use super::{
    History,
    inputs::{Inputs, finite_list},
    linear_algebra::{Cholesky, dot},
};
use crate::Error;

/// How the conversion model is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct StructuralConfig {
    /// Weight of the squared coefficients beside the mean negative log-likelihood, at least 0.
    pub ridge: f64,
    /// Most steps of scoring, at least 1; 10 to 20 are used.
    pub steps: usize,
}

impl Default for StructuralConfig {
    fn default() -> Self {
        Self { ridge: 0.02, steps: 100 }
    }
}

impl StructuralConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        let held = self.ridge >= 0.0 && self.ridge.is_finite();
        Error::check("structural.ridge", "a finite number, not below 0", self.ridge, held)?;
        Error::check("structural.steps", "at least 1", self.steps, self.steps >= 1)
    }
}

/// Probability that an offer a, over the cost, is taken where rivals ask `T`, over the cost too:
///
/// ```text
/// logit p = f·x + exp(g·x) (w·T − a),   w ≥ 0, Σ w = 1
/// ```
///
/// x are the inputs of [`RidgeMarket`](super::RidgeMarket) with a constant. A customer is the closer
/// to the cheapest rival the larger exp(g·x), which is never negative, so p falls with a everywhere
/// and for whatever weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StructuralConversion {
    pub(crate) inputs: Inputs,
    /// f with its constant last, g with its constant last, and the logits of w.
    parameters: Vec<f64>,
    ridge: f64,
}

/// What the model knows of one customer before a price is named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sensitivity {
    /// f·x.
    pub level: f64,
    /// exp(g·x): how far the logit falls when the price rises by the cost.
    pub slope: f64,
}

impl StructuralConversion {
    /// Fits all quotes by penalized maximum likelihood, with Fisher scoring damped as Levenberg's.
    ///
    /// # Errors
    /// [`Error::Fit`] as [`History::check`], or if no step can be found.
    pub fn fit(
        history: &History,
        value_column: Option<usize>,
        config: &StructuralConfig,
    ) -> Result<Self, Error> {
        config.validate()?;
        history.check(2)?;
        let inputs = Inputs::of(&history.features, &history.cost, value_column);
        let rate = history.accepted.iter().sum::<f64>() / history.len() as f64;
        let width = inputs.width() + 1;
        let mut parameters = vec![0.0; 2 * width + 3];
        parameters[width - 1] = (rate / (1.0 - rate)).ln();
        // A price one part in a hundred higher moves the logit by a tenth.
        parameters[2 * width - 1] = 10_f64.ln();
        let x = inputs.table(&history.features, &history.cost);
        let mut model = Self { inputs, parameters, ridge: config.ridge };
        let mut here = model.expand(history, &x);
        let mut damping = 1e-3;
        for _ in 0..config.steps {
            let Some(step) = here.step(damping) else {
                damping = f64::max(10.0 * damping, 1e-6);
                if damping > 1e12 {
                    return Err(Error::Fit { what: "the conversion model has no step".into() });
                }
                continue;
            };
            let trial = Self {
                parameters: model.parameters.iter().zip(&step).map(|(p, s)| p + s).collect(),
                ..model.clone()
            };
            let there = trial.expand(history, &x);
            let gain = here.loss - there.loss;
            if gain >= 0.0 {
                (model, here) = (trial, there);
                damping = f64::max(damping / 10.0, 1e-12);
                if gain < TOLERANCE * here.loss.abs() {
                    return Ok(model);
                }
            } else {
                damping *= 10.0;
                if damping > 1e9 {
                    // No step goes down: rounding is all that is left.
                    return Ok(model);
                }
            }
        }
        tracing::warn!(steps = config.steps, "the conversion model has not settled");
        Ok(model)
    }

    /// Checks what was read from a file against customers of so many columns.
    pub(crate) fn validate(&self, columns: usize) -> Result<(), Error> {
        self.inputs.validate(columns)?;
        finite_list("parameters", &self.parameters, 2 * self.width() + 3)
    }

    fn width(&self) -> usize {
        self.inputs.width() + 1
    }

    /// w: what the cheapest offer, the three and the five cheapest weigh.
    pub fn weights(&self) -> [f64; 3] {
        let logits = &self.parameters[2 * self.width()..];
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let raw = [0, 1, 2].map(|i| (logits[i] - top).exp());
        raw.map(|r| r / raw.iter().sum::<f64>())
    }

    /// What it knows of one customer.
    pub fn sensitivity(&self, row: &[f64], cost: f64) -> Sensitivity {
        self.scaled(&self.inputs.of_one(row, cost))
    }

    /// Likewise for inputs.
    pub(crate) fn scaled(&self, x: &[f64]) -> Sensitivity {
        let width = self.width();
        let (f, rest) = self.parameters.split_at(width);
        let linear = |w: &[f64]| dot(&w[..width - 1], x) + w[width - 1];
        // A slope beyond e^20 is a step already.
        Sensitivity { level: linear(f), slope: linear(&rest[..width]).min(20.0).exp() }
    }

    /// Probability that `offer` is taken where rivals ask `top`.
    pub fn probability(&self, row: &[f64], cost: f64, top: &[f64; 3], offer: f64) -> f64 {
        let Sensitivity { level, slope } = self.sensitivity(row, cost);
        sigmoid(level + slope * (dot(&self.weights(), top) - offer))
    }

    /// Penalized mean negative log-likelihood with its gradient and information.
    fn expand(&self, history: &History, x: &[f64]) -> Expansion {
        let (width, n) = (self.width(), history.len() as f64);
        let size = self.parameters.len();
        let weights = self.weights();
        let mut out =
            Expansion { loss: 0.0, gradient: vec![0.0; size], information: vec![0.0; size * size] };
        let mut slopes = vec![0.0; size];
        for (i, row) in x.chunks_exact(width - 1).enumerate() {
            let Sensitivity { level, slope } = self.scaled(row);
            let market = dot(&weights, &history.top[i]);
            let gap = slope * (market - history.offer[i]);
            let logit = level + gap;
            let y = history.accepted[i];
            // log(1 + e^η) − y η, without overflow.
            out.loss += (logit.max(0.0) + (-logit.abs()).exp().ln_1p() - y * logit) / n;
            slopes[..width - 1].copy_from_slice(row);
            slopes[width - 1] = 1.0;
            let (f, rest) = slopes.split_at_mut(width);
            for (s, x) in rest[..width].iter_mut().zip(&*f) {
                *s = gap * x;
            }
            for k in 0..3 {
                rest[width + k] = slope * weights[k] * (history.top[i][k] - market);
            }
            let p = sigmoid(logit);
            let curvature = (p * (1.0 - p)).max(1e-9) / n;
            for (a, sa) in slopes.iter().enumerate() {
                out.gradient[a] += (p - y) / n * sa;
                let scaled = curvature * sa;
                let row = &mut out.information[a * size..=a * size + a];
                row.iter_mut().zip(&slopes).for_each(|(g, sb)| *g += scaled * sb);
            }
        }
        for a in (0..2 * width).filter(|a| a % width != width - 1) {
            let parameter = self.parameters[a];
            out.loss += 0.5 * self.ridge * parameter * parameter;
            out.gradient[a] += self.ridge * parameter;
            out.information[a * size + a] += self.ridge;
        }
        // Only the differences of the logits of w matter.
        for a in 2 * width..size {
            out.loss += 0.5 * LOGIT_RIDGE * self.parameters[a] * self.parameters[a];
            out.gradient[a] += LOGIT_RIDGE * self.parameters[a];
            out.information[a * size + a] += LOGIT_RIDGE;
        }
        out
    }
}

/// A fit has settled when a step lowers the loss by a smaller share.
const TOLERANCE: f64 = 1e-9;

/// Keeps the logits of w from running off where one weight is best at 0.
const LOGIT_RIDGE: f64 = 1e-5;

struct Expansion {
    loss: f64,
    gradient: Vec<f64>,
    /// Its lower triangle.
    information: Vec<f64>,
}

impl Expansion {
    fn step(&self, damping: f64) -> Option<Vec<f64>> {
        let size = self.gradient.len();
        let mut matrix = self.information.clone();
        for a in 0..size {
            let diagonal = &mut matrix[a * size + a];
            *diagonal += damping * (*diagonal + 1e-9);
        }
        let minus: Vec<f64> = self.gradient.iter().map(|g| -g).collect();
        Some(Cholesky::factor(matrix, size)?.solve(&minus))
    }
}

/// `1 / (1 + e⁻ˣ)`.
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rl_core::seed::Seed;

    use super::*;

    /// Customers whose probabilities the model can express exactly, known without noise.
    fn known(n: usize) -> History {
        let mut rng = Seed::new(3).rng();
        let mut history = History::new(1);
        for _ in 0..n {
            let row = [rng.random_range(-1.0..1.0_f64)];
            let cheapest: f64 = rng.random_range(0.98..1.06);
            let third = cheapest + rng.random_range(0.0..0.1);
            let fifth = third + rng.random_range(0.0..0.1);
            let offer = rng.random_range(1.0..1.15);
            let market = 0.7 * cheapest + 0.2 * third + 0.1 * fifth;
            let logit = -0.5 + 0.4 * row[0] + (3.5 + 0.3 * row[0]).exp() * (market - offer);
            history.push(&row, 100.0, offer, [cheapest, third, fifth], sigmoid(logit));
        }
        history
    }

    #[test]
    fn known_parameters_are_recovered() {
        let history = known(400);
        let config = StructuralConfig { ridge: 0.0, ..StructuralConfig::default() };
        let model = StructuralConversion::fit(&history, None, &config).unwrap();
        for (found, expected) in model.weights().iter().zip([0.7, 0.2, 0.1]) {
            assert!((found - expected).abs() < 0.01, "{:?}", model.weights());
        }
        for i in 0..history.len() {
            let p = model.probability(history.row(i), 100.0, &history.top[i], history.offer[i]);
            assert!((p - history.accepted[i]).abs() < 2e-3);
        }
        let slope = model.sensitivity(&[0.5], 100.0).slope;
        assert!((slope.ln() - 3.65).abs() < 0.02, "{slope}");
    }

    #[test]
    fn gradients_agree_with_differences() {
        let history = known(40);
        let mut model =
            StructuralConversion::fit(&history, None, &StructuralConfig { ridge: 0.3, steps: 2 })
                .unwrap();
        let x = model.inputs.table(&history.features, &history.cost);
        let gradient = model.expand(&history, &x).gradient;
        for (a, found) in gradient.iter().enumerate() {
            let at = |model: &mut StructuralConversion, step: f64| {
                model.parameters[a] += step;
                let loss = model.expand(&history, &x).loss;
                model.parameters[a] -= step;
                loss
            };
            let expected = (at(&mut model, 1e-5) - at(&mut model, -1e-5)) / 2e-5;
            assert!((found - expected).abs() < 1e-7, "{a}: {found} {expected}");
        }
    }

    #[test]
    fn the_fit_is_a_minimum() {
        let history = known(60);
        let config = StructuralConfig { ridge: 0.05, ..StructuralConfig::default() };
        let model = StructuralConversion::fit(&history, None, &config).unwrap();
        let x = model.inputs.table(&history.features, &history.cost);
        let gradient = model.expand(&history, &x).gradient;
        assert!(gradient.iter().all(|g| g.abs() < 1e-4), "{gradient:?}");
    }

    #[test]
    fn a_higher_price_never_sells_more() {
        let mut history = known(50);
        // Outcomes that say the opposite.
        history.accepted.iter_mut().for_each(|y| *y = 1.0 - *y);
        let model =
            StructuralConversion::fit(&history, None, &StructuralConfig::default()).unwrap();
        for i in 0..history.len() {
            let p = |a| model.probability(history.row(i), 100.0, &history.top[i], a);
            assert!(p(1.0) >= p(1.1) && p(1.1) >= p(1.9));
        }
    }
}
