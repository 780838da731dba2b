//! Logs in the form of Inspect, version 2, written and read.
//!
//! One log is one scenario with one agent. Personas are told apart in a sample's id, which is
//! `SAMPLE@PERSONA` if the run has several, and in its metadata.
//!
//! A verdict that is no number is the bare token `NaN`, which Inspect takes for unscored; what it was
//! stands in the score's metadata under `verdict`, and a sample that failed has an `error`.

mod export;
mod import;
mod json;
mod sample;
mod validate;

pub use export::{LogFormat, export};
pub use import::{Imported, InspectLog};
pub use validate::validate;

/// The schema's version.
pub const SCHEMA_VERSION: u64 = 2;
