//! The paraphrase that is none.

use rl_core::seed::Seed;

use super::{ChainEdit, Edited};
use crate::Transcript;

/// Leaves each chain as it is: whatever it is scored by, the score of such an edit is exactly 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity;

impl ChainEdit for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn edit(&self, transcripts: &[Transcript], _: Seed) -> Vec<Edited> {
        transcripts.iter().map(|transcript| Ok(transcript.chain.clone())).collect()
    }
}
