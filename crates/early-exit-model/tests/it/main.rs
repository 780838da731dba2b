//! Tests over the whole crate, in one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::float_cmp, reason = "what must be equal to the bit is compared to the bit")]

mod calibrate;
mod common;
mod engine;
mod evaluate;
mod forward;
mod gradients;
mod law;
mod naive;
mod rl;
mod store;
