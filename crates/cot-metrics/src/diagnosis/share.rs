//! How many of a mixture are affected.

use rl_core::stats::{Bootstrap, bootstrap_groups};

use crate::{Error, Measured, metrics::Settings};

/// Scores of one of the two kinds that a mixture is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Population<'a> {
    /// Its mean is known.
    Mean(f64),
    /// It was sampled.
    Sample(&'a [f64]),
}

/// The share ρ of a mixture that is affected, from the means of one metric.
///
/// ```text
/// m = (1 − ρ) m_healthy + ρ m_affected
/// ρ = (m_healthy − m) / (m_healthy − m_affected), kept within 0 and 1
/// ```
///
/// The metric is the one that the pathology moves ([`super::Signature::target`]); what it moves to is
/// known, such as 0, or sampled. Everything sampled is resampled for the interval, each on its own. At
/// the ends of the range the interval is one-sided. Our own estimate; the paper has none.
///
/// Undefined where the two means are the same, and for samples of fewer than two.
///
/// # Errors
/// [`Error::Setting`] for `settings`.
///
/// # Examples
/// ```
/// use cot_metrics::{diagnosis::{Population, affected_share}, metrics::Settings};
///
/// let mixture = [0.9, 0.0, 0.9, 0.9, 0.0, 0.9, 0.9, 0.9];
/// let share = affected_share(&mixture, Population::Mean(0.9), Population::Mean(0.0), &Settings::default())?;
/// assert!((share.value().unwrap() - 0.25).abs() < 1e-12);
/// # Ok::<(), cot_metrics::Error>(())
/// ```
pub fn affected_share(
    mixture: &[f64],
    healthy: Population<'_>,
    affected: Population<'_>,
    settings: &Settings,
) -> Result<Measured, Error> {
    settings.validate()?;
    Ok(share(mixture, healthy, affected, settings.bootstrap("affected_share")))
}

fn share(
    mixture: &[f64],
    healthy: Population<'_>,
    affected: Population<'_>,
    settings: Bootstrap,
) -> Measured {
    let n = mixture.len();
    let mut groups = vec![mixture];
    for population in [healthy, affected] {
        if let Population::Sample(sample) = population {
            groups.push(sample);
        }
    }
    if groups.iter().any(|group| group.len() < 2) {
        return Measured::undefined("expected at least two examples of each kind", n);
    }
    let means = |groups: &[&[f64]]| {
        let mut sampled = groups[1..].iter();
        let mut mean_of = |population| match population {
            Population::Mean(mean) => mean,
            Population::Sample(_) => sampled.next().map_or(f64::NAN, |sample| mean(sample)),
        };
        (mean_of(healthy), mean_of(affected))
    };
    let (at_healthy, at_affected) = means(&groups);
    let apart = (at_healthy - at_affected).abs();
    if apart <= 1e-12 * at_healthy.abs().max(at_affected.abs()) {
        return Measured::undefined("healthy and affected examples score the same", n);
    }
    let statistic = |groups: &[&[f64]]| {
        let (healthy, affected) = means(groups);
        let (moved, whole) = (healthy - mean(groups[0]), healthy - affected);
        // A resample in which the two kinds score the same says nothing of the share.
        if whole == 0.0 { 0.5 } else { (moved / whole).clamp(0.0, 1.0) }
    };
    match bootstrap_groups(&groups, statistic, settings) {
        Ok(mut estimate) => {
            estimate.n = n;
            Measured::Estimate(estimate)
        }
        Err(error) => Measured::undefined(error.to_string(), n),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
