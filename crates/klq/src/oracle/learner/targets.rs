//! What is made of one sampled sequence: errors, corrections, targets, advantages.
//!
//! Masking a step equals deleting it: the step before it looks past it, and what lies under the mask,
//! be it NaN, reaches no result. Masked results are 0. After the last step the value is 0.

use crate::oracle::Error;

/// One sequence, step by step, under the policy that sampled it or a later one.
#[derive(Debug, Clone, Copy)]
pub struct Steps<'a> {
    /// `r_{t+1}`, reward of the step taken at t, `[time]`.
    pub rewards: &'a [f64],
    /// `V(s_t)`, `[time]`.
    pub values: &'a [f64],
    /// `log(π(a_t|s_t) / π_b(a_t|s_t))`, `[time]`.
    pub log_ratios: &'a [f64],
    /// True where a step counts, `[time]`.
    pub mask: &'a [bool],
}

impl Steps<'_> {
    fn check(&self) -> Result<(), Error> {
        let time = self.rewards.len();
        Error::length("values", self.values.len(), time)?;
        Error::length("log_ratios", self.log_ratios.len(), time)?;
        Error::length("mask", self.mask.len(), time)
    }

    /// `Q(s_t, a_t) = τ log(π/π_b) + V(s_t)` (13).
    fn action_value(&self, t: usize, tau: f64) -> f64 {
        tau * self.log_ratios[t] + self.values[t]
    }
}

/// `δ_t = r_{t+1} + γ V(s_{t+1}) − Q(s_t, a_t)` (14).
///
/// # Errors
/// [`Error::Length`] if the slices are not equally long.
pub fn td_errors(steps: Steps<'_>, gamma: f64, tau: f64) -> Result<Vec<f64>, Error> {
    corrections(steps, gamma, 0.0, tau)
}

/// λ-corrections of KLQ: `Δ_t = δ_t + γ λ Δ_{t+1}`.
///
/// # Errors
/// [`Error::Length`] if the slices are not equally long.
///
/// # Examples
/// ```
/// use klq::oracle::learner::{Steps, corrections};
///
/// // The third step is padding.
/// let steps = Steps {
///     rewards: &[0.0, 1.0, f64::NAN],
///     values: &[0.5, 0.25, f64::NAN],
///     log_ratios: &[1.0, 0.0, f64::NAN],
///     mask: &[true, true, false],
/// };
/// // δ_1 = 1 − 0.25 and δ_0 = 0.25 − (0.1 · 1 + 0.5).
/// let found = corrections(steps, 1.0, 0.5, 0.1)?;
/// assert!((found[0] - (-0.35 + 0.5 * 0.75)).abs() < 1e-15);
/// assert_eq!(found[1..], [0.75, 0.0]);
/// # Ok::<(), klq::oracle::Error>(())
/// ```
pub fn corrections(
    steps: Steps<'_>,
    gamma: f64,
    gae_lambda: f64,
    tau: f64,
) -> Result<Vec<f64>, Error> {
    steps.check()?;
    Ok(scan(steps, gamma, gae_lambda, tau, |_| 1.0))
}

/// λ-corrections from a sequence of another policy, with Retrace's traces.
///
/// ```text
/// c_t = min(clip, π(a_t|s_t) / π_sampler(a_t|s_t))
/// Δ_t = δ_t + γ λ c_{t+1} Δ_{t+1}
/// ```
///
/// The trace is that of the next action, because Δ corrects the value of a pair. Source: arXiv
/// 1606.02647, equation 4, with the errors of KLQ. With log-rhos 0 and a clip of 1 it is [`corrections`].
///
/// # Shapes
/// - `log_rhos`: `[time]`, `log π(a_t|s_t) − log π_sampler(a_t|s_t)`
///
/// # Errors
/// [`Error::Length`] if the slices are not equally long.
pub fn retrace_corrections(
    steps: Steps<'_>,
    log_rhos: &[f64],
    clip: f64,
    gamma: f64,
    gae_lambda: f64,
    tau: f64,
) -> Result<Vec<f64>, Error> {
    steps.check()?;
    Error::length("log_rhos", log_rhos.len(), steps.rewards.len())?;
    Ok(scan(steps, gamma, gae_lambda, tau, |t| log_rhos[t].exp().min(clip)))
}

