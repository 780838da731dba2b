//! `forthright agents view`.

use std::path::PathBuf;

use agent_evals::view::{view_journal, view_log};
use clap::Args;
use serde_json::json;

use super::{export::is_log, journal};
use crate::terminal::print;

/// Write a page to look at samples with
///
/// One file that opens from the disk and asks no network for anything: a table of samples with
/// filters, what was said and done in each, its scores and what they rest on.
#[derive(Args)]
pub(crate) struct View {
    /// The run's folder or journal, or a log of Inspect's (.eval or .json)
    run: PathBuf,
    /// The page [default: view.html in the run's folder, beside a file that has its name]
    #[arg(long)]
    out: Option<PathBuf>,
    /// One JSON document with the page's name
    #[arg(long)]
    json: bool,
}

impl View {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let out = self.out.clone().unwrap_or_else(|| {
            if self.run.is_dir() {
                self.run.join("view.html")
            } else {
                self.run.with_extension("html")
            }
        });
        let samples = if is_log(&self.run) {
            view_log(&self.run, &out)?
        } else {
            view_journal(&journal(&self.run), &out)?
        };
        if self.json {
            return print(json!({ "version": 1, "written": out, "samples": samples }));
        }
        print(out.display())
    }
}
