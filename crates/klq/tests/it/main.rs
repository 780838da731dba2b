//! Tests over the whole crate, in one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod oracle;
#[cfg(feature = "torch")]
mod rewards;
#[cfg(feature = "torch")]
mod trainer;
