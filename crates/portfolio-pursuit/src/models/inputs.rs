//! What our models see of a customer.

use serde::{Deserialize, Serialize};

use super::scaling::Scaling;
use crate::Error;

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

    /// Checks what was read from a file against customers of so many columns.
    pub(crate) fn validate(&self, columns: usize) -> Result<(), Error> {
        let held = self.value_column.is_none_or(|column| column < columns);
        let expected = format!("below {columns}");
        Error::check("value_column", &expected, format!("{:?}", self.value_column), held)?;
        self.scaling.validate(columns + 1 + usize::from(self.value_column.is_some()))
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

    /// One customer's inputs.
    pub(crate) fn of_one(&self, row: &[f64], cost: f64) -> Vec<f64> {
        let mut inputs = Vec::with_capacity(self.width());
        self.raw(row, cost, &mut inputs);
        self.scaling.apply_in_place(&mut inputs);
        inputs
    }

    /// The inputs of many customers, `[customers, width]`.
    pub(crate) fn table(&self, features: &[f64], cost: &[f64]) -> Vec<f64> {
        let columns = features.len() / cost.len().max(1);
        let mut out = Vec::with_capacity(cost.len() * self.width());
        for (row, cost) in features.chunks_exact(columns).zip(cost) {
            self.raw(row, *cost, &mut out);
        }
        out.chunks_exact_mut(self.width()).for_each(|row| self.scaling.apply_in_place(row));
        out
    }
}

/// Refuses a list, read from a file, of another length or with what is no number.
pub(crate) fn finite_list(name: &'static str, list: &[f64], expected: usize) -> Result<(), Error> {
    if list.len() != expected {
        return Err(Error::Length { name, expected, found: list.len() });
    }
    Error::check(name, "finite numbers", "others", list.iter().all(|x| x.is_finite()))
}
