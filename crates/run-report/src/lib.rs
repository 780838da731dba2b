#![doc = include_str!("../README.md")]

mod about;
mod overview;
mod page;
mod plot;

use std::path::{Path, PathBuf};

pub use about::{About, Record};
pub use page::render;
use rl_core::run::{self, Claim};

/// What can go wrong with a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the run that cannot be read, or one of the report that cannot be written.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// There is nothing to report on.
    #[error("{}: expected a folder with the folder of a run in it, found none", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// The page could not be rendered.
    #[error("rendering the report: {0}")]
    Render(#[from] askama::Error),
    /// What is known of a pipeline cannot be written as JSON.
    #[error("writing {}: {source}", about::FILE)]
    About {
        /// What the encoder says.
        source: serde_json::Error,
    },
    /// The folder cannot be listed.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// Writes `summary.json` (all claims, and those on record) and `report.html` into a folder of runs; returns the claims.
///
/// # Errors
/// [`Error::Empty`] if no folder in it is a run; what reading or writing reports.
pub fn write(folder: &Path) -> Result<Vec<Claim>, Error> {
    let pipelines = page::pipelines(folder)?;
    if pipelines.is_empty() {
        return Err(Error::Empty { path: folder.to_owned() });
    }
    let claims: Vec<Claim> = pipelines.iter().flat_map(|p| p.claims.clone()).collect();
    let recorded = pipelines.iter().filter_map(|p| p.about.as_ref()).flat_map(|a| &a.recorded);
    let recorded: Vec<&Record> = recorded.collect();
    let summary = serde_json::json!({ "version": 1, "claims": claims, "recorded": recorded });
    run::write_whole(&folder.join("summary.json"), &format!("{summary:#}\n"))?;
    run::write_whole(&folder.join("report.html"), &render(&pipelines)?)?;
    Ok(claims)
}
