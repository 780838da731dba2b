//! What our models see of a customer.

use serde::{Deserialize, Serialize};

use super::scaling::Scaling;

/// A customer's features with the logarithm of the cost, and of the cost over the value of what is
/// insured; standardized.
///
/// Rivals' prices follow the same cost that the firm estimates, so most of what they differ in is its
/// own estimate's error, which shows in cost over value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    scaling: Scaling,
    value_column: Option<usize>,
}

impl Inputs {
    /// Learns the scale of `features`, `[customers, columns]`; `value_column` holds the insured value,
    /// where there is one.
    pub(crate) fn of(features: &[f64], cost: &[f64], value_column: Option<usize>) -> Self {
        let columns = features.len() / cost.len().max(1);
        let mut inputs = Self { scaling: Scaling::of(&[], columns), value_column };
        let width = columns + 1 + usize::from(value_column.is_some());
        let mut table = Vec::with_capacity(width * cost.len());
        for (row, cost) in features.chunks_exact(columns).zip(cost) {
            inputs.raw(row, *cost, &mut table);
        }
        inputs.scaling = Scaling::of(&table, width);
        inputs
    }

    /// Number of inputs.
    pub(crate) fn width(&self) -> usize {
        self.scaling.columns()
    }

    fn raw(&self, row: &[f64], cost: f64, out: &mut Vec<f64>) {
        out.extend_from_slice(row);
        out.push(cost.ln());
        if let Some(column) = self.value_column {
            out.push((cost / row[column].max(1.0)).ln());
        }
    }

    /// Puts one customer's inputs into `out`.
    pub(crate) fn write(&self, row: &[f64], cost: f64, out: &mut [f64]) {
        let mut raw = Vec::with_capacity(self.width());
        self.raw(row, cost, &mut raw);
        self.scaling.apply(&raw, out);
    }

    /// The inputs of many customers, `[customers, width]`.
    pub(crate) fn table(&self, features: &[f64], cost: &[f64]) -> Vec<f64> {
        let columns = features.len() / cost.len().max(1);
        let mut out = vec![0.0; cost.len() * self.width()];
        for ((row, cost), out) in
            features.chunks_exact(columns).zip(cost).zip(out.chunks_exact_mut(self.width()))
        {
            self.write(row, *cost, out);
        }
        out
    }
}
