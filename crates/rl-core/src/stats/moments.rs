//! Mean and spread, exact where all values are the same.

/// Of a value the spread of which is rounding only: this many units in the last place.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// Mean, as the first value and the mean distance to it: so that of equal values is that value.
pub(super) fn mean(values: &[f64]) -> f64 {
    let Some(&first) = values.first() else { return f64::NAN };
    first + values.iter().map(|x| x - first).sum::<f64>() / values.len() as f64
}

/// Sum of squared distances to the mean.
pub(super) fn sum_of_squares(values: &[f64]) -> f64 {
    let center = mean(values);
    values.iter().map(|x| (x - center).powi(2)).sum()
}

/// Standard deviation of a sample, with n − 1 below.
pub(super) fn std_dev(values: &[f64]) -> f64 {
    (sum_of_squares(values) / (values.len() as f64 - 1.0)).sqrt()
}

/// Whether a standard deviation is no more than rounding of numbers as large as those in `values`.
pub(super) fn negligible(std_dev: f64, values: &[&[f64]]) -> bool {
    let largest = values.iter().copied().flatten().fold(0.0_f64, |m, x| m.max(x.abs()));
    std_dev <= ROUNDING * largest
}

/// `a[i] − b[i]`.
pub(super) fn differences(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_no_spread() {
        let values = [0.1; 10];
        assert_eq!(mean(&values).to_bits(), 0.1_f64.to_bits());
        assert_eq!(std_dev(&values).to_bits(), 0.0_f64.to_bits());
        assert!(!negligible(std_dev(&[0.1, 0.1 + 1e-12]), &[&values]));
        let differences = differences(&[0.4, 0.5], &[0.3, 0.4]);
        assert!(negligible(std_dev(&differences), &[&[0.4, 0.5]]));
    }
}
