//! Reinforcement learning: leave as early as the task allows.
//!
//! Tokens and exits are one joint action. Its log-probability is `log π(y_t | exits) + log q(l_t)`,
//! and the objective the mean over answers of their mean over tokens, weighted by [`credit`].

mod config;
pub mod credit;
mod policy;
mod trainer;
mod verifier;

pub use config::{Baseline, DepthReward, RlConfig, RolloutConfig};
pub use trainer::{Iteration, Report, Rollout, Trainer};
pub use verifier::{Answer, TextVerifier, Verifier};
