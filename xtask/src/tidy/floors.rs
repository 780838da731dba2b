//! Which crate may depend on which, and what each must have.

use std::path::Path;

use serde_json::Value;

use super::{list, members};

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

pub(super) fn findings(metadata: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    for package in members(metadata) {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn floors_are_checked() {
        let package = |name: &str, dependencies: &[&str]| {
            let dependencies: Vec<Value> =
                dependencies.iter().map(|d| json!({ "name": d, "kind": null })).collect();
            json!({
                "id": name, "name": name, "license": "MIT", "description": "",
                "dependencies": dependencies, "manifest_path": format!("/w/crates/{name}/Cargo.toml"),
            })
        };
        let metadata = json!({
            "workspace_members": ["rl-core", "klq", "stray"],
            "packages": [
                package("rl-core", &["klq", "anyhow"]),
                package("klq", &["rl-core"]),
                package("stray", &[]),
            ],
        });
        let found = findings(&metadata).join("\n");
        assert!(found.contains("rl-core: depends on klq"), "{found}");
        assert!(found.contains("rl-core: a library does not depend on anyhow"), "{found}");
        assert!(!found.contains("klq: depends"), "{found}");
        assert!(found.contains("stray: not on any floor"), "{found}");
    }
}
