use tch::{Kind, Tensor};

use crate::{MathError, check};

/// Rewards minus the mean of the others in their group.
///
/// ```text
/// A_i = r_i − Σ_{j≠i} r_j / (G − 1) = G/(G − 1) (r_i − mean r)
/// ```
///
/// The baseline does not depend on the completion it is for, so the policy gradient stays unbiased.
/// Source: Kool, van Hoof and Welling, *Buy 4 REINFORCE samples, get a baseline for free!* (2019);
/// arXiv 2402.14740, §3.2.
///
/// # Shapes
/// - `rewards`: `[n]`, the completions of a prompt next to each other, `group` of them
/// - returns: `[n]`, without gradient
///
/// # Errors
/// [`MathError`] for a tensor of another rank or kind, a group of fewer than two, and an n that is
/// no multiple of it.
///
/// # Examples
/// ```
/// use rl_core::advantages::leave_one_out;
/// use tch::Tensor;
///
/// let advantages = leave_one_out(&Tensor::from_slice(&[1.0_f32, 2.0, 6.0]), 3)?;
/// assert_eq!(Vec::<f32>::try_from(advantages).unwrap(), [-3.0, -1.5, 4.5]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn leave_one_out(rewards: &Tensor, group: usize) -> Result<Tensor, MathError> {
    let grouped = grouped(rewards, group, 2)?;
    let others =
        (grouped.sum_dim_intlist(-1, true, None::<Kind>) - &grouped) / (group as f64 - 1.0);
    Ok((grouped - others).flatten(0, -1))
}

/// Rewards minus the mean of their group.
///
/// ```text
/// A_i = r_i − mean r
/// ```
///
/// [`group_normalized`] without the division, which weighs prompts by how much their completions
/// agree. Source: arXiv 2503.20783, §3.2.
///
/// # Shapes
/// - `rewards`: `[n]`, the completions of a prompt next to each other, `group` of them
/// - returns: `[n]`, without gradient
///
/// # Errors
/// [`MathError`] for a tensor of another rank or kind, a group of none, and an n that is no multiple
/// of it.
///
/// # Examples
/// ```
/// use rl_core::advantages::group_centered;
/// use tch::Tensor;
///
/// let advantages = group_centered(&Tensor::from_slice(&[1.0_f32, 2.0, 6.0]), 3)?;
/// assert_eq!(Vec::<f32>::try_from(advantages).unwrap(), [-2.0, -1.0, 3.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn group_centered(rewards: &Tensor, group: usize) -> Result<Tensor, MathError> {
    let grouped = grouped(rewards, group, 1)?;
    let mean = grouped.mean_dim(-1, true, None::<Kind>);
    Ok((grouped - mean).flatten(0, -1))
}

/// Rewards in standard deviations from the mean of their group.
///
/// ```text
/// A_i = (r_i − mean r) / max(std r, std_floor)
/// ```
///
/// The standard deviation is the unbiased one. The published form divides by std r + 1e-4 instead; a
/// floor leaves groups that do differ as they are. Where all rewards of a group are equal the result
/// is exactly 0. Source: arXiv 2402.03300, §4.1.2.
///
/// # Shapes
/// - `rewards`: `[n]`, the completions of a prompt next to each other, `group` of them
/// - returns: `[n]`, without gradient
///
/// # Errors
/// [`MathError`] for a tensor of another rank or kind, a group of fewer than two, an n that is no
/// multiple of it, and a floor that is not positive.
///
/// # Examples
/// ```
/// use rl_core::advantages::group_normalized;
/// use tch::Tensor;
///
/// let rewards = Tensor::from_slice(&[1.0_f32, 3.0, 5.0, 7.0, 7.0, 7.0]);
/// let advantages = group_normalized(&rewards, 3, 1e-4)?;
/// assert_eq!(Vec::<f32>::try_from(advantages).unwrap(), [-1.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn group_normalized(
    rewards: &Tensor,
    group: usize,
    std_floor: f64,
) -> Result<Tensor, MathError> {
    let grouped = grouped(rewards, group, 2)?;
    check::positive("std_floor", std_floor)?;
    let mean = grouped.mean_dim(-1, true, None::<Kind>);
    let std = grouped.std_dim(-1, true, true).clamp_min(std_floor);
    Ok(((grouped - mean) / std).flatten(0, -1))
}

/// `[n / group, group]`, less the first of each group: a shift changes no advantage, and equal rewards
/// become exact zeros.
fn grouped(rewards: &Tensor, group: usize, smallest: usize) -> Result<Tensor, MathError> {
    check::rank("rewards", rewards, 1)?;
    check::floating("rewards", rewards)?;
    check::groups(rewards.numel(), group, smallest)?;
    let grouped = rewards.detach().reshape([-1, group as i64]);
    let first = grouped.narrow(-1, 0, 1);
    Ok(grouped - first)
}
