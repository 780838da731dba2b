//! Necessity, paraphrasability and substantivity over given log-probabilities.
//!
//! [`score`] is one example, [`report`] a set of them, [`cohen_d`] the distance between two sets.

mod distribution;
mod effect;
mod report;
mod score;
mod settings;

pub(crate) use distribution::mean;
pub use distribution::{Distribution, Quantiles};
pub use effect::cohen_d;
pub use report::{ControlReport, ExampleScores, MetricReport, Report, report};
pub use score::{Decomposition, Metric, Scores, decompose, regularized, score, symmetric};
pub use settings::Settings;
