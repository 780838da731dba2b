//! The trainer on a tiny model, and what the algorithms are to each other.

mod common;
mod definitions;
mod identities;
mod invariance;
mod rewards;
mod settings;
mod training;
