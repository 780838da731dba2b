//! From a firm's own history to its offers: market model, conversion model, bids.
//!
//! [`StructuralBids`] are ours, [`PublishedBids`] the published ones; whatever a policy does, it does
//! through the [`Bids`] of either.

mod bids;
mod forest;
mod history;
mod inputs;
mod linear_algebra;
mod network;
mod process;
mod published;
mod ridge;
mod scaling;
mod structural;
mod structural_bids;

pub use bids::{Bids, Mixture, OFFERS};
pub use forest::{Forest, ForestConfig};
pub use history::History;
pub use network::{Loss, Network, NetworkConfig};
pub use process::GaussianProcess;
pub use published::{PublishedBids, PublishedBidsConfig, PublishedProspect};
pub use ridge::RidgeMarket;
pub use structural::{Sensitivity, StructuralConfig, StructuralConversion};
pub use structural_bids::{StructuralBids, StructuralBidsConfig, StructuralProspect};
