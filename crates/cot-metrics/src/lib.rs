#![doc = include_str!("../README.md")]

mod error;
#[cfg(feature = "torch")]
pub mod organisms;
#[cfg(feature = "torch")]
pub mod scoring;

pub use error::Error;
