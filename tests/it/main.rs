//! The command as a user meets it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agents;
mod arms;
mod bad_input;
mod cot;
mod cot_recorded;
mod crash;
mod disk;
mod early_exit;
mod faults;
mod finetune;
mod generate;
mod guides;
mod judge;
mod klq;
mod portfolio;
mod reproduce;
mod schema;
mod score;
