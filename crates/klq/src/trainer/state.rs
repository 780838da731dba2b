//! What a killed run goes on from.

use std::path::Path;

use causal_lm::{CausalLm, trainable::SavedState};
use sha2::{Digest as _, Sha256};

use super::Trainer;
use crate::{Error, TrainConfig, reward::Prompt};

const STATE_FILE: &str = "trainer.safetensors";

impl Trainer<'_> {
    /// Writes all that [`Trainer::restore`] needs into a folder that is there.
    ///
    /// # Errors
    /// [`Error::Lm`] if it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        Ok(self.state().write(&folder.join(STATE_FILE), &self.optimizer)?)
    }

    /// Goes back to what [`Trainer::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Lm`] if the file is not whole, or was written by a run with other settings or
    /// prompts.
    pub fn restore(&mut self, folder: &Path) -> Result<(), Error> {
        let numbers = self.state().restore(&folder.join(STATE_FILE), &mut self.optimizer)?;
        self.iterations = numbers[0] as u64;
        self.adaptive.coef = numbers[1];
        Ok(())
    }

    fn state(&self) -> SavedState {
        SavedState {
            fingerprint: self.fingerprint,
            parameters: self.policy.named_parameters(),
            numbers: vec![("iterations", self.iterations as f64), ("kl_coef", self.adaptive.coef)],
        }
    }
}

/// Digest of all that a run is a function of.
pub(super) fn fingerprint(lm: &CausalLm, config: &TrainConfig, prompts: &[Prompt]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(format!("{:?} {:?} {config:?}", lm.config(), lm.kind()));
    for prompt in prompts {
        digest.update((prompt.ids.len() as u64).to_le_bytes());
        prompt.ids.iter().for_each(|id| digest.update(id.to_le_bytes()));
        digest.update(prompt.source.as_deref().unwrap_or_default());
    }
    digest.finalize().into()
}
