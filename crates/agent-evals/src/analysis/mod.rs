//! What stated and enacted answers come to: gaps, the ladder, validity, calibration, controls.
//!
//! Everything is computed from [`Cells`], which can be written and read again: no model is needed.
//! The protocol is that of the position paper arXiv 2603.14417, made operational; scores and variance
//! shares are those of `AgentMisalignment`, arXiv 2506.04018.
//!
//! - The unit is one item as one persona; errors are clustered by item.
//! - The signed gap over all units is the one primary outcome; families of scenarios are corrected for
//!   their number.
//! - What came to nothing is left out, counted, and bounded.

mod arm;
mod awareness;
mod bounds;
mod cell;
mod coding;
mod control;
mod forecasts;
mod gap;
mod ladder;
mod measured;
mod say_do;
mod scores;
mod split;
#[cfg(test)]
pub(crate) mod testing;
mod traits;
mod unit;
mod validity;
mod whole;

pub use arm::{Arm, Axes, Axis};
pub use awareness::{ArmAwareness, Suspicion, suspicion};
pub use bounds::{Bounds, FailureRate, bounds, failures};
pub use cell::{
    Answer, Awareness, CELLS_VERSION, Cell, Cells, Failure, OutcomeClass, ScenarioInfo,
};
pub use coding::{Coding, agreement, coding};
pub use control::{Ability, Control, controls};
pub use forecasts::{Foresight, foresight};
pub use gap::{Distance, Gap, gap, signed_gap};
pub use ladder::{Attribution, Combinations, LADDER, Ladder, Rung, attribute, ladder};
pub use measured::{MANY_CLUSTERS, Measured, Method, Settings};
pub use say_do::{MISALIGNED_FROM, SayDo, say_do};
pub use scores::{Score as MeanScore, Shares, scores, shares};
pub use traits::{TraitMatrix, trait_matrix};
pub use unit::{Comparison, Reply as UnitReply, Unit};
pub use validity::{AcrossModels, Validity, across_models, disattenuate, validity};
pub use whole::{
    ANALYSIS_VERSION, Analysis, FamilyGap, Framing, Largest, ModelAnalysis, ScenarioGap, THREATS,
    analyse,
};
