//! A matrix with an optional bias, applied to the last dimension.

use tch::{Kind, Tensor};

use crate::{
    kernel::PackedMatrix,
    lora::{Pair, Part, join},
};

/// `y = x Wᵀ + b`.
#[derive(Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Option<Tensor>,
    /// The weight once more, arranged for products of few rows without gradient.
    packed: Option<PackedMatrix>,
}

impl Linear {
    /// A map of these tensors.
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias, packed: None }
    }

    /// Applies the map to `x: [.., in]`, giving `[.., out]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        match self.packed.as_ref().and_then(|p| p.apply(x, false)) {
            None => x.linear(&self.weight, self.bias.as_ref()),
            Some(y) => match &self.bias {
                None => y,
                Some(bias) => y + bias,
            },
        }
    }

    /// As [`Linear::forward`], with low-rank additions to rows, which `parts` cover from the first
    /// on.
    pub(crate) fn forward_adapted(&self, x: &Tensor, parts: &[Part<'_>]) -> Tensor {
        let Some([a, b]) = join(parts, x.kind()) else { return self.forward(x) };
        let mut size = x.size();
        let x = x.flatten(0, -2); // [tokens, in]
        let low = x.linear::<&Tensor>(&a, None); // [tokens, ranks]
        // In place, and not through a view: neither pass then copies what is as large as the output.
        let y = self.forward(&x).addmm_(&low, &b.tr()); // [tokens, out]
        if let Some(last) = size.last_mut() {
            *last = self.out_dim();
        }
        y.view(&size[..])
    }

    /// Arranges the weight for decoding, if this machine has a kernel for it.
    ///
    /// Later changes of the weight do not reach the arranged copy.
    pub fn pack(&mut self) {
        self.packed = PackedMatrix::pack(&self.weight);
    }

    /// The map to some of the outputs only, on the same storage.
    ///
    /// # Panics
    /// If there are no such outputs.
    #[must_use]
    pub fn rows(&self, start: i64, len: i64) -> Self {
        Self {
            weight: self.weight.narrow(0, start, len),
            bias: self.bias.as_ref().map(|bias| bias.narrow(0, start, len)),
            packed: self.packed.as_ref().and_then(|packed| packed.rows(start, len)),
        }
    }

    /// Adds low-rank products to rows of the weight, each from a row on, in a copy of it.
    pub(crate) fn add_rows(&mut self, parts: &[(usize, &Option<Pair>)]) {
        if parts.iter().all(|(_, pair)| pair.is_none()) {
            return;
        }
        let sum = self.weight.to_kind(Kind::Float).copy();
        for (row, pair) in parts {
            let Some(pair) = pair else { continue };
            let product = pair.product();
            let mut rows = sum.narrow(0, *row as i64, product.size()[0]);
            rows += product;
        }
        self.weight = sum.to_kind(self.weight.kind());
        self.packed = None;
    }

    /// Another handle on the same storage.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        Self {
            weight: self.weight.shallow_clone(),
            bias: self.bias.as_ref().map(Tensor::shallow_clone),
            packed: self.packed.as_ref().map(PackedMatrix::shallow_clone),
        }
    }

    /// The map whose tensors are those of this one after `change`, not arranged for decoding.
    pub(crate) fn map(&self, change: &impl Fn(&Tensor) -> Tensor) -> Self {
        Self::new(change(&self.weight), self.bias.as_ref().map(change))
    }

    /// The tensors a full fine-tuning trains: the weight, then the bias.
    pub fn parameters(&self) -> impl Iterator<Item = &Tensor> {
        std::iter::once(&self.weight).chain(self.bias.as_ref())
    }

    /// Number of outputs.
    pub fn out_dim(&self) -> i64 {
        self.weight.size()[0]
    }
}
