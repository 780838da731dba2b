//! Behavior of the crate as its users see it, one module a theme.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod blocking;
mod cache;
mod common;
mod forms;
mod layers;
mod rate;
mod recorded;
mod thousands;

#[cfg(feature = "openai")]
mod endpoint;
#[cfg(feature = "openai")]
mod server;
