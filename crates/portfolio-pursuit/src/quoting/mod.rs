//! Quotes for a stream of customers, each with the reasons for its price.

mod plan;
mod quoter;
mod record;
mod replay;
mod trained;

pub use plan::{Exploration, Plan, WantedCategory};
pub use quoter::Quoter;
pub use record::QuoteRecord;
pub use replay::{Gains, Replay, Replayed};
pub use trained::{TRAINED_VERSION, Trained};
