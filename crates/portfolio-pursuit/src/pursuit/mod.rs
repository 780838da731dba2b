//! Winning the customers that are wanted: what a sale is worth beside its profit.
//!
//! A [`Pursuit`] says that worth, m; the [`Bids`](crate::models::Bids) make an offer of it at `k = 1 − m/C`:
//!
//! - [`TablePursuit`]: ours, a table of value for each category
//! - [`BackwardPursuit`]: the published backward induction with a linear step, or with hinges
//! - [`StaticPursuit`]: constant worths that are best on average, worked out once or again and again
//! - [`PacingPursuit`]: a controller that keeps counts on the way to where the static plan ends
//! - [`MirrorPursuit`]: dual mirror descent
//! - [`NoPursuit`]: profit alone
//!
//! [`UpperBound`] says what none of them can exceed.

mod backward;
mod fluid;
mod goal;
mod grid;
mod instance;
mod mirror;
mod pacing;
mod policy;
mod responses;
mod table;
mod upper_bound;

pub use backward::{BackwardConfig, BackwardPursuit, Step};
pub use fluid::{FluidConfig, StaticPursuit};
pub use goal::Goal;
pub use instance::InstanceBids;
pub use mirror::{MirrorConfig, MirrorPursuit};
pub use pacing::{PacingConfig, PacingPursuit};
pub use policy::{NoPursuit, PursuitPolicy};
pub use responses::{Response, Responses};
pub use table::{TableConfig, TablePursuit};
pub use upper_bound::{UpperBound, UpperBoundConfig};

use crate::portfolio::Members;

/// A way of saying what a sale is worth beside its profit.
pub trait Pursuit: Send {
    /// m, £, of a sale to customer `time` while the portfolio is ρ: above 0 if it is wanted.
    ///
    /// Of a customer in no category it is 0, exactly.
    fn worth(&mut self, members: Members, portfolio: &[u32], time: u32) -> f64;

    /// Learns whether that customer was won.
    fn observe(&mut self, members: Members, won: bool, time: u32) {
        let _ = (members, won, time);
    }
}

impl<P: Pursuit + ?Sized> Pursuit for Box<P> {
    fn worth(&mut self, members: Members, portfolio: &[u32], time: u32) -> f64 {
        (**self).worth(members, portfolio, time)
    }

    fn observe(&mut self, members: Members, won: bool, time: u32) {
        (**self).observe(members, won, time);
    }
}

#[cfg(test)]
mod golden;
