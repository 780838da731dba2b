//! Behavior of the crate as its users see it, one module a theme.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_rows;
mod common;
mod hostile;
mod layouts;
mod own;
mod reasoning;
mod round_trip;
mod split;
