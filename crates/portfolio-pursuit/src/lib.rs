#![doc = include_str!("../README.md")]

pub mod baseline;
pub mod customers;
mod epoch;
mod error;
pub mod exact;
pub mod experiment;
pub mod market;
pub mod models;
pub mod next_value;
pub mod policy;
pub mod portfolio;
pub mod practice;
pub mod pursuit;
pub mod quoting;
mod schema;
mod stream;

pub use epoch::{Books, EpochConfig, Firm, Step, run_epoch, run_epochs};
pub use error::Error;
pub use market::{MarketModel, SyntheticConfig, SyntheticMarket};
pub use policy::{Enquiry, Outcome, Policy};
pub use schema::{Column, Kind, Schema};
pub use stream::Stream;
