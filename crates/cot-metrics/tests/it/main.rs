//! Integration tests.

#[cfg(feature = "torch")]
mod models;
#[cfg(feature = "torch")]
mod scoring;
