//! A decoder language model on libtorch.
pub mod config;
