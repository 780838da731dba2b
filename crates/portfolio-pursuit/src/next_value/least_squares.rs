//! Least squares that survive functions which the data cannot tell apart.

/// A diagonal entry of R this much below the first is rounding.
const DEPENDENT: f64 = 1e-11;

/// The coefficients c that minimize `Σ_n w_n (y_n − rows_n · c)²`.
///
/// By Householder reflections with column pivoting; a column that depends on others in the data gets
/// coefficient 0. Without rows all are 0.
///
/// # Shapes
/// - `rows`: `[samples][functions]`
/// - `targets`, `weights`: `[samples]`
/// - returns: `[functions]`
///
/// # Panics
/// If rows differ in length.
///
/// # Examples
/// ```
/// use portfolio_pursuit::next_value::least_squares;
/// // A line through (0, 1) and (2, 5).
/// let c = least_squares(&[vec![1.0, 0.0], vec![1.0, 2.0]], &[1.0, 5.0], &[1.0, 1.0]);
/// assert!((c[0] - 1.0).abs() < 1e-12 && (c[1] - 2.0).abs() < 1e-12);
/// ```
pub fn least_squares(rows: &[Vec<f64>], targets: &[f64], weights: &[f64]) -> Vec<f64> {
    let (m, n) = (rows.len(), rows.first().map_or(0, Vec::len));
    let root = |i: usize| weights[i].sqrt();
    let mut columns: Vec<Vec<f64>> =
        (0..n).map(|j| (0..m).map(|i| rows[i][j] * root(i)).collect()).collect();
    let mut y: Vec<f64> = (0..m).map(|i| targets[i] * root(i)).collect();
    let mut order: Vec<usize> = (0..n).collect();
    let mut diagonal: Vec<f64> = Vec::new();

    for step in 0..n.min(m) {
        let norm = |column: &[f64]| column[step..].iter().map(|x| x * x).sum::<f64>();
        let longest = (step..n).max_by(|&a, &b| norm(&columns[a]).total_cmp(&norm(&columns[b])));
        let Some(pivot) = longest else { break };
        columns.swap(step, pivot);
        order.swap(step, pivot);
        let length = norm(&columns[step]).sqrt();
        if length <= DEPENDENT * diagonal.first().map_or(0.0, |d: &f64| d.abs()) {
            break;
        }
        // The reflection that sends this column to ∓length along the axis.
        let r = -length.copysign(columns[step][step]);
        let mut v = columns[step][step..].to_vec();
        v[0] -= r;
        let half = v.iter().map(|x| x * x).sum::<f64>() / 2.0;
        for column in columns[step..].iter_mut().chain(std::iter::once(&mut y)) {
            let tail = &mut column[step..];
            let along = v.iter().zip(&*tail).map(|(v, x)| v * x).sum::<f64>() / half;
            tail.iter_mut().zip(&v).for_each(|(x, v)| *x -= along * v);
        }
        diagonal.push(r);
    }

    let rank = diagonal.len();
    let mut solution = vec![0.0; n];
    for i in (0..rank).rev() {
        let known: f64 = (i + 1..rank).map(|j| columns[j][i] * solution[order[j]]).sum();
        solution[order[i]] = (y[i] - known) / diagonal[i];
    }
    solution
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn residuals_are_orthogonal_to_every_function(
            rows in proptest::collection::vec(proptest::collection::vec(-5.0..5.0_f64, 4), 6..20),
            noise in proptest::collection::vec(-1.0..1.0_f64, 20),
            weights in proptest::collection::vec(0.1..3.0_f64, 20),
        ) {
            let y: Vec<f64> = rows.iter().zip(&noise).map(|(r, e)| r[0] - 2.0 * r[3] + e).collect();
            let c = least_squares(&rows, &y, &weights);
            for j in 0..4 {
                let inner: f64 = rows.iter().zip(&y).zip(&weights).map(|((row, y), w)| {
                    let fitted: f64 = row.iter().zip(&c).map(|(x, c)| x * c).sum();
                    w * row[j] * (y - fitted)
                }).sum();
                prop_assert!(inner.abs() < 1e-9, "{inner}");
            }
        }
    }

    #[test]
    fn dependent_columns_do_no_harm() {
        let rows: Vec<Vec<f64>> =
            (0..5).map(|i| f64::from(i)).map(|x| vec![1.0, x, 2.0 * x, 0.0]).collect();
        let y: Vec<f64> = rows.iter().map(|r| 3.0 + 4.0 * r[1]).collect();
        let c = least_squares(&rows, &y, &[1.0; 5]);
        for (row, y) in rows.iter().zip(&y) {
            let fitted: f64 = row.iter().zip(&c).map(|(x, c)| x * c).sum();
            assert!((fitted - y).abs() < 1e-12);
        }
        assert!(least_squares(&[], &[], &[]).is_empty());
    }
}
