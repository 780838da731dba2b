//! Losses of logits that are never held all at once.

use std::ops::Range;

use tch::{Kind, Tensor};

use crate::CausalLm;

/// A loss of the logits of some states, and how it changes with the states.
#[derive(Debug)]
pub struct HeadLoss {
    /// The loss.
    pub value: f64,
    /// Its gradient with respect to the states, in their shape and type.
    pub gradient: Tensor,
}

impl HeadLoss {
    /// Sends the gradient on from `states`, of which the loss was taken, into whatever they were
    /// computed from. `beside` is a further loss of the same pass, such as that of a value head.
    ///
    /// Nothing happens where the states depend on nothing that asks for a gradient.
    pub fn backward(&self, states: &Tensor, beside: Option<Tensor>) {
        let through_logits =
            states.requires_grad().then(|| (states * &self.gradient).sum(Kind::Float));
        let total = match (through_logits, beside) {
            (Some(a), Some(b)) => a + b,
            (Some(a), None) => a,
            (None, Some(b)) if b.requires_grad() => b,
            (None, _) => return,
        };
        total.backward();
    }
}

/// The sum over chunks of `loss(logits, rows)`, where `logits: [rows, vocab]` in f32 are those of
/// `states[rows]`, and its gradient.
///
/// Each chunk's logits are freed before those of the next are made: a batch of any size needs
/// memory for `chunk_rows × vocab` numbers. Gradients of the head's own weights are added up on the
/// way, if it asks for them.
///
/// # Shapes
/// - `states`: `[n, hidden]`, after the final norm
/// - `loss` returns a scalar
pub fn head_loss(
    lm: &CausalLm,
    states: &Tensor,
    chunk_rows: usize,
    mut loss: impl FnMut(&Tensor, Range<usize>) -> Tensor,
) -> HeadLoss {
    let leaf = states.detach().set_requires_grad(true);
    let n = states.size()[0] as usize;
    let mut value = 0.0;
    let mut start = 0;
    while start < n {
        let end = (start + chunk_rows.max(1)).min(n);
        let logits = lm.logits(&leaf.narrow(0, start as i64, (end - start) as i64));
        let part = loss(&logits, start..end);
        value += part.double_value(&[]);
        part.backward();
        start = end;
    }
    let gradient = leaf.grad();
    let gradient = if gradient.defined() { gradient } else { leaf.zeros_like() };
    HeadLoss { value, gradient: gradient.detach() }
}
