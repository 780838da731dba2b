//! Measures of earlier work beside the three scores, from answers and counts.
//!
//! - [`area_over_curve`]: Lanham's early answering, inserted mistakes, filler tokens and paraphrases.
//! - [`nldd`]: how much of a logit difference is lost when the chain is corrupted.
//! - [`monitorability`]: whether a monitor sees an influence that there is, and none where there is none.

mod curve;
mod logits;
mod monitorability;

pub use curve::{Answers, AreaOverCurve, Curve, area_over_curve};
pub use logits::{logit_difference, mean_logit_deviation, nldd, summarize_nldd};
pub use monitorability::{
    Counts, Monitorability, MonitorabilityConfig, NoMonitorability, Rates, monitorability,
};
