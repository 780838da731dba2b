//! Behavior of the crate against outside oracles.

#![expect(clippy::unwrap_used, reason = "tests")]

#[cfg(feature = "torch")]
mod optim;
