//! The harness from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agent;
mod common;
mod inspect;
mod journal;
mod sandbox;
mod scenarios;
