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

/// A loss of the log-probabilities of given tokens, and these.
#[derive(Debug)]
pub struct LogProbLoss {
    /// The loss and its gradient.
    pub head: HeadLoss,
    /// Log-probabilities of the targets, `[n]`, f32, without gradient.
    pub log_probs: Tensor,
}

/// The sum over chunks of `loss(log_probs, rows)`, where `log_probs: [rows]` are those of
/// `targets[rows]` under `softmax(logits / temperature)`, and its gradient, with
/// `d log_probs / d logits = (onehot − softmax) / temperature` written over the log-softmax.
///
/// What [`head_loss`] would give, with about half the memory traffic. `loss` may send gradients into
/// leaves of its own beside `log_probs`.
///
/// # Shapes
/// - `states`: `[n, hidden]`, after the final norm
/// - `targets`: `[n]`, integers
/// - `loss` returns a scalar
pub fn log_prob_head(
    lm: &CausalLm,
    states: &Tensor,
    targets: &Tensor,
    temperature: f64,
    chunk_rows: usize,
    mut loss: impl FnMut(&Tensor, Range<usize>) -> Tensor,
) -> LogProbLoss {
    let mut all = Vec::new();
    let head = in_chunks(lm, states, chunk_rows, |mut logits, rows| {
        let targets = targets.narrow(0, rows.start as i64, rows.len() as i64).unsqueeze(1);
        if (temperature - 1.0).abs() > 0.0 {
            logits /= temperature;
        }
        let mut log_softmax = logits.log_softmax(-1, Kind::Float);
        drop(logits);
        let log_probs = log_softmax.gather(1, &targets, false).squeeze_dim(1);
        all.push(log_probs.copy());
        let leaf = log_probs.set_requires_grad(true);
        let part = tch::with_grad(|| {
            let part = loss(&leaf, rows);
            if part.requires_grad() {
                part.backward();
            }
            part
        });
        let weight = leaf.grad();
        let weight = if weight.defined() { weight } else { leaf.zeros_like() };
        let weight = (weight / temperature).unsqueeze(1);
        let gradient = log_softmax.exp_().g_mul_(&-&weight).scatter_add_(1, &targets, &weight);
        (part.double_value(&[]), gradient)
    });
    let log_probs = if all.is_empty() {
        states.new_zeros([0], (Kind::Float, states.device()))
    } else {
        Tensor::cat(&all, 0)
    };
    LogProbLoss { head, log_probs }
}

/// `weight` times the sum of the targets' negative log-likelihoods, in nats, and its gradient.
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
    let nll = |log_probs: &Tensor, _| log_probs.sum(Kind::Double) * -weight;
    log_prob_head(lm, states, targets, 1.0, chunk_rows, nll).head
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
