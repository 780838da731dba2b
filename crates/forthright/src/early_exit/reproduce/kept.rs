//! Measurements that stay beside what they are of, so that a run which goes on does not repeat them.

use rl_core::run::{read_json, write_whole};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Run, stages::Place};
use crate::{early_exit::transcript::Transcript, terminal::note};

/// Name of the file in the folder of a stage.
const FILE: &str = "measured.json";

/// What a measurement adds to the files of the run.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Lines {
    pub(super) metrics: Vec<Value>,
    pub(super) samples: Vec<Value>,
    pub(super) transcripts: Vec<(String, Transcript)>,
}

/// A measurement with all that it depends on.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    of: Of,
    found: T,
    lines: Lines,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Of {
    /// The system's settings, in TOML.
    settings: String,
    model: String,
    seed: u64,
    device: String,
}

impl Run<'_> {
    /// What was measured of a stage before, where this run goes on and nothing else would be measured
    /// now; else what `measure` finds. A stage that is made anew takes its measurement with it.
    pub(super) fn kept<T: Serialize + DeserializeOwned>(
        &mut self,
        place: Place<'_>,
        stage: &str,
        measure: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let path = self.folder(place, stage).join(FILE);
        let of = Of {
            settings: toml::to_string(place.system)?,
            model: self.model.clone(),
            seed: self.seed.value(),
            device: self.device.clone(),
        };
        // One of another version, or half of one, is measured again.
        let before = self.resume.then(|| read_json::<Kept<T>>(&path).ok().flatten()).flatten();
        let kept = if let Some(before) = before.filter(|before| before.of == of) {
            before
        } else {
            note(format_args!("measuring {}", place.series(stage)));
            let found = measure(self)?;
            let kept = Kept { of, found, lines: std::mem::take(&mut self.lines) };
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            write_whole(&path, &(serde_json::to_string(&kept)? + "\n"))?;
            kept
        };
        for line in &kept.lines.metrics {
            self.metrics.push(line)?;
        }
        for line in &kept.lines.samples {
            self.samples.push(line)?;
        }
        self.transcripts.extend(kept.lines.transcripts);
        Ok(kept.found)
    }
}
