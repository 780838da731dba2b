//! Dependencies that are written down and never named.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::{
    list, members,
    sources::{gather, read},
};

/// Dependencies that no source names, and why they are there: package, dependency, reason.
const UNNAMED: &[(&str, &str, &str)] =
    &[("agent-evals", "flate2", "chooses the backend of zip's deflate")];

/// Entries of `[workspace.dependencies]` that no member takes, dependencies of members that their
/// sources never name, and exceptions that are none any more.
pub(super) fn findings(root: &Path, metadata: &Value) -> anyhow::Result<Vec<String>> {
    let mut findings = workspace(&read(&root.join("Cargo.toml"))?, metadata)?;
    let mut stale = UNNAMED.to_vec();
    for package in members(metadata) {
        let name = package["name"].as_str().unwrap_or_default();
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let folder = manifest.parent().unwrap_or(root);
        for dependency in unnamed(package, &sources(folder)?) {
            let known = |(p, d, _): &(&str, &str, &str)| *p == name && *d == dependency;
            stale.retain(|entry| !known(entry));
            if !UNNAMED.iter().any(known) {
                findings.push(format!("{name}: no source names its dependency {dependency}"));
            }
        }
    }
    findings.extend(stale.iter().map(|(package, dependency, why)| {
        format!("{package}: {dependency} ({why}) is no longer an exception; strike it out")
    }));
    Ok(findings)
}

/// Entries of the workspace's table that no member takes.
fn workspace(manifest: &str, metadata: &Value) -> anyhow::Result<Vec<String>> {
    let manifest: toml::Table = manifest.parse().context("reading Cargo.toml")?;
    let entries = manifest.get("workspace").and_then(|w| w.get("dependencies"));
    let entries =
        entries.and_then(toml::Value::as_table).context("Cargo.toml: no workspace.dependencies")?;
    let taken = |key: &str, entry: &toml::Value| {
        let name = entry.get("package").and_then(toml::Value::as_str).unwrap_or(key);
        members(metadata).flat_map(|p| list(&p["dependencies"])).any(|d| d["name"] == *name)
    };
    Ok(entries
        .iter()
        .filter(|(key, entry)| !taken(key, entry))
        .map(|(key, _)| format!("Cargo.toml: no member takes the workspace's dependency {key}"))
        .collect())
}

/// Dependencies of a package that its sources do not name: those of `[dependencies]` below `src/`,
/// others anywhere.
fn unnamed<'a>(package: &'a Value, sources: &Sources) -> Vec<&'a str> {
    list(&package["dependencies"])
        .filter_map(|d| {
            let name = d["name"].as_str()?;
            let crate_name = d["rename"].as_str().unwrap_or(name).replace('-', "_");
            let all = if d["kind"].is_null() { &[][..] } else { &sources.beside[..] };
            let named = sources.src.iter().chain(all).any(|text| names(text, &crate_name));
            (!named).then_some(name)
        })
        .collect()
}

/// Whether a source takes something of a crate: `tch::Tensor`, `use tch;`, `use tch as torch`.
fn names(text: &str, crate_name: &str) -> bool {
    text.match_indices(crate_name).any(|(at, _)| {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let rest = &text[at + crate_name.len()..];
        !text[..at].ends_with(part)
            && ["::", ";", " as "].iter().any(|follows| rest.starts_with(follows))
    })
}

/// The texts of a package's sources.
struct Sources {
    src: Vec<String>,
    /// Tests, benches, examples and the build script.
    beside: Vec<String>,
}

fn sources(folder: &Path) -> anyhow::Result<Sources> {
    let mut sources = Sources { src: Vec::new(), beside: Vec::new() };
    gather(&folder.join("src"), &mut sources.src)?;
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        // A workspace of its own is no part of the package.
        if path.ends_with("src") || path.join("Cargo.toml").exists() {
            continue;
        }
        gather(&path, &mut sources.beside)?;
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_of_the_workspace_that_nobody_takes_are_found() {
        let manifest = "[workspace.dependencies]\ntch = \"1\"\nplotters = { version = \"1\" }\n\
                        torch = { package = \"tch\", version = \"1\" }\n";
        let metadata = json!({
            "workspace_members": ["a"],
            "packages": [
                { "id": "a", "dependencies": [{ "name": "tch" }] },
                // What others take is not ours.
                { "id": "b", "dependencies": [{ "name": "plotters" }] },
            ],
        });
        assert_eq!(
            workspace(manifest, &metadata).unwrap(),
            ["Cargo.toml: no member takes the workspace's dependency plotters"]
        );
        assert!(workspace("[workspace]", &metadata).is_err());
    }

    #[test]
    fn dependencies_that_no_source_names_are_found() {
        let package = json!({ "dependencies": [
            { "name": "rl-core", "kind": null },
            { "name": "rand", "kind": null },
            { "name": "half", "kind": null },
            { "name": "criterion", "kind": "dev" },
            { "name": "insta", "kind": "dev" },
            { "name": "tch", "kind": null, "rename": "torch" },
        ] });
        let sources = Sources {
            src: vec!["use rl_core::seed;\nuse other_rand::x;\nlet t: torch::Tensor;".into()],
            // `half` is named by tests alone, so it belongs to the dev-dependencies.
            beside: vec!["use criterion as bench; half::f16::ONE; // insta, some day".into()],
        };
        assert_eq!(unnamed(&package, &sources), ["rand", "half", "insta"]);
    }

    #[test]
    fn sources_are_those_of_the_package_itself() {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("src/a/b.rs", "1"),
            ("src/notes.txt", "2"),
            ("tests/it/main.rs", "3"),
            ("build.rs", "4"),
            ("fuzz/Cargo.toml", ""),
            ("fuzz/src/lib.rs", "5"),
        ] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut found = sources(folder.path()).unwrap();
        found.beside.sort();
        assert_eq!((found.src, found.beside), (vec!["1".into()], vec!["3".into(), "4".into()]));
    }
}
