//! Necessity, paraphrasability and substantivity over given log-probabilities.

mod score;

pub use score::{Decomposition, Metric, Scores, decompose, regularized, score, symmetric};
