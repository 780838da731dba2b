//! Learners on tables: logits and values of every state, trained from sampled rollouts.
//!
//! [`train`] samples rollouts, freezes what was computed from them, and makes several epochs of steps on
//! shuffled mini-batches. What differs between [`Klq`] and [`Ppo`] is the two functions of [`Method`]:
//! what is frozen, and one loss. Anyone else's loss can be put to the same test by implementing it.

mod klq;
mod optimizer;
mod parameters;
mod ppo;
mod rollout;
mod targets;
mod train;

pub use klq::{Clip, Corrections, Klq, Penalty, Replay, TargetScale};
pub use optimizer::{Optimizer, OptimizerConfig};
pub use parameters::{Parameters, Start};
pub use ppo::{Advantages, Ppo, PpoLoss};
pub use rollout::{Rollouts, sample};
pub use targets::{
    Steps, corrections, gae, retrace_corrections, shaped_rewards, targets, td_errors, whiten,
};
pub use train::{Method, Point, Run, Sample, Schedule, TrainConfig, train};
