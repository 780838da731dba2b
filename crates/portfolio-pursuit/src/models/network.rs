//! A dense network of rectified layers, trained with Adam; single precision.

use rand::{RngExt as _, seq::SliceRandom as _};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use super::scaling::Scaling;
use crate::Error;

/// What the output is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Half the squared error.
    Squared,
    /// Negative log-likelihood of a logit.
    Logistic,
}

/// Shape and training. The default is the published conversion model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Widths of the hidden layers, each at least 1.
    pub hidden: Vec<usize>,
    /// Step size of Adam, above 0.
    pub learning_rate: f64,
    /// Weight of half the squared weights beside the mean loss, at least 0.
    pub weight_decay: f64,
    /// Rows of a step, at least 1.
    pub batch: usize,
    /// Most passes over the rows, at least 1.
    pub epochs: usize,
    /// Passes without a loss lower than the lowest by [`NetworkConfig::tolerance`] after which
    /// training ends, at least 1.
    pub patience: usize,
    /// See [`NetworkConfig::patience`]; at least 0.
    pub tolerance: f64,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            hidden: vec![512; 3],
            learning_rate: 3e-4,
            weight_decay: 1e-4,
            batch: 200,
            epochs: 4000,
            patience: 10,
            tolerance: 1e-4,
        }
    }
}

impl NetworkConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        let counts = [("batch", self.batch), ("epochs", self.epochs), ("patience", self.patience)];
        for (name, count) in counts.into_iter().chain(self.hidden.iter().map(|h| ("hidden", *h))) {
            Error::check(name, "at least 1", count, count >= 1)?;
        }
        for (name, number) in [("weight_decay", self.weight_decay), ("tolerance", self.tolerance)] {
            let held = number >= 0.0 && number.is_finite();
            Error::check(name, "a finite number, not below 0", number, held)?;
        }
        let rate = self.learning_rate;
        let held = rate > 0.0 && rate.is_finite();
        Error::check("learning_rate", "a finite number above 0", rate, held)
    }
}

/// The network, with the scale of its inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    scaling: Scaling,
    layers: Vec<Layer>,
    loss: Loss,
}

#[derive(Debug, Clone, PartialEq)]
struct Layer {
    inputs: usize,
    outputs: usize,
    /// `[inputs, outputs]` row by row, then the biases.
    parameters: Vec<f32>,
}

impl Network {
    /// Trains on `x`, `[rows, columns]`, and `y`; streams `start` and `epoch` of the seed.
    ///
    /// # Errors
    /// [`Error::Setting`] for the configuration; [`Error::Fit`] if there are no rows, lengths differ,
    /// or the loss is no longer finite.
    pub fn fit(
        x: &[f64],
        columns: usize,
        y: &[f64],
        loss: Loss,
        config: &NetworkConfig,
        seed: Seed,
    ) -> Result<Self, Error> {
        config.validate()?;
        let n = y.len();
        if n == 0 || columns == 0 || x.len() != n * columns {
            let what = format!("expected {columns} inputs for each of {n} rows, found {}", x.len());
            return Err(Error::Fit { what });
        }
        let scaling = Scaling::of(x, columns);
        let scaled: Vec<f32> = scaling.table(x).iter().map(|v| *v as f32).collect();
        let mut network = Self::start(scaling, &config.hidden, loss, seed);
        let mut pass = Pass::new(&network, config.batch.min(n));
        let mut adam = Adam::new(&network);
        let mut order: Vec<usize> = (0..n).collect();
        let (mut lowest, mut without) = (f64::INFINITY, 0);
        for epoch in 0..config.epochs {
            order.shuffle(&mut seed.derive("epoch", epoch as u64).rng());
            let mut total = 0.0;
            for rows in order.chunks(config.batch) {
                total += pass.gradient(&network, &scaled, y, rows, config.weight_decay);
                adam.step(&mut network, &pass, config.learning_rate);
            }
            let mean = total / n as f64;
            if !mean.is_finite() {
                let what = format!("the network's loss is {mean} after {epoch} passes");
                return Err(Error::Fit { what });
            }
            without = if mean > lowest - config.tolerance { without + 1 } else { 0 };
            lowest = lowest.min(mean);
            if without >= config.patience {
                break;
            }
        }
        Ok(network)
    }

    /// Weights uniform within ±√(6 / (inputs + outputs)), biases likewise.
    fn start(scaling: Scaling, hidden: &[usize], loss: Loss, seed: Seed) -> Self {
        let mut rng = seed.derive("start", 0).rng();
        let mut inputs = scaling.columns();
        let layers = hidden
            .iter()
            .copied()
            .chain([1])
            .map(|outputs| {
                let bound = (6.0 / (inputs + outputs) as f32).sqrt();
                let count = (inputs + 1) * outputs;
                let parameters = (0..count).map(|_| rng.random_range(-bound..bound)).collect();
                let layer = Layer { inputs, outputs, parameters };
                inputs = outputs;
                layer
            })
            .collect();
        Self { scaling, layers, loss }
    }

