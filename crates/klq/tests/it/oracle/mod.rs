//! Properties of the oracles, over random processes and against enumeration and finite differences.

mod common;
mod estimators;
mod gradients;
mod identities;
mod learning;
mod operators;
mod optimum;
