//! What a reader should know of a pipeline before its numbers.

use rl_core::run::{Claim, RunDir};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Name of the file in the folder of a run.
pub(crate) const FILE: &str = "about.json";

/// What a pipeline reproduces, what was found before, and how to go further.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct About {
    /// What it is about, in a few words.
    pub title: String,
    /// Where it was published; empty where it was not.
    pub source: String,
    /// What is claimed there, a sentence each.
    pub claimed: Vec<String>,
    /// Commands for larger runs.
    pub further: Vec<String>,
    /// Claims that earlier and larger runs have settled.
    pub recorded: Vec<Record>,
}

/// Claims of one earlier run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Where the run is described, such as `docs/results/klq-laptop-2026-11-26.md`.
    pub page: String,
    /// What it found.
    pub claims: Vec<Claim>,
}

impl About {
    /// Writes it into the folder of a run, where [`crate::write`] finds it.
    ///
    /// # Errors
    /// What writing reports.
    pub fn write(&self, run: &RunDir) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).map_err(|source| Error::About { source })?;
        Ok(run.write(FILE, &(text + "\n"))?)
    }
}