    /// Outputs for the rows of `x`, `[rows, columns]`: probabilities with [`Loss::Logistic`].
    pub fn predict(&self, x: &[f64]) -> Vec<f64> {
        let columns = self.scaling.columns();
        let rows = x.len() / columns;
        let scaled: Vec<f32> = self.scaling.table(x).iter().map(|v| *v as f32).collect();
        let mut pass = Pass::new(self, rows.clamp(1, 256));
        let mut out = Vec::with_capacity(rows);
        for chunk in scaled.chunks(256 * columns) {
            pass.forward(self, chunk);
            let count = chunk.len() / columns;
            let last = &pass.activations[self.layers.len()][..count];
            out.extend(last.iter().map(|o| match self.loss {
                Loss::Squared => f64::from(*o),
                Loss::Logistic => super::structural::sigmoid(f64::from(*o)),
            }));
        }
        out
    }
}

/// Room for a forward and a backward pass.
struct Pass {
    /// Of the inputs and of each layer, `[batch, width]`.
    activations: Vec<Vec<f32>>,
    /// Gradient by the activations being passed back, and by those before.
    back: [Vec<f32>; 2],
    /// By the parameters of each layer.
    gradients: Vec<Vec<f32>>,
}

impl Pass {
    fn new(network: &Network, batch: usize) -> Self {
        let widths: Vec<usize> = [network.scaling.columns()]
            .into_iter()
            .chain(network.layers.iter().map(|l| l.outputs))
            .collect();
        let widest = widths.iter().copied().max().unwrap_or(1);
        Self {
            activations: widths.iter().map(|w| vec![0.0; w * batch]).collect(),
            back: [vec![0.0; widest * batch], vec![0.0; widest * batch]],
            gradients: network.layers.iter().map(|l| vec![0.0; l.parameters.len()]).collect(),
        }
    }

    fn forward(&mut self, network: &Network, x: &[f32]) {
        let rows = x.len() / network.scaling.columns();
        self.activations[0][..x.len()].copy_from_slice(x);
        for (i, layer) in network.layers.iter().enumerate() {
            let (before, after) = self.activations.split_at_mut(i + 1);
            let (input, output) = (&before[i], &mut after[0]);
            let (weights, bias) = layer.parameters.split_at(layer.inputs * layer.outputs);
            for row in output.chunks_exact_mut(layer.outputs).take(rows) {
                row.copy_from_slice(bias);
            }
            let shape = [rows, layer.inputs, layer.outputs];
            product(shape, (input, Order::Rows), (weights, Order::Rows), 1.0, output);
            if i + 1 < network.layers.len() {
                output[..rows * layer.outputs].iter_mut().for_each(|o| *o = o.max(0.0));
            }
        }
    }

    /// Puts the gradient of the mean loss of some rows, decay included, into `gradients`; returns the
    /// sum of their losses.
    fn gradient(
        &mut self,
        network: &Network,
        x: &[f32],
        y: &[f64],
        rows: &[usize],
        decay: f64,
    ) -> f64 {
        let columns = network.scaling.columns();
        let gathered: Vec<f32> =
            rows.iter().flat_map(|r| &x[r * columns..(r + 1) * columns]).copied().collect();
        self.forward(network, &gathered);
        let n = rows.len();
        let last = network.layers.len();
        let mut total = 0.0;
        for (i, row) in rows.iter().enumerate() {
            let (out, y) = (f64::from(self.activations[last][i]), y[*row]);
            let (loss, slope) = match network.loss {
                Loss::Squared => (0.5 * (out - y) * (out - y), out - y),
                Loss::Logistic => (
                    out.max(0.0) + (-out.abs()).exp().ln_1p() - y * out,
                    super::structural::sigmoid(out) - y,
                ),
            };
            total += loss;
            self.back[0][i] = (slope / n as f64) as f32;
        }
        for (i, layer) in network.layers.iter().enumerate().rev() {
            let split = layer.inputs * layer.outputs;
            let (by_weights, by_bias) = self.gradients[i].split_at_mut(split);
            let [after, before] = &mut self.back;
            by_bias.fill(0.0);
            for row in after.chunks_exact(layer.outputs).take(n) {
                by_bias.iter_mut().zip(row).for_each(|(b, d)| *b += d);
            }
            let weights = &layer.parameters[..split];
            let scale = decay as f32 / n as f32;
            by_weights.iter_mut().zip(weights).for_each(|(g, w)| *g = scale * w);
            let shape = [layer.inputs, n, layer.outputs];
            let input = &self.activations[i];
            product(shape, (input, Order::Columns), (after, Order::Rows), 1.0, by_weights);
            if i > 0 {
                let shape = [n, layer.outputs, layer.inputs];
                product(shape, (after, Order::Rows), (weights, Order::Columns), 0.0, before);
                for (d, a) in before[..n * layer.inputs].iter_mut().zip(input) {
                    if *a <= 0.0 {
                        *d = 0.0;
                    }
                }
                self.back.swap(0, 1);
            }
        }
        total
    }
}

/// How a matrix of a product lies in memory.
#[derive(Clone, Copy)]
enum Order {
    Rows,
    Columns,
}

