//! What arguments of the mathematics have in common to be checked for.

use crate::MathError;

/// A discount or a trace: between 0 and 1, both included.
pub(crate) fn unit(argument: &'static str, found: f64) -> Result<(), MathError> {
    if (0.0..=1.0).contains(&found) {
        return Ok(());
    }
    Err(MathError::Range { argument, expected: "a number between 0 and 1", found })
}

/// Greater than 0 and finite.
pub(crate) fn positive(argument: &'static str, found: f64) -> Result<(), MathError> {
    if found > 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(MathError::Range { argument, expected: "a finite number above 0", found })
}

/// At least 1: of ratios that are clipped from above only.
pub(crate) fn at_least_one(argument: &'static str, found: f64) -> Result<(), MathError> {
    if found >= 1.0 {
        return Ok(());
    }
    Err(MathError::Range { argument, expected: "a number of at least 1", found })
}

/// `found` values are whole groups of at least `smallest` each.
pub(crate) fn groups(found: usize, group: usize, smallest: usize) -> Result<(), MathError> {
    if group < smallest {
        return Err(MathError::TooFew { argument: "group", expected: smallest, found: group });
    }
    if !found.is_multiple_of(group) {
        return Err(MathError::Group { argument: "rewards", expected: group, found });
    }
    Ok(())
}

/// There are at least `expected` steps that count.
pub(crate) fn count(found: usize, expected: usize) -> Result<(), MathError> {
    if found < expected {
        return Err(MathError::TooFew { argument: "mask", expected, found });
    }
    Ok(())
}

/// A slice is as long as the first.
pub(crate) fn length(
    argument: &'static str,
    found: usize,
    expected: usize,
) -> Result<(), MathError> {
    if found != expected {
        return Err(MathError::Length { argument, expected, found });
    }
    Ok(())
}

#[cfg(feature = "torch")]
pub(crate) use tensors::{boolean, floating, like, logits, rank, same_shape};

#[cfg(feature = "torch")]
mod tensors {
    use tch::{Kind, Tensor};

    use super::MathError;

    /// A tensor of so many dimensions.
    pub(crate) fn rank(
        argument: &'static str,
        tensor: &Tensor,
        expected: usize,
    ) -> Result<(), MathError> {
        if tensor.dim() == expected {
            return Ok(());
        }
        let expected = format!("of {expected} dimensions");
        Err(MathError::Shape { argument, expected, found: shape(tensor) })
    }

    /// A tensor of f32 or f64.
    pub(crate) fn floating(argument: &'static str, tensor: &Tensor) -> Result<(), MathError> {
        match tensor.kind() {
            Kind::Float | Kind::Double => Ok(()),
            found => Err(MathError::Kind {
                argument,
                expected: "Float or Double".into(),
                found: format!("{found:?}"),
            }),
        }
    }

    /// Scores over a last dimension that is not empty, of any kind with a fraction.
    pub(crate) fn logits(argument: &'static str, tensor: &Tensor) -> Result<(), MathError> {
        if !matches!(tensor.kind(), Kind::Half | Kind::BFloat16) {
            floating(argument, tensor)?;
        }
        if tensor.size().last().is_some_and(|&vocab| vocab > 0) {
            return Ok(());
        }
        let expected = "[.., vocab] with at least one token".into();
        Err(MathError::Shape { argument, expected, found: shape(tensor) })
    }

    /// A tensor of the first one's kind and shape.
    pub(crate) fn like(
        argument: &'static str,
        tensor: &Tensor,
        first: &Tensor,
    ) -> Result<(), MathError> {
        kind(argument, tensor, first.kind())?;
        same_shape(argument, tensor, first)
    }

    /// A mask or flags of the first one's shape.
    pub(crate) fn boolean(
        argument: &'static str,
        tensor: &Tensor,
        first: &Tensor,
    ) -> Result<(), MathError> {
        kind(argument, tensor, Kind::Bool)?;
        same_shape(argument, tensor, first)
    }

    fn kind(argument: &'static str, tensor: &Tensor, expected: Kind) -> Result<(), MathError> {
        let found = tensor.kind();
        if found == expected {
            return Ok(());
        }
        Err(MathError::Kind {
            argument,
            expected: format!("{expected:?}"),
            found: format!("{found:?}"),
        })
    }

    /// A tensor of the first one's shape.
    pub(crate) fn same_shape(
        argument: &'static str,
        tensor: &Tensor,
        first: &Tensor,
    ) -> Result<(), MathError> {
        if tensor.size() == first.size() {
            return Ok(());
        }
        Err(MathError::Shape { argument, expected: shape(first), found: shape(tensor) })
    }

    fn shape(tensor: &Tensor) -> String {
        format!("{:?}", tensor.size())
    }
}
