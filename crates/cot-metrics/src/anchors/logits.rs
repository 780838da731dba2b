//! Normalized logit-difference decay (arXiv 2602.11201).

use crate::{
    Error, Measured,
    error::check,
    metrics::{Settings, mean},
};

/// A clean logit difference below this in size is no difference to lose.
const SMALLEST: f64 = 1e-6;

/// How far the best correct logit is above the best wrong one.
///
/// ```text
/// LD = (max_{c correct} z_c − max_{w wrong} z_w) / scale
/// ```
///
/// `scale` is the mean standard deviation of the logits of all examples ([`mean_logit_deviation`]);
/// it cancels in [`nldd`] but for what counts as no difference.
///
/// # Errors
/// [`Error::Setting`] for no correct or no wrong answer among the logits, an index beyond them, a
/// logit that is not finite, or a `scale` that is not above 0.
///
/// # Examples
/// ```
/// use cot_metrics::anchors::logit_difference;
///
/// assert_eq!(logit_difference(&[3.0, 1.0, 2.0, -5.0], &[0, 3], 0.5)?, 2.0);
/// # Ok::<(), cot_metrics::Error>(())
/// ```
pub fn logit_difference(logits: &[f64], correct: &[usize], scale: f64) -> Result<f64, Error> {
    check("scale", scale.is_finite() && scale > 0.0, "a finite number above 0", scale)?;
    finite(logits)?;
    if let Some(beyond) = correct.iter().find(|&&index| index >= logits.len()) {
        check("correct", false, &format!("indices below {}", logits.len()), beyond)?;
    }
    let best = |of_correct: bool| {
        let side = logits.iter().enumerate().filter(|(i, _)| correct.contains(i) == of_correct);
        side.map(|(_, &logit)| logit).reduce(f64::max)
    };
    let (Some(right), Some(wrong)) = (best(true), best(false)) else {
        return Err(Error::Setting {
            name: "correct",
            expected: "at least one logit, and not all".to_owned(),
            found: format!("{} of {}", correct.len(), logits.len()),
        });
    };
    Ok((right - wrong) / scale)
}

/// Mean over examples of the standard deviation of an example's logits, with n below.
///
/// # Errors
/// [`Error::Setting`] without an example, and for logits that are missing or not finite.
pub fn mean_logit_deviation(examples: &[&[f64]]) -> Result<f64, Error> {
    check("examples", !examples.is_empty(), "at least one", 0)?;
    let mut sum = 0.0;
    for logits in examples {
        check("logits", !logits.is_empty(), "at least one", 0)?;
        finite(logits)?;
        let n = logits.len() as f64;
        let center = logits.iter().sum::<f64>() / n;
        sum += (logits.iter().map(|z| (z - center).powi(2)).sum::<f64>() / n).sqrt();
    }
    Ok(sum / examples.len() as f64)
}

fn finite(logits: &[f64]) -> Result<(), Error> {
    match logits.iter().find(|logit| !logit.is_finite()) {
        None => Ok(()),
        Some(found) => check("logits", false, "finite numbers", found),
    }
}

/// Normalized logit-difference decay, in percent.
///
/// ```text
/// NLDD = 100 (LD_clean − LD_corrupt) / |LD_clean|
/// ```
///
/// 100 where a corrupted chain takes the whole difference, more where it turns it around, negative
/// where it helps. None where the clean difference is below 1e-6 in size. Source: arXiv 2602.11201.
///
/// # Examples
/// ```
/// use cot_metrics::anchors::nldd;
///
/// assert_eq!(nldd(4.0, 1.0), Some(75.0));
/// assert_eq!(nldd(-2.0, -3.0), Some(50.0));
/// assert_eq!(nldd(1e-7, 1.0), None);
/// ```
pub fn nldd(clean: f64, corrupt: f64) -> Option<f64> {
    (clean.abs() >= SMALLEST).then(|| 100.0 * (clean - corrupt) / clean.abs())
}

/// Mean decay of pairs of a clean and a corrupted difference, and how many were skipped.
///
/// # Errors
/// [`Error::Setting`] for `settings`.
pub fn summarize_nldd(
    pairs: &[(f64, f64)],
    settings: &Settings,
) -> Result<(Measured, usize), Error> {
    settings.validate()?;
    let values: Vec<f64> =
        pairs.iter().filter_map(|&(clean, corrupt)| nldd(clean, corrupt)).collect();
    Ok((mean(&values, settings), pairs.len() - values.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        assert!(logit_difference(&[1.0, 2.0], &[], 1.0).is_err());
        assert!(logit_difference(&[1.0, 2.0], &[0, 1], 1.0).is_err());
        assert!(logit_difference(&[1.0, 2.0], &[2], 1.0).is_err());
        assert!(logit_difference(&[1.0, f64::NAN], &[0], 1.0).is_err());
        assert!(logit_difference(&[1.0, 2.0], &[0], 0.0).is_err());
        assert!(mean_logit_deviation(&[]).is_err());
        assert!(mean_logit_deviation(&[&[]]).is_err());
    }

    #[test]
    fn the_scale_cancels() {
        let (clean, corrupt) = ([5.0, 1.0, 0.0], [2.0, 3.0, 0.0]);
        let scale = mean_logit_deviation(&[&clean, &corrupt]).unwrap();
        // √(14/3) and √(14/9).
        assert!((scale - 0.5 * ((14.0_f64 / 3.0).sqrt() + (14.0_f64 / 9.0).sqrt())).abs() < 1e-12);
        let at = |scale| {
            let of = |logits: &[f64]| logit_difference(logits, &[0], scale).unwrap();
            nldd(of(&clean), of(&corrupt)).unwrap()
        };
        assert!((at(scale) - 125.0).abs() < 1e-9 && (at(1.0) - 125.0).abs() < 1e-9);
    }

    #[test]
    fn a_wrong_answer_that_grows_is_a_loss_too() {
        assert_eq!(nldd(-2.0, -3.0), Some(50.0));
        assert_eq!(nldd(-2.0, 1.0), Some(-150.0));
    }

    #[test]
    fn what_is_skipped_is_counted() {
        let pairs = [(2.0, 1.0), (1e-7, 5.0), (2.0, 0.0), (-1e-9, 0.0)];
        let (decay, skipped) = summarize_nldd(&pairs, &Settings::default()).unwrap();
        assert_eq!((decay.value(), decay.n(), skipped), (Some(75.0), 2, 2));
    }
}
