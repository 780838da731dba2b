//! What a pricing team must be able to promise and to show: bounds on single prices, limits held
//! jointly by all of them, a record of every quote, and what another policy would have earned.

mod bounds;
mod dual;
mod joint;
mod logged;
mod off_policy;

pub use bounds::{Bound, PriceLimits, PriceRange};
pub use joint::{Joint, JointLimits, Ladder, Rung, ShadowPrices, hold_jointly};
pub use logged::{Alternative, stand_in};
pub use off_policy::{
    OffPolicy, doubly_robust, importance_sampling, kernel_weights, self_normalized,
};
