//! Tests over the whole crate, in one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod calibrate;
mod common;
mod engine;
mod forward;
mod gradients;
mod law;
mod naive;
mod rl;
mod store;
