//! Rewards that come from outside.

mod classifier;
mod program;
