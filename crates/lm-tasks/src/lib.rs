#![doc = include_str!("../README.md")]

mod dataset;
mod error;
mod format;
mod layout;
mod options;
pub mod own;
pub mod preferences;
pub mod prompts;
mod read;
pub mod reasoning;
mod turn;

pub use dataset::{Dataset, Item, Provenance, Split, SplitRule, Splits};
pub use error::{Error, Place, RowError};
pub use layout::Layout;
pub use options::{BadRows, ReadOptions, Summaries, Turns};
pub use preferences::PreferencePair;
pub use prompts::{Input, Post, Prompt};
pub use turn::{Role, Turn};
