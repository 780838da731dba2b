//! Where trained exits are kept.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use early_exit_model::{EarlyExitModel, Sites};

/// Name of the folder in that of a run.
pub(crate) const EXITS: &str = "exits";

/// Exits from the folder that `calibrate` or `train` wrote: that of the run, or `exits/` in it.
pub(crate) fn load(
    folder: &Path,
    lm: &causal_lm::CausalLm,
    sites: Option<&Sites>,
) -> anyhow::Result<EarlyExitModel> {
    let within = folder.join(EXITS);
    let folder = if within.is_dir() { &within } else { folder };
    Ok(EarlyExitModel::load(folder, lm, sites)?)
}

/// Writes a model into the folder of its run.
pub(crate) fn save(model: &EarlyExitModel, run: &Path) -> anyhow::Result<PathBuf> {
    let folder = run.join(EXITS);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    model.save(&folder)?;
    Ok(folder)
}
