//! Columns with mean 0 and deviation 1.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Means and deviations of columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scaling {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

impl Scaling {
    /// Of a table given row by row; a column that does not vary is only shifted.
    pub(crate) fn of(table: &[f64], columns: usize) -> Self {
        let n = (table.len() / columns).max(1) as f64;
        let mut mean = vec![0.0; columns];
        for row in table.chunks_exact(columns) {
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / n);
        }
        let mut variance = vec![0.0; columns];
        for row in table.chunks_exact(columns) {
            for ((v, x), m) in variance.iter_mut().zip(row).zip(&mean) {
                *v += (x - m) * (x - m) / n;
            }
        }
        let deviation =
            variance.iter().map(|v| if v.sqrt() > 1e-12 { v.sqrt() } else { 1.0 }).collect();
        Self { mean, deviation }
    }

    /// Checks what was read from a file: so many columns, finite means, deviations above 0.
    pub(crate) fn validate(&self, columns: usize) -> Result<(), Error> {
        for list in [&self.mean, &self.deviation] {
            let (expected, found) = (columns, list.len());
            if found != expected {
                return Err(Error::Length { name: "inputs", expected, found });
            }
        }
        let finite = self.mean.iter().all(|m| m.is_finite());
        Error::check("means of inputs", "finite numbers", "others", finite)?;
        let held = self.deviation.iter().all(|d| *d > 0.0 && d.is_finite());
        Error::check("deviations of inputs", "finite numbers above 0", "others", held)
    }

    /// Number of columns.
    pub(crate) fn columns(&self) -> usize {
        self.mean.len()
    }

    /// Mean and deviation of the first column.
    pub(crate) fn single(&self) -> (f64, f64) {
        (self.mean[0], self.deviation[0])
    }

    /// Puts one row into `out`.
    pub(crate) fn apply(&self, row: &[f64], out: &mut [f64]) {
        for (((o, x), m), s) in out.iter_mut().zip(row).zip(&self.mean).zip(&self.deviation) {
            *o = (x - m) / s;
        }
    }

    /// Scales one row.
    pub(crate) fn apply_in_place(&self, row: &mut [f64]) {
        for ((x, m), s) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
            *x = (*x - m) / s;
        }
    }

    /// A whole table.
    pub(crate) fn table(&self, table: &[f64]) -> Vec<f64> {
        let columns = self.columns();
        let mut out = vec![0.0; table.len()];
        for (row, scaled) in table.chunks_exact(columns).zip(out.chunks_exact_mut(columns)) {
            self.apply(row, scaled);
        }
        out
    }
}
