#![doc = include_str!("../README.md")]

mod arm;
mod error;
pub mod interventions;
mod measured;
pub mod metrics;
pub mod monitor;
#[cfg(feature = "torch")]
pub mod organisms;
mod plan;
mod record;
#[cfg(feature = "torch")]
pub mod scoring;
pub mod tokens;
mod transcript;

pub use arm::Arm;
pub use error::Error;
pub use measured::{Measured, Undefined};
pub use plan::{ArmText, Edits, Plan, Prompts, Scorer, measure, plan};
pub use record::{AnswerScore, Outcome, Record};
pub use transcript::Transcript;
