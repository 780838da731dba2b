//! The properties that market, exact solutions and practice must have.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod experiment;
mod golden;
mod market;
