//! Behavior of the crate against outside oracles.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod math;
#[cfg(feature = "torch")]
mod optim;
mod stats_golden;
mod stats_identities;
