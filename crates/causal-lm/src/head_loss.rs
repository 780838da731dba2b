//! Losses of logits that are never held all at once.

use std::ops::Range;

use tch::{Kind, Tensor};

use crate::CausalLm;

/// A loss of the logits of some states, and how it changes with the states and with the head.
#[derive(Debug)]
pub struct HeadLoss {
    /// The loss.
    pub value: f64,
    /// Its gradient with respect to the states, in their shape and type.
    pub gradient: Tensor,
    /// The head and the gradient with respect to it, where the head asks for one.
    head: Option<[Tensor; 2]>,
}

impl HeadLoss {
    /// Sends the gradient on from `states`, of which the loss was taken, into whatever they were
    /// computed from, and into the head. `beside` is a further loss of the same pass, such as that
    /// of a value head.
    ///
    /// Nothing happens where nothing of all this asks for a gradient.
    pub fn backward(&self, states: &Tensor, beside: Option<Tensor>) {
        // Sums whose gradients are the ones at hand; their values mean nothing.
        let through_states =
            states.requires_grad().then(|| (states * &self.gradient).sum(Kind::Float));
        let through_head = self.head.as_ref().map(|[head, gradient]| {
            head.flatten(0, -1).dot(&gradient.flatten(0, -1)).to_kind(Kind::Float)
        });
        let beside = beside.filter(Tensor::requires_grad);
        let parts = [through_states, through_head, beside].into_iter().flatten();
        if let Some(total) = parts.reduce(|a, b| a + b) {
            total.backward();
        }
    }
}

/// The sum over chunks of `loss(logits, rows)`, where `logits: [rows, vocab]` in f32 are those of
/// `states[rows]`, and its gradient.
///
/// Each chunk's logits are freed before those of the next are made: a batch of any size needs
/// memory for `chunk_rows × vocab` numbers.
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
    in_chunks(lm, states, chunk_rows, |logits, rows| {
        let leaf = logits.set_requires_grad(true);
        let part = tch::with_grad(|| {
            let part = loss(&leaf, rows);
            part.backward();
            part
        });
        let gradient = leaf.grad();
        let gradient = if gradient.defined() { gradient } else { leaf.zeros_like() };
        (part.double_value(&[]), gradient)
    })
}

/// `weight` times the sum of the targets' negative log-likelihoods, in nats, and its gradient
/// `weight · (softmax − onehot)`, which is written over the log-probabilities.
///
/// The same as [`head_loss`] of a cross-entropy, with about half the memory traffic.
///
/// # Shapes
/// - `states`: `[n, hidden]`, after the final norm
/// - `targets`: `[n]`, integers
pub fn nll_head(
    lm: &CausalLm,
    states: &Tensor,
    targets: &Tensor,
    weight: f64,
    chunk_rows: usize,
) -> HeadLoss {
    in_chunks(lm, states, chunk_rows, |logits, rows| {
        let targets = targets.narrow(0, rows.start as i64, rows.len() as i64).unsqueeze(1);
        let mut log_probs = logits.log_softmax(-1, Kind::Float);
        drop(logits);
        let nll = log_probs.gather(1, &targets, false).sum(Kind::Double).neg();
        let one = Tensor::full_like(&targets, 1).to_kind(Kind::Float);
        let mut gradient = log_probs.exp_().scatter_add_(1, &targets, &-one);
        (nll.double_value(&[]) * weight, gradient.g_mul_scalar_(weight))
    })
}

/// Calls `part` with the logits of each chunk, to use as it likes; it returns the chunk's loss and
/// its gradient with respect to the logits.
fn in_chunks(
    lm: &CausalLm,
    states: &Tensor,
    chunk_rows: usize,
    mut part: impl FnMut(Tensor, Range<usize>) -> (f64, Tensor),
) -> HeadLoss {
    let _guard = tch::no_grad_guard();
    let head = lm.head();
    let wants_head = head.requires_grad();
    let n = states.size()[0] as usize;
    let (mut value, mut start) = (0.0, 0);
    let mut gradients = Vec::new();
    let mut head_gradient: Option<Tensor> = None;
    while start < n {
        let end = (start + chunk_rows.max(1)).min(n);
        let states = states.narrow(0, start as i64, (end - start) as i64);
        let (loss, gradient) = part(lm.logits(&states).detach(), start..end);
        value += loss;
        let gradient = gradient.to_kind(head.kind());
        gradients.push(gradient.matmul(head).to_kind(states.kind()));
        if wants_head {
            let of_chunk = gradient.tr().matmul(&states.to_kind(head.kind()));
            head_gradient = Some(match head_gradient {
                None => of_chunk,
                Some(mut sum) => sum.g_add_(&of_chunk),
            });
        }
        start = end;
    }
    let gradient =
        if gradients.is_empty() { states.zeros_like() } else { Tensor::cat(&gradients, 0) };
    let head = head_gradient.map(|g| [head.shallow_clone(), g]);
    HeadLoss { value, gradient, head }
}
