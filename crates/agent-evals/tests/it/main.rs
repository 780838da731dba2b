//! The harness from outside.

mod agent;
mod common;
mod inspect;
mod journal;
mod sandbox;
