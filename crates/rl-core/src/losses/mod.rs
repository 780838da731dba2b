//! Losses per token, and what to watch beside them.
//!
//! Nothing here is reduced: how tokens are averaged is the trainer's choice, by [`crate::masked`].
//! Gradients flow to the first argument only. What is NaN under the mask must be removed from the
//! arguments by [`crate::masked::keep`] beforehand, not from the loss. The plain forms are in
//! [`crate::reference::losses`].

mod diagnostics;
mod policy;
mod value;

pub use diagnostics::{explained_variance, ratio_stats};
pub use policy::{policy_gradient, ppo_policy, ppo_policy_dual_clip};
pub use value::ppo_value;

pub use crate::reference::losses::{MAX_LOG_RATIO, RatioStats};
