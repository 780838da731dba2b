#![doc = include_str!("../README.md")]

pub mod calibrate;
pub mod cost;
pub mod engine;
mod error;
pub mod evaluate;
pub mod forward;
pub mod gates;
pub mod law;
pub mod model;
pub mod reference;
pub mod rl;
pub mod sites;
pub mod store;
pub mod tokens;

pub use causal_lm::model::Skipped;
pub use engine::{Engine, Rule};
pub use error::Error;
pub use forward::{Exits, Sequences, Traced};
pub use law::ExitLaw;
pub use model::{EarlyExitModel, ExitConfig};
pub use sites::Sites;
