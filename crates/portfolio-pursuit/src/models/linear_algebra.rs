//! Dense symmetric systems, small enough for one core.

/// Dot product with four running sums, so that it vectorizes; the order of the sum is fixed.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a4, a_rest) = a.as_chunks::<4>();
    let (b4, b_rest) = b.as_chunks::<4>();
    for (x, y) in a4.iter().zip(b4) {
        for lane in 0..4 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// `A = L Lᵀ` with L lower triangular, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Cholesky {
    lower: Vec<f64>,
    n: usize,
}

impl Cholesky {
    /// Factors `a`, `[n, n]` row by row, of which only the lower triangle is read; none if it is not
    /// positive definite.
    pub(crate) fn factor(mut a: Vec<f64>, n: usize) -> Option<Self> {
        debug_assert_eq!(a.len(), n * n);
        for i in 0..n {
            for j in 0..=i {
                let (above, below) = a.split_at_mut(i * n);
                let row_i = &mut below[..n];
                if j == i {
                    let pivot = row_i[i] - dot(&row_i[..i], &row_i[..i]);
                    // Not `<=`: a NaN must not pass.
                    if !(pivot > 0.0 && pivot.is_finite()) {
                        return None;
                    }
                    row_i[i] = pivot.sqrt();
                } else {
                    let row_j = &above[j * n..j * n + n];
                    row_i[j] = (row_i[j] - dot(&row_i[..j], &row_j[..j])) / row_j[j];
                }
            }
        }
        Some(Self { lower: a, n })
    }

    /// `A⁻¹ b`.
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let n = self.n;
        let mut x = b.to_vec();
        for i in 0..n {
            let row = &self.lower[i * n..i * n + i];
            x[i] = (x[i] - dot(row, &x[..i])) / self.lower[i * n + i];
        }
        for i in (0..n).rev() {
            x[i] /= self.lower[i * n + i];
            let xi = x[i];
            let row = &self.lower[i * n..i * n + i];
            for (earlier, l) in x[..i].iter_mut().zip(row) {
                *earlier -= l * xi;
            }
        }
        x
    }

    /// `log det A`.
    pub(crate) fn log_det(&self) -> f64 {
        (0..self.n).map(|i| 2.0 * self.lower[i * self.n + i].ln()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_and_its_determinant_known() {
        // A = [[4, 2, 0.4], [2, 5, 1], [0.4, 1, 3]], det = 43.28 + ... computed by cofactors below.
        let a = vec![4.0, 2.0, 0.4, 2.0, 5.0, 1.0, 0.4, 1.0, 3.0];
        let det = 4.0 * (5.0 * 3.0 - 1.0) - 2.0 * (2.0 * 3.0 - 0.4) + 0.4 * (2.0 - 5.0 * 0.4);
        let factor = Cholesky::factor(a.clone(), 3).unwrap();
        assert!((factor.log_det() - f64::ln(det)).abs() < 1e-12);
        let x = factor.solve(&[1.0, -2.0, 0.5]);
        for (i, b) in [1.0, -2.0, 0.5].into_iter().enumerate() {
            assert!((dot(&a[3 * i..3 * i + 3], &x) - b).abs() < 1e-12);
        }
    }

    #[test]
    fn what_is_not_positive_definite_is_refused() {
        assert!(Cholesky::factor(vec![1.0, 0.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::factor(vec![f64::NAN], 1).is_none());
    }
}
