//! What the exits are to be: divergences of early predictions from the teacher's.

use causal_lm::CausalLm;
use rl_core::kl;
use tch::{Kind, Tensor};

use crate::Error;

/// `KL(P‖Q_l)` of every site's prediction from the teacher's, without gradient.
///
/// Sites are read as the student is: through the final norm and the head. The published code leaves
/// the norm out, and so measures a divergence that nobody pays. Logits of `logit_rows` positions are
/// held at once.
///
/// # Shapes
/// - `teacher`: `[n, hidden]`, after the final norm
/// - `site_states`: `[n, hidden]` a site, residual streams
/// - returns: `[n, sites]`, nats, f32
///
/// # Errors
/// [`Error::Math`] if the models' vocabularies differ.
pub fn divergences(
    reference: &CausalLm,
    teacher: &Tensor,
    lm: &CausalLm,
    site_states: &[Tensor],
    logit_rows: usize,
) -> Result<Tensor, Error> {
    let _guard = tch::no_grad_guard();
    let n = teacher.size()[0];
    let chunk = logit_rows.max(1) as i64;
    let mut parts =
        vec![Tensor::zeros([0, site_states.len() as i64], (Kind::Float, teacher.device()))];
    for start in (0..n).step_by(chunk as usize) {
        let len = chunk.min(n - start);
        let target = reference.logits(&teacher.narrow(0, start, len));
        let sites = site_states
            .iter()
            .map(|states| {
                let normed = lm.final_norm().forward(&states.narrow(0, start, len));
                Ok(kl::exact(&target, &lm.logits(&normed))?)
            })
            .collect::<Result<Vec<_>, Error>>()?;
        parts.push(Tensor::stack(&sites, 1));
    }
    Ok(Tensor::cat(&parts, 0))
}

/// `KL(student‖teacher)`, summed over positions: the published loss of the student. Gradient to the
/// student's logits.
///
/// # Shapes
/// - `logits`, `teacher`: `[rows, vocab]`, f32
pub(crate) fn reverse_kl(logits: &Tensor, teacher: &Tensor) -> Tensor {
    let student = logits.log_softmax(-1, Kind::Float);
    (student.exp() * (&student - teacher.log_softmax(-1, Kind::Float))).sum(Kind::Double)
}

/// `KL(teacher‖student)`, summed over positions: what a readout is taught. Gradient to the student's
/// logits.
///
/// # Shapes
/// - `logits`, `teacher`: `[rows, vocab]`, f32
pub(crate) fn forward_kl(logits: &Tensor, teacher: &Tensor) -> Tensor {
    let target = teacher.log_softmax(-1, Kind::Float);
    (target.exp() * (&target - logits.log_softmax(-1, Kind::Float))).sum(Kind::Double)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{kl, softmax};

    #[test]
    fn losses_are_the_plain_divergences() {
        let rows = [[0.3_f64, -1.0, 2.0, 0.5], [1.0, 0.0, -0.5, 0.2]];
        let [a, b] = rows.map(|row| softmax(&row));
        let [x, y] = rows.map(|row| Tensor::from_slice(&row).view([1, 4]).to_kind(Kind::Float));
        let near =
            |t: Tensor, expected: f64| assert!((t.double_value(&[]) - expected).abs() < 1e-5);
        near(reverse_kl(&x, &y), kl(&a, &b));
        near(forward_kl(&x, &y), kl(&b, &a));
    }
}
