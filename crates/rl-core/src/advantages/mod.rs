//! Advantages: how much better than expected an action, or a whole completion, was.
//!
//! The scans run natively over rows on the CPU, whatever the tensors' device; no result carries a
//! gradient. The plain forms are in [`crate::reference::advantages`].

mod gae;
mod groups;
mod retrace;

pub use gae::{gae, td_errors};
pub use groups::{group_centered, group_normalized, leave_one_out};
pub use retrace::retrace;
