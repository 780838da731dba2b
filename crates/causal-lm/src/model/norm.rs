//! Root-mean-square and layer norms over the last dimension.

use tch::Tensor;

use crate::kernel::add_rms_norm;

/// A norm with its gain.
#[derive(Debug)]
pub enum NormLayer {
    /// `g · x / √(mean(x²) + ε)`; the mean square is taken in f32.
    Rms {
        /// `[dim]`.
        weight: Tensor,
        /// Added to the mean square.
        eps: f64,
    },
    /// `g · (x − mean) / √(var + ε) + b`.
    Layer {
        /// `[dim]`.
        weight: Tensor,
        /// `[dim]`.
        bias: Tensor,
        /// Added to the variance.
        eps: f64,
    },
}

impl NormLayer {
    /// Normalizes `x: [.., dim]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        match self {
            Self::Rms { weight, eps } => x.rms_norm(weight.size(), Some(weight), *eps),
            Self::Layer { weight, bias, eps } => {
                x.layer_norm(weight.size(), Some(weight), Some(bias), *eps, false)
            }
        }
    }

    /// Adds `delta` to the residual stream `x`, in place if `fused`, and normalizes the sum; returns
    /// both.
    pub(crate) fn add_forward(
        &self,
        x: Tensor,
        delta: Option<&Tensor>,
        fused: bool,
    ) -> (Tensor, Tensor) {
        if fused
            && let Self::Rms { weight, eps } = self
            && let Some(normed) = add_rms_norm(&x, delta, weight, *eps)
        {
            return (x, normed);
        }
        let x = match delta {
            Some(delta) => x + delta,
            None => x,
        };
        let normed = self.forward(&x);
        (x, normed)
    }

    /// Another handle on the same storage.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        self.map(&Tensor::shallow_clone)
    }

    /// The norm whose tensors are those of this one after `change`.
    pub(crate) fn map(&self, change: &impl Fn(&Tensor) -> Tensor) -> Self {
        match self {
            Self::Rms { weight, eps } => Self::Rms { weight: change(weight), eps: *eps },
            Self::Layer { weight, bias, eps } => {
                Self::Layer { weight: change(weight), bias: change(bias), eps: *eps }
            }
        }
    }

    /// The gain, then the bias of a layer norm.
    pub fn parameters(&self) -> impl Iterator<Item = &Tensor> {
        let (weight, bias) = match self {
            Self::Rms { weight, .. } => (weight, None),
            Self::Layer { weight, bias, .. } => (weight, Some(bias)),
        };
        std::iter::once(weight).chain(bias)
    }
}
