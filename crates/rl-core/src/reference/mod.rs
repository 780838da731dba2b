//! The mathematics on plain slices of `f64`, each written as it is defined.
//!
//! These are what the tensor functions are tested against, and what small problems without tensors
//! use. They need no libtorch. A scan works on one row, everything else on one flat slice.

pub mod advantages;
pub mod kl;
pub mod losses;
pub mod masked;
pub mod returns;
