//! What a killed run goes on from.

use std::{fs, path::Path};

use causal_lm::{CausalLm, trainable::SavedState};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Trainer;
use crate::{Error, TrainConfig, reward::Prompt};

const STATE_FILE: &str = "trainer.safetensors";
const COUNTERS_FILE: &str = "trainer.json";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counters {
    iterations: u64,
    kl_coef: f64,
}

impl Trainer<'_> {
    /// Writes all that [`Trainer::restore`] needs into a folder that is there.
    ///
    /// # Errors
    /// [`Error::Lm`] or [`Error::Io`] if it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        let parameters = self.policy.named_parameters();
        let state = SavedState { fingerprint: self.fingerprint, parameters };
        state.write(&folder.join(STATE_FILE), &self.optimizer)?;
        let counters = Counters { iterations: self.iterations, kl_coef: self.adaptive.coef };
        let path = folder.join(COUNTERS_FILE);
        // Two numbers, which JSON can hold.
        let text = serde_json::to_string(&counters).unwrap_or_default();
        fs::write(&path, text).map_err(|source| Error::Io { action: "write", path, source })
    }

    /// Goes back to what [`Trainer::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Lm`], [`Error::Io`] or [`Error::Format`] if the files are not whole, or were written
    /// by a run with other settings or prompts.
    pub fn restore(&mut self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(COUNTERS_FILE);
        let text = fs::read_to_string(&path).map_err(|source| Error::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        let counters: Counters = serde_json::from_str(&text)
            .map_err(|e| Error::Format { path, message: e.to_string() })?;
        let parameters = self.policy.named_parameters();
        let state = SavedState { fingerprint: self.fingerprint, parameters };
        state.restore(&folder.join(STATE_FILE), &mut self.optimizer)?;
        self.iterations = counters.iterations;
        self.adaptive.coef = counters.kl_coef;
        Ok(())
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
