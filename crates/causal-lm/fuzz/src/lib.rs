//! What the targets share: the readers, and a bound on what they may allocate.

mod bound;
#[path = "../../tests/it/readers.rs"]
pub mod readers;

pub use bound::{prepare, run};
