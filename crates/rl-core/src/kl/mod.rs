//! Kullback–Leibler divergence of a policy π from a reference π₀, estimated from sampled tokens or
//! exact, and a coefficient on it that adapts.
//!
//! The estimators take ℓ = log π(a) − log π₀(a) of actions a that π took. On average over them, and
//! with gradients flowing into log π:
//!
//! | estimator | value | gradient as a loss |
//! |---|---|---|
//! | `k1` = ℓ | KL(π‖π₀) | 0 |
//! | `k2` = ℓ²/2 | biased | ∇KL(π‖π₀) |
//! | `k3` = e^{−ℓ} − 1 + ℓ | KL(π‖π₀) | ∇KL(π₀‖π) |
//!
//! In the reward it is k1 whose gradient is right. Source: Schulman, *Approximating KL divergence*
//! (2020); the gradients are arXiv 2510.01555. The plain forms are in [`crate::reference::kl`].

mod adaptive;
#[cfg(feature = "torch")]
mod estimators;
#[cfg(feature = "torch")]
mod exact;

pub use adaptive::AdaptiveKl;
#[cfg(feature = "torch")]
pub use estimators::{k1, k2, k3};
#[cfg(feature = "torch")]
pub use exact::{entropy, exact};

/// Largest −ℓ that [`k3`](crate::reference::kl::k3) exponentiates: e^20 is 5e8.
pub const MAX_NEGATIVE_LOG_RATIO: f64 = 20.0;
