//! Advantages of one trajectory, and of groups of completions.

use super::returns::{Next, Steps};
use crate::{MathError, check};

/// Generalized advantage estimates: `δ_t = r_t + γ V_{t+1} − V_t`, `A_t = δ_t + γ λ A_{t+1}`.
///
/// # Shapes
/// - returns: `[time]`, 0 under the mask
///
/// # Errors
/// [`MathError`] for slices of other lengths, and for γ or λ outside [0, 1].
///
/// # Examples
/// ```
/// use rl_core::reference::{advantages::gae, returns::Steps};
///
/// let steps = Steps::new(&[0.0, 2.0], &[0.5, 1.0], &[true; 2]);
/// assert_eq!(gae(&steps, 1.0, 0.5)?, [1.0, 1.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn gae(steps: &Steps, gamma: f64, gae_lambda: f64) -> Result<Vec<f64>, MathError> {
    check::unit("gae_lambda", gae_lambda)?;
    traced(steps, gamma, |_| gae_lambda)
}

/// One-step temporal-difference errors: `δ_t = r_t + γ V_{t+1} − V_t`.
///
/// # Shapes
/// - returns: `[time]`, 0 under the mask
///
/// # Errors
/// [`MathError`] for slices of other lengths, and for a γ outside [0, 1].
///
/// # Examples
/// ```
/// use rl_core::reference::{advantages::td_errors, returns::Steps};
///
/// let steps = Steps::new(&[0.0, 2.0], &[0.5, 1.0], &[true; 2]);
/// assert_eq!(td_errors(&steps, 1.0)?, [0.5, 1.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn td_errors(steps: &Steps, gamma: f64) -> Result<Vec<f64>, MathError> {
    steps.check()?;
    check::unit("gamma", gamma)?;
    let mut errors = vec![0.0; steps.rewards.len()];
    for (t, next) in steps.backward() {
        let after = match next {
            Next::Step(next) => steps.values[next],
            Next::Terminated => 0.0,
            Next::Truncated(value) => value,
        };
        errors[t] = steps.rewards[t] + gamma * after - steps.values[t];
    }
    Ok(errors)
}

/// Retrace corrections: `Δ_t = δ_t + γ λ min(clip, exp(log ρ_{t+1})) Δ_{t+1}`.
///
/// # Shapes
/// - `log_rhos`: `[time]`
/// - returns: `[time]`, 0 under the mask
///
/// # Errors
/// [`MathError`] for slices of other lengths, for γ or λ outside [0, 1], and for a clip that is not
/// positive.
///
/// # Examples
/// ```
/// use rl_core::reference::{advantages::retrace, returns::Steps};
///
/// let steps = Steps::new(&[0.0, 2.0], &[0.5, 1.0], &[true; 2]);
/// assert_eq!(retrace(&steps, &[9.0, 0.5_f64.ln()], 1.0, 1.0, 1.0)?, [1.0, 1.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn retrace(
    steps: &Steps,
    log_rhos: &[f64],
    gamma: f64,
    lambda: f64,
    clip: f64,
) -> Result<Vec<f64>, MathError> {
    check::length("log_rhos", log_rhos.len(), steps.rewards.len())?;
    check::unit("lambda", lambda)?;
    check::positive("clip", clip)?;
    traced(steps, gamma, |next| lambda * log_rhos[next].exp().min(clip))
}

/// `X_t = δ_t + γ trace(t + 1) X_{t+1}`.
fn traced(steps: &Steps, gamma: f64, trace: impl Fn(usize) -> f64) -> Result<Vec<f64>, MathError> {
    let mut advantages = td_errors(steps, gamma)?;
    for (t, next) in steps.backward() {
        if let Next::Step(next) = next {
            advantages[t] += gamma * trace(next) * advantages[next];
        }
    }
    Ok(advantages)
}

/// Rewards minus the mean of the others in their group: `A_i = r_i − Σ_{j≠i} r_j / (G − 1)`.
///
/// # Shapes
/// - `rewards`: `[n]`, the completions of a prompt next to each other, `group` of them
/// - returns: `[n]`
///
/// # Errors
/// [`MathError`] for a group of fewer than two, and an n that is no multiple of it.
///
/// # Examples
/// ```
/// use rl_core::reference::advantages::leave_one_out;
///
/// assert_eq!(leave_one_out(&[1.0, 2.0, 6.0], 3)?, [-3.0, -1.5, 4.5]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn leave_one_out(rewards: &[f64], group: usize) -> Result<Vec<f64>, MathError> {
    check::groups(rewards.len(), group, 2)?;
    let each = |rewards: &[f64], i: usize| {
        let others: f64 = rewards[..i].iter().chain(&rewards[i + 1..]).sum();
        rewards[i] - others / (group as f64 - 1.0)
    };
    Ok(rewards.chunks(group).flat_map(|rewards| (0..group).map(|i| each(rewards, i))).collect())
}

/// Rewards minus the mean of their group.
///
/// # Shapes
/// - `rewards`: `[n]`, the completions of a prompt next to each other, `group` of them
/// - returns: `[n]`
///
/// # Errors
/// [`MathError`] for a group of none, and an n that is no multiple of it.
///
/// # Examples
/// ```
/// use rl_core::reference::advantages::group_centered;
///
/// assert_eq!(group_centered(&[1.0, 2.0, 6.0], 3)?, [-2.0, -1.0, 3.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn group_centered(rewards: &[f64], group: usize) -> Result<Vec<f64>, MathError> {
    check::groups(rewards.len(), group, 1)?;
    Ok(rewards.chunks(group).flat_map(centered).collect())
}

/// Rewards in standard deviations from the mean of their group:
/// `A_i = (r_i − mean r) / max(std r, std_floor)`, the unbiased std.
///
/// # Shapes
/// - `rewards`: `[n]`, the completions of a prompt next to each other, `group` of them
/// - returns: `[n]`
///
/// # Errors
/// [`MathError`] for a group of fewer than two, an n that is no multiple of it, and a floor that is
/// not positive.
///
/// # Examples
/// ```
/// use rl_core::reference::advantages::group_normalized;
///
/// assert_eq!(group_normalized(&[1.0, 3.0, 5.0], 3, 1e-4)?, [-1.0, 0.0, 1.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn group_normalized(
    rewards: &[f64],
    group: usize,
    std_floor: f64,
) -> Result<Vec<f64>, MathError> {
    check::groups(rewards.len(), group, 2)?;
    check::positive("std_floor", std_floor)?;
    let each = |rewards: &[f64]| {
        let centered = centered(rewards);
        let squares: f64 = centered.iter().map(|x| x * x).sum();
        let scale = (squares / (group as f64 - 1.0)).sqrt().max(std_floor);
        centered.into_iter().map(move |x| x / scale)
    };
    Ok(rewards.chunks(group).flat_map(each).collect())
}

/// Less the first, which leaves equal rewards exactly 0, and then less the mean.
fn centered(rewards: &[f64]) -> Vec<f64> {
    let shifted: Vec<f64> = rewards.iter().map(|r| r - rewards[0]).collect();
    let mean = shifted.iter().sum::<f64>() / shifted.len() as f64;
    shifted.into_iter().map(|x| x - mean).collect()
}
