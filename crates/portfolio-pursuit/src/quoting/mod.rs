//! Quotes for a stream of customers, each with the reasons for its price.

mod plan;
mod quoter;
mod record;

pub use plan::{Exploration, Plan, WantedCategory};
pub use quoter::Quoter;
pub use record::QuoteRecord;
