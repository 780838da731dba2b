//! What arguments have in common to be checked for.

use super::Error;

/// Values beyond this would overflow once squared and summed.
const LARGEST: f64 = 1e150;

/// There is a value, and each is finite and at most [`LARGEST`] in size.
pub(super) fn values(argument: &'static str, values: &[f64]) -> Result<(), Error> {
    if values.is_empty() {
        return Err(Error::Empty { argument });
    }
    for (index, &found) in values.iter().enumerate() {
        if !found.is_finite() {
            return Err(Error::NotFinite { argument, index, found });
        }
        if found.abs() > LARGEST {
            return Err(Error::Range { argument, found, expected: "at most 1e150 in size" });
        }
    }
    Ok(())
}

/// There are at least `expected`.
pub(super) fn at_least(argument: &'static str, found: usize, expected: usize) -> Result<(), Error> {
    if found < expected {
        return Err(Error::TooFew { argument, found, expected });
    }
    Ok(())
}

/// The second of two arguments is as long as the first.
pub(super) fn length(argument: &'static str, found: usize, expected: usize) -> Result<(), Error> {
    if found != expected {
        return Err(Error::Length { argument, found, expected });
    }
    Ok(())
}

/// A confidence is a probability that leaves both tails something.
pub(super) fn confidence(confidence: f64) -> Result<(), Error> {
    if confidence > 0.0 && confidence < 1.0 {
        return Ok(());
    }
    Err(Error::Range {
        argument: "confidence",
        found: confidence,
        expected: "a number between 0 and 1, both excluded",
    })
}

/// Two slices of values of equal length.
pub(super) fn pairs(a: &[f64], b: &[f64]) -> Result<(), Error> {
    values("a", a)?;
    length("b", b.len(), a.len())?;
    values("b", b)
}