/// `c ← a b + keep · c` for `a` of `[m, k]` and `b` of `[k, n]`; `c` lies row by row.
#[expect(unsafe_code, reason = "the product takes pointers; lengths are checked before")]
fn product(
    [m, k, n]: [usize; 3],
    (a, a_order): (&[f32], Order),
    (b, b_order): (&[f32], Order),
    keep: f32,
    c: &mut [f32],
) {
    assert!(a.len() >= m * k && b.len() >= k * n && c.len() >= m * n, "matrices too small");
    let strides = |order, rows: usize, columns: usize| match order {
        Order::Rows => (columns as isize, 1),
        Order::Columns => (1, rows as isize),
    };
    let ((a_row, a_column), (b_row, b_column)) = (strides(a_order, m, k), strides(b_order, k, n));
    // SAFETY: with these strides no element beyond `m * k`, `k * n` and `m * n` is touched, which the
    // slices have, and `c` is borrowed alone.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            1.0,
            a.as_ptr(),
            a_row,
            a_column,
            b.as_ptr(),
            b_row,
            b_column,
            keep,
            c.as_mut_ptr(),
            n as isize,
            1,
        );
    }
}

/// Adam with the usual constants.
struct Adam {
    first: Vec<Vec<f32>>,
    second: Vec<Vec<f32>>,
    steps: i32,
}

impl Adam {
    fn new(network: &Network) -> Self {
        let zeros = || network.layers.iter().map(|l| vec![0.0; l.parameters.len()]).collect();
        Self { first: zeros(), second: zeros(), steps: 0 }
    }

    fn step(&mut self, network: &mut Network, pass: &Pass, learning_rate: f64) {
        let [b1, b2] = [0.9_f64, 0.999];
        self.steps += 1;
        let correction = (1.0 - b2.powi(self.steps)).sqrt() / (1.0 - b1.powi(self.steps));
        let rate = (learning_rate * correction) as f32;
        let (b1, b2) = (b1 as f32, b2 as f32);
        for (i, layer) in network.layers.iter_mut().enumerate() {
            let moments = self.first[i].iter_mut().zip(&mut self.second[i]);
            for ((p, g), (m, v)) in layer.parameters.iter_mut().zip(&pass.gradients[i]).zip(moments)
            {
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
                *p -= rate * *m / (v.sqrt() + 1e-8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> (Vec<f64>, Vec<f64>) {
        let mut rng = Seed::new(8).rng();
        let x: Vec<f64> = (0..400).map(|_| rng.random_range(-2.0..2.0)).collect();
        let y = x.chunks_exact(2).map(|r| f64::from(u8::from(r[0] * r[1] > 0.0))).collect();
        (x, y)
    }

    #[test]
    fn gradients_agree_with_differences() {
        let (x, y) = data();
        let rows: Vec<usize> = (0..50).collect();
        for loss in [Loss::Squared, Loss::Logistic] {
            let scaling = Scaling::of(&x, 2);
            let scaled: Vec<f32> = scaling.table(&x).iter().map(|v| *v as f32).collect();
            let mut network = Network::start(scaling, &[6, 5], loss, Seed::new(1));
            let mut pass = Pass::new(&network, rows.len());
            pass.gradient(&network, &scaled, &y, &rows, 0.0);
            let found = pass.gradients.clone();
            for (layer, gradients) in found.iter().enumerate() {
                for (p, gradient) in gradients.iter().enumerate() {
                    let mut at = |step: f32| {
                        network.layers[layer].parameters[p] += step;
                        let total = pass.gradient(&network, &scaled, &y, &rows, 0.0);
                        network.layers[layer].parameters[p] -= step;
                        total / rows.len() as f64
                    };
                    let expected = (at(1e-2) - at(-1e-2)) / 2e-2;
                    // Single precision, and kinks within a step.
                    let error = (f64::from(*gradient) - expected).abs();
                    assert!(error < 4e-3, "{layer} {p}: {gradient} {expected}");
                }
            }
        }
    }

    #[test]
    fn what_no_line_can_is_learned() {
        let (x, y) = data();
        let config = NetworkConfig {
            hidden: vec![16, 16],
            learning_rate: 1e-2,
            batch: 32,
            epochs: 150,
            ..NetworkConfig::default()
        };
        let network = Network::fit(&x, 2, &y, Loss::Logistic, &config, Seed::new(1)).unwrap();
        let right =
            network.predict(&x).iter().zip(&y).filter(|(p, y)| (**p > 0.5) == (**y > 0.5)).count();
        assert!(right >= 190, "{right} of 200");
        let again = Network::fit(&x, 2, &y, Loss::Logistic, &config, Seed::new(1)).unwrap();
        assert_eq!(network, again);
    }

    #[test]
    fn bad_settings_are_named() {
        let config = NetworkConfig { hidden: vec![4, 0], ..NetworkConfig::default() };
        let error = Network::fit(&[1.0], 1, &[1.0], Loss::Squared, &config, Seed::new(0));
        assert!(error.unwrap_err().to_string().contains("hidden"));
    }
}
