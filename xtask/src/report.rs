//! `cargo xtask report`: the page of a folder of runs.

use std::path::PathBuf;

use clap::Args;

use crate::{Outcome, program, setup};

/// Writes summary.json and report.html of a folder of runs
#[derive(Args)]
pub(crate) struct Report {
    /// The folder that holds the runs' folders
    dir: PathBuf,
}

impl Report {
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        setup::ensure()?;
        let Some(program) = program::build()? else { return Ok(Outcome::Failed) };
        let dir = program::out(Some(&self.dir), "")?;
        program::run(&program, &["report".into(), program::text(&dir)?.into()])
    }
}
