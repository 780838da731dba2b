#![doc = include_str!("../README.md")]

#[cfg(feature = "torch")]
pub mod device;
pub mod memory;
#[cfg(feature = "torch")]
pub mod optim;
pub mod run;
pub mod seed;
pub mod startup;
pub mod stats;
