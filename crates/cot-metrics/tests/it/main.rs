//! Metrics, edits and readers without a model; scores, organisms and the monitor with one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod algebra;
mod codebook;
mod common;
mod defects;
mod diagnosis;
mod interventions;
#[cfg(feature = "torch")]
mod models;
#[cfg(feature = "torch")]
mod organisms;
#[cfg(feature = "torch")]
mod scoring;
mod toys;
mod transcripts;
