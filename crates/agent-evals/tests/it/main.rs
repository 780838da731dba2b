//! The harness from outside.

mod agent;
mod common;
mod journal;
mod sandbox;