fn scan(
    steps: Steps<'_>,
    gamma: f64,
    gae_lambda: f64,
    tau: f64,
    trace: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let mut corrections = vec![0.0; steps.rewards.len()];
    let (mut next_value, mut carry) = (0.0, 0.0);
    for t in (0..corrections.len()).rev().filter(|&t| steps.mask[t]) {
        let td_error = steps.rewards[t] + gamma * next_value - steps.action_value(t, tau);
        corrections[t] = td_error + gamma * gae_lambda * carry;
        next_value = steps.values[t];
        carry = trace(t) * corrections[t];
    }
    corrections
}

/// Targets of KLQ: `Ĝ_t = Q(s_t, a_t) + α Δ_t` (7); 0 where masked.
///
/// # Errors
/// [`Error::Length`] if the slices are not equally long.
pub fn targets(
    steps: Steps<'_>,
    corrections: &[f64],
    alpha: f64,
    tau: f64,
) -> Result<Vec<f64>, Error> {
    steps.check()?;
    Error::length("corrections", corrections.len(), steps.rewards.len())?;
    let target = |t: usize| {
        if steps.mask[t] { steps.action_value(t, tau) + alpha * corrections[t] } else { 0.0 }
    };
    Ok((0..corrections.len()).map(target).collect())
}

/// Rewards of PPO, with the estimate k1 of the divergence as a cost: `r_{t+1} − τ log(π/π_b)(a_t|s_t)`;
/// 0 where masked.
///
/// # Errors
/// [`Error::Length`] if the slices are not equally long.
pub fn shaped_rewards(steps: Steps<'_>, tau: f64) -> Result<Vec<f64>, Error> {
    steps.check()?;
    let shaped = |t: usize| {
        if steps.mask[t] { steps.rewards[t] - tau * steps.log_ratios[t] } else { 0.0 }
    };
    Ok((0..steps.rewards.len()).map(shaped).collect())
}

/// Generalized advantage estimates: `δ_t = r_{t+1} + γ V(s_{t+1}) − V(s_t)`, `A_t = δ_t + γ λ A_{t+1}`.
///
/// From [`shaped_rewards`] they equal [`corrections`]. Source: arXiv 1506.02438, §3.
///
/// # Shapes
/// - `rewards`, `values`, `mask`, result: `[time]`
///
/// # Errors
/// [`Error::Length`] if the slices are not equally long.
pub fn gae(
    rewards: &[f64],
    values: &[f64],
    mask: &[bool],
    gamma: f64,
    gae_lambda: f64,
) -> Result<Vec<f64>, Error> {
    Error::length("values", values.len(), rewards.len())?;
    Error::length("mask", mask.len(), rewards.len())?;
    let mut advantages = vec![0.0; rewards.len()];
    let (mut next_value, mut carry) = (0.0, 0.0);
    for t in (0..rewards.len()).rev().filter(|&t| mask[t]) {
        carry = rewards[t] + gamma * next_value - values[t] + gamma * gae_lambda * carry;
        advantages[t] = carry;
        next_value = values[t];
    }
    Ok(advantages)
}

/// Subtracts the mean and divides by the standard deviation (unbiased, plus 1e-8).
///
/// Fewer than two values are left as they are.
pub fn whiten(values: &mut [f64]) {
    let Some((mean, std)) = moments(values) else { return };
    for x in values {
        *x = (*x - mean) / (std + 1e-8);
    }
}

/// Mean and unbiased standard deviation; none for fewer than two values.
pub(super) fn moments(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    (values.len() > 1).then(|| (mean, (squares / (n - 1.0)).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whitening_gives_mean_zero_and_unit_variance() {
        let mut values = [1.0, 4.0, -2.0, 0.5];
        whiten(&mut values);
        let (mean, std) = moments(&values).unwrap();
        assert!(mean.abs() < 1e-15 && (std - 1.0).abs() < 1e-7, "{mean} {std}");
        let mut one = [3.0];
        whiten(&mut one);
        assert_eq!(one[0].to_bits(), 3.0_f64.to_bits());
    }

    #[test]
    fn lengths_are_checked() {
        let steps =
            Steps { rewards: &[0.0; 2], values: &[0.0], log_ratios: &[0.0; 2], mask: &[true; 2] };
        let expected = Error::Length { argument: "values", expected: 2, found: 1 };
        assert_eq!(td_errors(steps, 1.0, 1.0), Err(expected));
    }
}
