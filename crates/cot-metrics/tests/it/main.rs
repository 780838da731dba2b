//! Everything that needs no model.

mod algebra;
mod codebook;
mod common;
mod defects;
mod diagnosis;
mod interventions;
mod toys;
mod transcripts;
