//! Gradient descent: AdamW with parameter groups, learning-rate schedules, clipping by global norm.
//!
//! Everything an optimizer remembers can be taken out as named tensors and put back, to the bit, so
//! that a run that was killed goes on as if it had not been.

mod adamw;
mod schedule;

pub use adamw::{AdamW, AdamWConfig, EpsPlacement, ParameterGroup};
pub use schedule::{Decay, Schedule};
use tch::{Kind, Tensor};

/// What can go wrong in a step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting out of its range.
    #[error("{name}: expected {expected}, found {found}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: String,
    },
    /// Two parameters of one name.
    #[error("parameter {name} is given twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A gradient that is NaN or infinite; nothing has been changed.
    #[error(
        "the gradient's norm is {norm} at step {step}: expected a finite number; is the learning \
         rate too high?"
    )]
    NotFinite {
        /// The global norm.
        norm: f64,
        /// Steps done before this one.
        step: u64,
    },
    /// A saved state of other parameters.
    #[error("saved optimizer state: {name}: expected {expected}, found {found}")]
    State {
        /// Name of the tensor.
        name: String,
        /// What these parameters need.
        expected: String,
        /// What the state holds.
        found: String,
    },
}

/// The Euclidean norm of all gradients together; those without a gradient count as zero.
///
/// Squares are summed in f32 (f64 for f64) within a tensor, and in f64 over tensors in their order.
pub fn global_grad_norm<'a>(parameters: impl IntoIterator<Item = &'a Tensor>) -> f64 {
    let _guard = tch::no_grad_guard();
    let squares: Vec<Tensor> = parameters
        .into_iter()
        .map(Tensor::grad)
        .filter(Tensor::defined)
        .map(|grad| {
            let wide = if grad.kind() == Kind::Double { Kind::Double } else { Kind::Float };
            grad.to_kind(wide).norm().to_kind(Kind::Double).square()
        })
        .collect();
    if squares.is_empty() {
        return 0.0;
    }
    Tensor::stack(&squares, 0).sum(Kind::Double).sqrt().double_value(&[])
}

/// Scales all gradients together so that their global norm is at most `max_norm`, and returns the
/// norm before.
///
/// ```text
/// g ← g · min(1, c / (‖g‖ + 1e-6))
/// ```
///
/// As PyTorch's `clip_grad_norm_` computes it. Gradients of a norm that is not finite are left as
/// they are; [`AdamW::step`] is not to be called with them.
pub fn clip_grad_norm(parameters: &[&Tensor], max_norm: f64) -> f64 {
    /// Added by PyTorch to the norm.
    const EPS: f64 = 1e-6;
    let norm = global_grad_norm(parameters.iter().copied());
    let factor = max_norm / (norm + EPS);
    if factor < 1.0 && norm.is_finite() {
        let _guard = tch::no_grad_guard();
        for parameter in parameters {
            let mut grad = parameter.grad();
            if grad.defined() {
                let _ = grad.g_mul_scalar_(factor);
            }
        }
    }
    norm
}
