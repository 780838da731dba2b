#![doc = include_str!("../README.md")]

mod epoch;
mod error;
pub mod experiment;
pub mod market;
pub mod models;
pub mod policy;
pub mod portfolio;
pub mod pursuit;
mod schema;
mod stream;

pub use epoch::{Books, EpochConfig, Firm, Step, run_epoch, run_epochs};
pub use error::Error;
pub use market::{MarketModel, SyntheticConfig, SyntheticMarket};
pub use policy::{Enquiry, Outcome, Policy};
pub use schema::{Column, Kind, Schema};
pub use stream::Stream;
