#![doc = include_str!("../README.md")]

pub mod openmp;
pub mod run;
pub mod seed;
