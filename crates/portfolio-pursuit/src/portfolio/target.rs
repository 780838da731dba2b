//! Where a portfolio should end.

use crate::{Error, stream::Stream};

/// The published draw of a target around the average portfolio at the end of an epoch.
///
/// Per category ⌊2 avg⌋ + 1; where avg is above 10, that or ⌈avg/2⌉ with equal chance.
///
/// # Errors
/// [`Error::Setting`] if an average is negative or not finite.
pub fn published_target(average: &[f64], stream: &mut Stream) -> Result<Vec<f64>, Error> {
    check_counts("average", average)?;
    let target = |&average: &f64| {
        let more = (2.0 * average).floor() + 1.0;
        let fewer = (average / 2.0).ceil();
        if average > 10.0 && stream.below(2) == 0 { fewer } else { more }
    };
    Ok(average.iter().map(target).collect())
}

/// Refuses a target of the wrong length, or with a count that is negative or not finite.
///
/// # Errors
/// [`Error::Length`] and [`Error::Setting`].
pub fn check_target(target: &[f64], categories: usize) -> Result<(), Error> {
    if target.len() != categories {
        return Err(Error::Length { name: "target", expected: categories, found: target.len() });
    }
    check_counts("target", target)
}

fn check_counts(name: &str, counts: &[f64]) -> Result<(), Error> {
    match counts.iter().position(|c| !(c.is_finite() && *c >= 0.0)) {
        None => Ok(()),
        Some(i) => Err(Error::setting(
            format!("{name} of category {i}"),
            "a finite count, 0 or above",
            counts[i],
        )),
    }
}

#[cfg(test)]
mod tests {
    use rl_core::seed::Seed;

    use super::*;

    #[test]
    fn targets_double_or_halve() {
        let mut halved = 0;
        for i in 0..1000 {
            let target =
                published_target(&[3.2, 10.0, 21.5], &mut Stream::at(Seed::new(1), i)).unwrap();
            assert_eq!(target[..2], [7.0, 21.0]);
            assert!(target[2] == 11.0 || target[2] == 44.0);
            halved += u32::from(target[2] == 11.0);
        }
        assert!(halved.abs_diff(500) < 4 * 16, "{halved}");
    }

    #[test]
    fn bad_targets_are_named() {
        assert_eq!(
            check_target(&[1.0], 2).unwrap_err().to_string(),
            "target: expected 2 values, found 1"
        );
        assert_eq!(
            check_target(&[1.0, -2.0], 2).unwrap_err().to_string(),
            "target of category 1: expected a finite count, 0 or above, found -2"
        );
    }
}
