//! Instances small enough to be solved exactly: the oracle of every algorithm.

mod evaluate;
mod fitted;
mod instance;
mod solve;
mod table;

pub use evaluate::{Evaluation, evaluate, simulate};
pub use fitted::{Fitted, solve_fitted};
pub use instance::{Acceptance, CustomerType, Instance};
pub use solve::{Solution, bellman_residual, solve};
pub use table::Table;
