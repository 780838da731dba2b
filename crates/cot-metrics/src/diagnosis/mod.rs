//! Which pathology a set of scores shows, and how much of it.

mod nearest;
mod share;
mod signature;

pub use nearest::{Accuracy, Diagnosis, DiagnosisConfig, Verdict, diagnose};
pub use share::{Population, affected_share};
pub use signature::{Signature, Signatures};
