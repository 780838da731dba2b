//! What comparisons with reference libraries share: processes that do cases in turn, and medians
//! with intervals.

mod side;

use rl_core::{
    seed::Seed,
    stats::{Bootstrap, bootstrap_percentile},
};
#[cfg(any(feature = "lm", feature = "agents"))]
pub(crate) use side::serve;
pub(crate) use side::{OpenMp, Side};

/// The cases whose name contains what was asked for; all if nothing was.
pub(crate) fn chosen<C: Copy, N: AsRef<str>>(
    cases: &[C],
    name: impl Fn(C) -> N,
    filter: Option<&str>,
) -> anyhow::Result<Vec<C>> {
    let part = filter.unwrap_or_default();
    let found: Vec<C> =
        cases.iter().copied().filter(|case| name(*case).as_ref().contains(part)).collect();
    if found.is_empty() {
        let names: Vec<N> = cases.iter().map(|case| name(*case)).collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        anyhow::bail!("--filter: expected part of one of {}, found `{part}`", names.join(", "));
    }
    Ok(found)
}

/// That no flag that counts something is 0.
pub(crate) fn counted<const N: usize>(flags: [(&str, u64); N]) -> anyhow::Result<()> {
    for (flag, count) in flags {
        anyhow::ensure!(count > 0, "--{flag}: expected at least 1, found 0");
    }
    Ok(())
}

/// The middle value; the mean of the middle two where there are two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The median with a bootstrap interval; none of nothing.
pub(crate) fn estimate(values: &[f64]) -> anyhow::Result<Option<(f64, [f64; 2])>> {
    let Some(value) = median(values.iter().copied()) else { return Ok(None) };
    if values.len() < 2 {
        return Ok(Some((value, [value, value])));
    }
    let settings = Bootstrap { resamples: 2000, confidence: 0.95, seed: Seed::new(0) };
    let statistic = |sample: &[f64]| median(sample.iter().copied()).unwrap_or(f64::NAN);
    let estimate = bootstrap_percentile(values, statistic, settings)?;
    Ok(Some((value, estimate.interval)))
}

/// What a reference library is called in a table: the first of the versions that it says.
#[cfg(feature = "lm")]
pub(crate) fn library_name(versions: Option<&str>) -> &str {
    versions.and_then(|versions| versions.split(',').next()).unwrap_or("peer")
}

/// A number of a table, or a dash.
pub(crate) fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".into(), |v| format!("{v:.digits$}"))
}

/// A number of a table with its interval, or a dash.
pub(crate) fn cell_with_interval(estimate: Option<(f64, [f64; 2])>) -> String {
    estimate
        .map_or("–".into(), |(value, [low, high])| format!("{value:.2} [{low:.2}, {high:.2}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_chosen_by_part_of_their_name() {
        let cases = ["speed", "speed-batched", "memory"];
        let of = |filter| chosen(&cases, |case| case, filter).map_err(|e| e.to_string());
        assert_eq!(of(None).unwrap(), cases);
        assert_eq!(of(Some("eed")).unwrap(), ["speed", "speed-batched"]);
        assert_eq!(
            of(Some("x")).unwrap_err(),
            "--filter: expected part of one of speed, speed-batched, memory, found `x`"
        );
        counted([("a", 1), ("b", 2)]).unwrap();
        let error = counted([("a", 1), ("b", 0)]).unwrap_err().to_string();
        assert_eq!(error, "--b: expected at least 1, found 0");
    }

    #[test]
    fn medians_and_their_intervals() {
        assert_eq!(median([].into_iter()), None);
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 8.0].into_iter()), Some(3.0));
        assert_eq!(estimate(&[]).unwrap(), None);
        assert_eq!(estimate(&[2.0]).unwrap(), Some((2.0, [2.0, 2.0])));
        let (value, [low, high]) = estimate(&[1.0, 2.0, 3.0, 4.0, 90.0]).unwrap().unwrap();
        assert!((value - 3.0).abs() < f64::EPSILON);
        assert!(low >= 1.0 && low < value && high > value && high <= 90.0);
    }
}
