#![doc = include_str!("../README.md")]

#[cfg(feature = "torch")]
pub mod algorithm;
#[cfg(feature = "torch")]
mod check;
#[cfg(feature = "torch")]
mod config;
#[cfg(feature = "torch")]
mod error;
#[cfg(feature = "torch")]
pub mod evaluate;
#[cfg(feature = "torch")]
pub mod grid;
#[cfg(feature = "torch")]
mod held_out;
#[cfg(feature = "torch")]
pub mod judge;
pub mod oracle;
#[cfg(feature = "torch")]
pub mod policy;
#[cfg(feature = "torch")]
pub mod reward;
#[cfg(feature = "torch")]
pub mod rollout;
#[cfg(feature = "torch")]
mod trainer;

#[cfg(feature = "torch")]
pub use algorithm::Algorithm;
#[cfg(feature = "torch")]
pub use check::SelfCheck;
#[cfg(feature = "torch")]
pub use config::{AdaptiveKlConfig, LengthLimit, RolloutConfig, TrainConfig};
#[cfg(feature = "torch")]
pub use error::Error;
#[cfg(feature = "torch")]
pub use held_out::HeldOut;
#[cfg(feature = "torch")]
pub use trainer::{Iteration, Report, Seconds, Trainer};
