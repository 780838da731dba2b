//! Token-level decision processes small enough to be solved exactly, in `f64`.
//!
//! A [`TokenMdp`] is a vocabulary with an end-of-sequence token, a horizon, a reference policy, rewards,
//! a discount γ and a temperature τ. Its states are the prefixes, so everything that code for
//! reinforcement learning from human feedback estimates from samples has an exact value here:
//!
//! - [`soft`]: the optimum, values of any policy, KL divergences of sequences, visits, entropies;
//! - [`operators`]: Bellman operators, expected λ-corrections, the maximizer of PPO with a penalty;
//! - [`estimators`]: what k1, k2 and k3 and their gradients are in expectation;
//! - [`learner`]: KLQ and PPO on tables, trained from sampled rollouts, with analytic gradients;
//! - [`study`]: both on many random instances, measured by their exact gap to the optimum.
//!
//! Tables are row-major slices `[states, vocab]` or `[states]`, with states numbered as
//! [`TokenMdp::states`] says. Source of the method: arXiv 2508.17000, whose equation numbers are cited.

mod error;
pub mod estimators;
pub mod learner;
mod mdp;
mod numeric;
pub mod operators;
mod policy;
mod random;
mod sequence;
pub mod soft;
mod study;

pub use error::Error;
pub use mdp::{CutOff, MdpConfig, TokenMdp};
pub use policy::Policy;
pub use random::RandomTables;
pub use sequence::{Ending, Sequence};
pub use study::{Instance, Study, StudyConfig, Summary, study};
