//! `cargo xtask tidy`: what of the architecture a dependency tree and the files can show.

mod duplicates;
mod files;
mod floors;
mod licenses;
mod names;
mod sources;
mod unused;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use crate::{Outcome, output, root};

/// Checks floors, licenses, duplicates, unused dependencies, names in documents and file rules
#[derive(Args)]
pub(crate) struct Tidy {}

impl Tidy {
    #[expect(clippy::unused_self, reason = "all tasks are run alike")]
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        check()
    }
}

/// Runs all checks and prints what they find. None of them needs a network.
pub(crate) fn check() -> anyhow::Result<Outcome> {
    let text = output("cargo", &["metadata", "--format-version", "1", "--all-features"])?;
    let metadata: Value = serde_json::from_str(&text).context("reading cargo metadata")?;
    let mut findings = floors::findings(&metadata);
    findings.extend(licenses::findings(&metadata));
    findings.extend(duplicates::findings(&output("cargo", duplicates::TREE)?));
    findings.extend(unused::findings(root(), &metadata)?);
    findings.extend(names::findings(root())?);
    let listed = output("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?;
    for file in listed.lines() {
        findings.extend(files::findings(root(), file)?);
    }
    for finding in &findings {
        crate::report(finding);
    }
    Ok(if findings.is_empty() { Outcome::Fine } else { Outcome::Failed })
}

/// The packages of the workspace itself.
fn members(metadata: &Value) -> impl Iterator<Item = &Value> {
    let ids: Vec<&Value> = list(&metadata["workspace_members"]).collect();
    list(&metadata["packages"]).filter(move |p| ids.contains(&&p["id"]))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
