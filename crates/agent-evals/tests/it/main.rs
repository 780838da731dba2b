//! The harness from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agent;
mod arms;
mod common;
mod faults;
mod hostile;
mod inspect;
mod journal;
mod kill;
mod properties;
mod readers;
mod sandbox;
mod scale;
mod scenarios;
#[allow(dead_code, reason = "what chat-model's own tests need besides")]
#[path = "../../../chat-model/tests/it/server.rs"]
mod server;
mod view;
