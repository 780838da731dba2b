#![doc = include_str!("../README.md")]

#[cfg(feature = "torch")]
pub mod advantages;
mod check;
pub mod contain;
#[cfg(feature = "torch")]
pub mod device;
mod error;
pub mod kl;
#[cfg(feature = "torch")]
pub mod losses;
#[cfg(feature = "torch")]
pub mod masked;
pub mod memory;
pub mod monitor;
#[cfg(feature = "torch")]
pub mod optim;
pub mod reference;
#[cfg(feature = "torch")]
pub mod returns;
pub mod run;
#[cfg(feature = "torch")]
mod scan;
pub mod seed;
#[cfg(feature = "torch")]
mod slices;
pub mod startup;
pub mod stats;

pub use error::MathError;
