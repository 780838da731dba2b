//! `cargo xtask tidy`: what of the architecture a dependency tree and the files can show.

use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use crate::{Outcome, output, root};

/// Checks floors, features and file rules
#[derive(Args)]
pub(crate) struct Tidy {}

impl Tidy {
    #[expect(clippy::unused_self, reason = "all tasks are run alike")]
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        check()
    }
}

/// The floors of ARCHITECTURE.md: a crate depends only on crates of floors below its own.
const FLOORS: &[(&str, u32)] = &[
    ("rl-core", 0),
    ("chat-model", 0),
    ("causal-lm", 1),
    ("lm-tasks", 1),
    ("run-report", 1),
    ("early-exit-model", 2),
    ("klq", 2),
    ("cot-metrics", 2),
    ("agent-evals", 2),
    ("portfolio-pursuit", 2),
    ("forthright", 3),
    ("forthright-tests", 4),
    ("xtask", 4),
];

/// What a library leaves to the command.
const NOT_IN_LIBRARIES: &[&str] = &["clap", "anyhow", "indicatif"];

/// Licenses that the project's own goes together with.
const LICENSES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "CC0-1.0",
    "Unlicense",
    "0BSD",
    "BSL-1.0",
    "MIT-0",
    "CDLA-Permissive-2.0",
    "bzip2-1.0.6",
];

const MAX_LINES: usize = 500;
const MAX_BYTES: u64 = 1_000_000;

/// Runs all checks and prints what they find.
pub(crate) fn check() -> anyhow::Result<Outcome> {
    let text = output("cargo", &["metadata", "--format-version", "1", "--all-features"])?;
    let metadata: Value = serde_json::from_str(&text).context("reading cargo metadata")?;
    let mut findings = packages(&metadata);
    findings.extend(licenses(&metadata));
    let files = output("git", &["ls-files", "--cached", "--others", "--exclude-standard"])?;
    for file in files.lines() {
        findings.extend(file_findings(root(), file)?);
    }
    for finding in &findings {
        crate::report(finding);
    }
    Ok(if findings.is_empty() { Outcome::Fine } else { Outcome::Failed })
}

fn packages(metadata: &Value) -> Vec<String> {
    let members: Vec<&Value> = list(&metadata["workspace_members"]).collect();
    let mut findings = Vec::new();
    for package in list(&metadata["packages"]).filter(|p| members.contains(&&p["id"])) {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(floor) = floor(name) else {
            findings.push(format!("{name}: not on any floor of xtask's list"));
            continue;
        };
        for key in ["description", "license"] {
            if package[key].is_null() {
                findings.push(format!("{name}: has no {key}"));
            }
        }
        let normal = list(&package["dependencies"]).filter(|d| d["kind"].is_null());
        for dependency in normal.filter_map(|d| d["name"].as_str()) {
            if self::floor(dependency).is_some_and(|below| below >= floor) {
                findings.push(format!(
                    "{name}: depends on {dependency}, which is not on a lower floor"
                ));
            }
            if floor <= 2 && NOT_IN_LIBRARIES.contains(&dependency) {
                findings.push(format!("{name}: a library does not depend on {dependency}"));
            }
        }
        let folder = package["manifest_path"].as_str().and_then(|p| Path::new(p).parent());
        if let Some(folder) = folder.filter(|f| floor <= 3 && f.ends_with(format!("crates/{name}")))
        {
            if !folder.join("README.md").exists() {
                findings.push(format!("{name}: has no README.md"));
            }
        } else if floor <= 3 {
            findings.push(format!("{name}: its folder is not crates/{name}"));
        }
    }
    findings
}

fn floor(name: &str) -> Option<u32> {
    FLOORS.iter().find(|(n, _)| *n == name).map(|(_, floor)| *floor)
}

fn licenses(metadata: &Value) -> Vec<String> {
    let allowed = |license: &str| {
        // One of the alternatives must be allowed as a whole.
        license.replace('/', " OR ").replace(['(', ')'], "").split(" OR ").any(|alternative| {
            alternative.split(" AND ").all(|part| LICENSES.contains(&part.trim()))
        })
    };
    list(&metadata["packages"])
        .filter_map(|p| {
            let license = p["license"].as_str().unwrap_or("none");
            let name = p["name"].as_str().unwrap_or_default();
            (!allowed(license)).then(|| format!("{name}: its license is {license}"))
        })
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn file_findings(root: &Path, file: &str) -> anyhow::Result<Vec<String>> {
    let path = root.join(file);
    // Deleted but not yet committed.
    let Ok(size) = path.metadata().map(|m| m.len()) else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    if size > MAX_BYTES {
        findings.push(format!("{file}: {size} bytes; weights and data sets stay out of git"));
    }
    if path.extension().is_some_and(|e| e == "rs") {
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {file}"))?;
        let lines = text.lines().count();
        if lines > MAX_LINES {
            findings.push(format!("{file}: {lines} lines; is there a second idea in it?"));
        }
        // Spelled in halves, so that this file does not find itself.
        for (a, b) in [("todo", "!("), ("unimplemented", "!("), ("#[ign", "ore"), ("FIX", "ME")] {
            if text.contains(&format!("{a}{b}")) {
                findings.push(format!("{file}: holds {a}{b}"));
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn floors_and_licenses_are_checked() {
        let package = |name: &str, license: &str, dependencies: &[&str]| {
            let dependencies: Vec<Value> =
                dependencies.iter().map(|d| json!({ "name": d, "kind": null })).collect();
            json!({
                "id": name, "name": name, "license": license, "description": "",
                "dependencies": dependencies, "manifest_path": format!("/w/crates/{name}/Cargo.toml"),
            })
        };
        let metadata = json!({
            "workspace_members": ["rl-core", "klq"],
            "packages": [
                package("rl-core", "MIT", &["klq", "anyhow"]),
                package("klq", "GPL-3.0", &["rl-core"]),
                package("other", "(MIT OR GPL-2.0) AND BSD-3-Clause", &[]),
            ],
        });
        let found = packages(&metadata).join("\n");
        assert!(found.contains("rl-core: depends on klq"), "{found}");
        assert!(found.contains("rl-core: a library does not depend on anyhow"), "{found}");
        assert!(!found.contains("klq: depends"), "{found}");
        assert_eq!(licenses(&metadata), ["klq: its license is GPL-3.0"]);
    }
}
