//! The harness from outside.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agent;
mod arms;
mod asked;
mod combinations;
mod common;
mod faults;
mod hostile;
mod inspect;
mod journal;
mod kill;
mod properties;
#[expect(unreachable_pub, reason = "the fuzz targets need it")]
mod readers;
mod sandbox;
mod scale;
mod scenarios;
#[allow(dead_code, reason = "what chat-model's own tests need besides")]
#[path = "../../../chat-model/tests/it/server.rs"]
mod server;
mod view;
