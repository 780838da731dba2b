//! Returns of one trajectory.

use crate::{MathError, check};

/// What happened along one trajectory; the meaning is that of the tensors' `returns::Steps`.
///
/// # Shapes
/// All `[time]`.
#[derive(Debug, Clone, Copy)]
pub struct Steps<'a> {
    /// Reward of each step.
    pub rewards: &'a [f64],
    /// Value of the state each step starts from.
    pub values: &'a [f64],
    /// True where a step counts.
    pub mask: &'a [bool],
    /// True where the episode is over after the step; wins over `truncated`.
    pub terminated: Option<&'a [bool]>,
    /// True where the episode was cut off after the step; needs `bootstrap`.
    pub truncated: Option<&'a [bool]>,
    /// Value of the state after each step, looked at where the row was cut off.
    pub bootstrap: Option<&'a [f64]>,
}

/// What follows a valid step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Next {
    /// Another valid step, by its index.
    Step(usize),
    /// Nothing.
    Terminated,
    /// A state that is worth so much.
    Truncated(f64),
}

impl<'a> Steps<'a> {
    /// A trajectory that ends with its last valid step.
    pub fn new(rewards: &'a [f64], values: &'a [f64], mask: &'a [bool]) -> Self {
        Self { rewards, values, mask, terminated: None, truncated: None, bootstrap: None }
    }

    pub(super) fn check(&self) -> Result<(), MathError> {
        let time = self.rewards.len();
        check::length("values", self.values.len(), time)?;
        check::length("mask", self.mask.len(), time)?;
        check::length("terminated", self.terminated.map_or(time, <[bool]>::len), time)?;
        check::length("truncated", self.truncated.map_or(time, <[bool]>::len), time)?;
        check::length("bootstrap", self.bootstrap.map_or(time, <[f64]>::len), time)?;
        if self.truncated.is_some() && self.bootstrap.is_none() {
            return Err(MathError::Missing { argument: "bootstrap", expected: "truncated" });
        }
        Ok(())
    }

    /// The valid steps from last to first, each with what follows it.
    pub(super) fn backward(&self) -> impl Iterator<Item = (usize, Next)> {
        let valid: Vec<usize> = (0..self.mask.len()).filter(|&t| self.mask[t]).collect();
        let after: Vec<Option<usize>> =
            valid.iter().skip(1).copied().map(Some).chain([None]).collect();
        let flag = |flags: Option<&[bool]>, t: usize| flags.is_some_and(|flags| flags[t]);
        let steps = *self;
        valid.into_iter().zip(after).rev().map(move |(t, after)| {
            let next = if flag(steps.terminated, t) {
                Next::Terminated
            } else {
                match (after, steps.bootstrap) {
                    (Some(next), None) => Next::Step(next),
                    (Some(next), Some(_)) if !flag(steps.truncated, t) => Next::Step(next),
                    (_, Some(bootstrap)) => Next::Truncated(bootstrap[t]),
                    (None, None) => Next::Terminated,
                }
            };
            (t, next)
        })
    }
}

/// Discounted sums of the rewards to come: `G_t = r_t + γ G_{t+1}`.
///
/// # Shapes
/// - returns: `[time]`, 0 under the mask
///
/// # Errors
/// [`MathError`] for slices of other lengths, and for a γ outside [0, 1].
///
/// # Examples
/// ```
/// use rl_core::reference::returns::{Steps, discounted_returns};
///
/// let steps = Steps::new(&[1.0, 2.0, 4.0], &[0.0; 3], &[true; 3]);
/// assert_eq!(discounted_returns(&steps, 0.5)?, [3.0, 4.0, 4.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn discounted_returns(steps: &Steps, gamma: f64) -> Result<Vec<f64>, MathError> {
    steps.check()?;
    check::unit("gamma", gamma)?;
    let mut returns = vec![0.0; steps.rewards.len()];
    for (t, next) in steps.backward() {
        let after = match next {
            Next::Step(next) => returns[next],
            Next::Terminated => 0.0,
            Next::Truncated(value) => value,
        };
        returns[t] = steps.rewards[t] + gamma * after;
    }
    Ok(returns)
}

/// λ-returns: `G_t = r_t + γ ((1 − λ) V_{t+1} + λ G_{t+1})`.
///
/// # Shapes
/// - returns: `[time]`, 0 under the mask
///
/// # Errors
/// [`MathError`] for slices of other lengths, and for γ or λ outside [0, 1].
///
/// # Examples
/// ```
/// use rl_core::reference::returns::{Steps, lambda_returns};
///
/// let steps = Steps::new(&[1.0, 2.0], &[0.0, 4.0], &[true; 2]);
/// assert_eq!(lambda_returns(&steps, 1.0, 0.5)?, [4.0, 2.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn lambda_returns(steps: &Steps, gamma: f64, gae_lambda: f64) -> Result<Vec<f64>, MathError> {
    steps.check()?;
    check::unit("gamma", gamma)?;
    check::unit("gae_lambda", gae_lambda)?;
    let mut returns = vec![0.0; steps.rewards.len()];
    for (t, next) in steps.backward() {
        let after = match next {
            Next::Step(next) => {
                (1.0 - gae_lambda) * steps.values[next] + gae_lambda * returns[next]
            }
            Next::Terminated => 0.0,
            Next::Truncated(value) => value,
        };
        returns[t] = steps.rewards[t] + gamma * after;
    }
    Ok(returns)
}
