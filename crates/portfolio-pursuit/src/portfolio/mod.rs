//! What a firm wants to own: categories of customers, counts of them, a target, and what missing it
//! costs.

mod categories;
mod loss;
mod mean_variance;
mod target;

pub use categories::{Categories, Category, Members};
pub use loss::{Deviation, Loss};
pub use mean_variance::mean_variance;
pub use target::{check_target, published_target};
