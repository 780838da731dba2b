//! Returns of trajectories: discounted sums of rewards, and mixtures of them with values.
//!
//! The scans run natively over rows on the CPU, whatever the tensors' device, and their results carry
//! no gradient. The plain forms are in [`crate::reference::returns`].

use tch::Tensor;

use crate::{
    MathError, check,
    scan::{Rule, scan},
};

/// What happened along trajectories, one a row.
///
/// `rewards[t]` follows the action of step t, `values[t]` is the value of the state before it. A step
/// that is masked might as well not be there: the step before it goes on to the next valid one, and
/// nothing under the mask, be it NaN, reaches a result. Results are 0 there.
///
/// # Shapes
/// All `[batch, time]`; numbers all f32 or all f64, flags bool, all on one device.
#[derive(Debug, Clone, Copy)]
pub struct Steps<'a> {
    /// Reward of each step.
    pub rewards: &'a Tensor,
    /// Value of the state each step starts from.
    pub values: &'a Tensor,
    /// True where a step counts.
    pub mask: &'a Tensor,
    /// True where the episode is over after the step: nothing after it is bootstrapped. It wins over
    /// `truncated`.
    pub terminated: Option<&'a Tensor>,
    /// True where the episode was cut off after the step: the value of the state that follows is
    /// taken from `bootstrap`, which must be given.
    pub truncated: Option<&'a Tensor>,
    /// Value of the state after each step, looked at where a row was cut off only. The last valid
    /// step of a row that is neither terminated nor truncated counts as truncated if this is given,
    /// else as terminated.
    pub bootstrap: Option<&'a Tensor>,
}

impl<'a> Steps<'a> {
    /// Trajectories that end with their last valid step.
    pub fn new(rewards: &'a Tensor, values: &'a Tensor, mask: &'a Tensor) -> Self {
        Self { rewards, values, mask, terminated: None, truncated: None, bootstrap: None }
    }

    /// All is of one shape and of the kinds it should be.
    pub(crate) fn check(&self) -> Result<(), MathError> {
        check::rank("rewards", self.rewards, 2)?;
        check::floating("rewards", self.rewards)?;
        check::like("values", self.values, self.rewards)?;
        check::boolean("mask", self.mask, self.rewards)?;
        for (argument, flags) in [("terminated", self.terminated), ("truncated", self.truncated)] {
            if let Some(flags) = flags {
                check::boolean(argument, flags, self.rewards)?;
            }
        }
        match (self.bootstrap, self.truncated) {
            (Some(bootstrap), _) => check::like("bootstrap", bootstrap, self.rewards),
            (None, Some(_)) => {
                Err(MathError::Missing { argument: "bootstrap", expected: "truncated" })
            }
            (None, None) => Ok(()),
        }
    }
}

/// Discounted sums of the rewards to come.
///
/// ```text
/// G_t = r_t + γ G_{t+1}
/// ```
///
/// G after a terminated step is 0, after a truncated one its bootstrap value. Values are not looked
/// at. Source: Sutton and Barto, *Reinforcement Learning*, 2nd ed. (2018), §3.3.
///
/// # Shapes
/// - returns: `[batch, time]`, 0 under the mask, without gradient
///
/// # Errors
/// [`MathError`] for tensors that do not go together, and for a γ outside [0, 1].
///
/// # Examples
/// ```
/// use rl_core::returns::{Steps, discounted_returns};
/// use tch::{Kind, Tensor};
///
/// let rewards = Tensor::from_slice(&[1.0_f32, 2.0, 4.0]).view([1, 3]);
/// let mask = rewards.ones_like().to_kind(Kind::Bool);
/// let returns = discounted_returns(&Steps::new(&rewards, &rewards.zeros_like(), &mask), 0.5)?;
/// assert_eq!(Vec::<f32>::try_from(returns.flatten(0, -1)).unwrap(), [3.0, 4.0, 4.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn discounted_returns(steps: &Steps, gamma: f64) -> Result<Tensor, MathError> {
    steps.check()?;
    check::unit("gamma", gamma)?;
    Ok(scan(steps, None, Rule { next: 0.0, own: 0.0, carry: gamma, gamma }))
}

/// λ-returns: mixtures of n-step returns.
///
/// ```text
/// G_t = r_t + γ ((1 − λ) V_{t+1} + λ G_{t+1})
/// ```
///
/// V and G after a terminated step are 0, after a truncated one both its bootstrap value. With λ = 1
/// these are the discounted returns, with λ = 0 one-step targets; they are
/// [`gae`](crate::advantages::gae) plus value. Source: Sutton and Barto, *Reinforcement Learning*,
/// 2nd ed. (2018), §12.1, in the recursive form.
///
/// # Shapes
/// - returns: `[batch, time]`, 0 under the mask, without gradient
///
/// # Errors
/// [`MathError`] for tensors that do not go together, and for γ or λ outside [0, 1].
///
/// # Examples
/// ```
/// use rl_core::returns::{Steps, lambda_returns};
/// use tch::{Kind, Tensor};
///
/// let rewards = Tensor::from_slice(&[1.0_f32, 2.0]).view([1, 2]);
/// let values = Tensor::from_slice(&[0.0_f32, 4.0]).view([1, 2]);
/// let mask = rewards.ones_like().to_kind(Kind::Bool);
/// let returns = lambda_returns(&Steps::new(&rewards, &values, &mask), 1.0, 0.5)?;
/// assert_eq!(Vec::<f32>::try_from(returns.flatten(0, -1)).unwrap(), [4.0, 2.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn lambda_returns(steps: &Steps, gamma: f64, gae_lambda: f64) -> Result<Tensor, MathError> {
    steps.check()?;
    check::unit("gamma", gamma)?;
    check::unit("gae_lambda", gae_lambda)?;
    let rule =
        Rule { next: gamma * (1.0 - gae_lambda), own: 0.0, carry: gamma * gae_lambda, gamma };
    Ok(scan(steps, None, rule))
}
