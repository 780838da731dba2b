//! The mean of a table whose rows and columns are both samples.

use super::{Error, Estimate, check, distribution::t_critical, mean, moments};

/// Mean of a complete table, whose rows are a sample of one thing (training seeds) and whose columns
/// are a sample of another (prompts), with an interval that holds for new ones of both.
///
/// ```text
/// a = s²(row means) / R
/// b = s²(column means) / C
/// SE² = a + b
/// ν = (a + b)² / (a²/(R − 1) + b²/(C − 1))
/// interval = m ± t_ν SE
/// ```
///
/// What rows and columns do to each other is in both terms, so that the interval is rather too wide
/// than too narrow. ν are Satterthwaite's degrees of freedom, *An approximate distribution of
/// estimates of variance components*, Biometrics Bulletin 2 (1946).
/// With one row this is [`mean`](super::mean()) of the columns. `n` of the result is the smaller of
/// R and C.
///
/// # Shapes
/// - `table`: R rows of C values, R at least 1, C at least 2
///
/// # Errors
/// [`Error::Empty`] without rows; [`Error::Length`] for rows that differ in length;
/// [`Error::TooFew`], [`Error::NotFinite`] for the values; [`Error::Range`] for `confidence`.
///
/// # Examples
/// ```
/// let gain = rl_core::stats::crossed_mean(&[vec![0.0, 2.0], vec![2.0, 4.0]], 0.95)?;
/// assert_eq!((gain.value, gain.std_error, gain.n), (2.0, 2.0_f64.sqrt(), 2));
/// # Ok::<(), rl_core::stats::Error>(())
/// ```
pub fn crossed_mean(table: &[Vec<f64>], confidence: f64) -> Result<Estimate, Error> {
    let Some(first) = table.first() else { return Err(Error::Empty { argument: "table" }) };
    for row in table {
        check::length("row of the table", row.len(), first.len())?;
        check::values("table", row)?;
    }
    check::at_least("columns of the table", first.len(), 2)?;
    check::confidence(confidence)?;
    let rows: Vec<f64> = table.iter().map(|row| moments::mean(row)).collect();
    let columns: Vec<f64> = (0..first.len())
        .map(|column| moments::mean(&table.iter().map(|row| row[column]).collect::<Vec<_>>()))
        .collect();
    if let [_] = table {
        return mean(&columns, confidence);
    }
    let of = |means: &[f64]| {
        let n = means.len() as f64;
        (moments::std_dev(means).powi(2) / n, n - 1.0)
    };
    let ((a, rows_freedom), (b, columns_freedom)) = (of(&rows), of(&columns));
    let value = moments::mean(&rows);
    let std_error = (a + b).sqrt();
    let n = rows.len().min(columns.len());
    if std_error == 0.0 {
        return Ok(Estimate { value, interval: [value; 2], n, std_error });
    }
    let freedom = (a + b).powi(2) / (a * a / rows_freedom + b * b / columns_freedom);
    let reach = t_critical(confidence, freedom) * std_error;
    Ok(Estimate { value, interval: [value - reach, value + reach], n, std_error })
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::Rng as _;

    use super::*;
    use crate::seed::Seed;

    /// By hand: row means 1, 3, 5; column means 2, 4.
    #[test]
    fn a_small_table() {
        let table = [vec![0.0, 2.0], vec![3.0, 3.0], vec![3.0, 7.0]];
        let found = crossed_mean(&table, 0.95).unwrap();
        let (a, b) = (4.0 / 3.0, 2.0 / 2.0);
        approx::assert_abs_diff_eq!(found.value, 3.0, epsilon = 1e-12);
        approx::assert_abs_diff_eq!(found.std_error, f64::sqrt(a + b), epsilon = 1e-12);
        let freedom: f64 = (a + b) * (a + b) / (a * a / 2.0 + b * b / 1.0);
        let reach = t_critical(0.95, freedom) * f64::sqrt(a + b);
        approx::assert_abs_diff_eq!(found.interval[1] - 3.0, reach, epsilon = 1e-12);
    }

    #[test]
    fn a_table_of_one_row_is_its_mean() {
        let row = vec![1.0, 2.0, 4.0];
        assert_eq!(crossed_mean(std::slice::from_ref(&row), 0.9), mean(&row, 0.9));
    }

    #[test]
    fn equal_values_have_no_width() {
        let found = crossed_mean(&[vec![0.1; 4], vec![0.1; 4]], 0.95).unwrap();
        assert_eq!(found.interval.map(f64::to_bits), [0.1_f64.to_bits(); 2]);
    }

    #[test]
    fn tables_must_be_whole() {
        let message = |table: &[Vec<f64>]| crossed_mean(table, 0.95).unwrap_err().to_string();
        assert!(message(&[]).starts_with("table: expected at least one value"));
        assert!(message(&[vec![1.0, 2.0], vec![1.0]]).starts_with("row of the table: expected"));
        assert!(message(&[vec![1.0], vec![2.0]]).starts_with("columns of the table: expected"));
        assert!(message(&[vec![1.0, f64::NAN]]).contains("found NaN at index 1"));
    }

    /// Where seeds matter, an interval over prompts alone misses the truth far too often.
    #[test]
    fn intervals_hold_for_new_rows_and_columns() {
        let mut rng = Seed::new(5).rng();
        let mut unit = || f64::from(rng.next_u32()) / f64::from(u32::MAX);
        // Nearly normal: the sum of twelve uniform numbers has variance 1.
        let mut normal = || (0..12).map(|_| unit()).sum::<f64>() - 6.0;
        let (mut ours, mut prompts_alone) = (0, 0);
        let trials = 400;
        for _ in 0..trials {
            let columns: Vec<f64> = (0..20).map(|_| normal()).collect();
            let table: Vec<Vec<f64>> = (0..3)
                .map(|_| {
                    let row = normal();
                    columns.iter().map(|column| row + column + 0.5 * normal()).collect()
                })
                .collect();
            let holds = |interval: [f64; 2]| (interval[0]..=interval[1]).contains(&0.0);
            ours += usize::from(holds(crossed_mean(&table, 0.95).unwrap().interval));
            let means: Vec<f64> =
                (0..20).map(|c| table.iter().map(|row| row[c]).sum::<f64>() / 3.0).collect();
            prompts_alone += usize::from(holds(mean(&means, 0.95).unwrap().interval));
        }
        assert!(ours >= trials * 90 / 100, "{ours} of {trials}");
        assert!(prompts_alone <= trials * 75 / 100, "{prompts_alone} of {trials}");
    }
}
