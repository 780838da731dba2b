#![doc = include_str!("../README.md")]

pub mod anchors;
mod arm;
pub mod codebook;
pub mod diagnosis;
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
pub mod toys;
mod transcript;
pub mod transcripts;

pub use arm::Arm;
pub use error::Error;
pub use measured::{Measured, Undefined};
pub use plan::{ArmText, Edits, Plan, Prompts, Scorer, measure, plan};
pub use record::{AnswerScore, Outcome, Record};
pub use transcript::Transcript;
