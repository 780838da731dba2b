//! `cargo xtask setup --check`, and what a machine must have.

use std::process::{Command, Stdio};

use anyhow::bail;

use super::{Setup, Source, cache::Asset, cache::Cache, cache_dir, lock::Lock, wheel::Python};
use crate::{Outcome, root};

/// Says what is there, and of what is missing how to mend it.
pub(super) fn check(setup: &Setup) -> anyhow::Result<Outcome> {
    let lock = Lock::read()?;
    let cache = Cache::new(cache_dir()?, Python::default());
    let mut findings: Vec<(String, Result<String, String>)> = Vec::new();
    let cached = |asset: &Asset<'_>| {
        let place = cache.place(asset);
        if place.exists() {
            return Ok(place.display().to_string());
        }
        let flag = if asset.name() == "libtorch-cuda" { " --cuda" } else { "" };
        let how = format!("run `cargo xtask setup{flag}`");
        Err(format!("not in the cache {}; {how}", cache.path().display()))
    };
    let libtorch = match setup.source(&lock, &cache, !setup.cuda) {
        Ok(Source::Own(path) | Source::Linked(path)) => Ok(path.display().to_string()),
        Ok(Source::Cached(asset)) => cached(&asset),
        Err(error) => Err(format!("{error:#}")),
    };
    let models = cached(&Asset::models(&lock));
    let templates = cached(&Asset::templates(&lock));
    let complete = libtorch.is_ok() && models.is_ok() && templates.is_ok();
    findings.push((format!("libtorch {}", lock.torch), libtorch));
    findings.push(("default model".into(), models));
    findings.push(("chat templates".into(), templates));
    for name in ["libtorch", "models", "templates"] {
        let path = root().join("target").join(name);
        let found = match std::fs::canonicalize(&path) {
            Ok(to) => Ok(to.display().to_string()),
            Err(_) => {
                Err("not linked, or to a folder that is gone; run `cargo xtask setup`".into())
            }
        };
        findings.push((format!("target/{name}"), found));
    }
    let text = |result: anyhow::Result<()>| match result {
        Ok(()) => Ok("runs".to_owned()),
        Err(error) => Err(format!("{error:#}")),
    };
    findings.push(("C++ compiler".into(), text(need_compiler())));
    if !complete {
        findings.push(("python3 with pip".into(), text(Python::default().need_pip())));
    }
    for (what, found) in &findings {
        let (mark, said) = match found {
            Ok(said) => ("ok      ", said),
            Err(said) => ("MISSING ", said),
        };
        crate::report(&format!("{mark} {what}: {said}"));
    }
    let fine = findings.iter().all(|(_, found)| found.is_ok());
    Ok(if fine { Outcome::Fine } else { Outcome::Failed })
}

/// torch-sys compiles a layer of C++.
pub(super) fn need_compiler() -> anyhow::Result<()> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    // CXX may hold arguments, or a wrapper such as ccache before the compiler.
    let mut words = compiler.split_whitespace();
    let status = Command::new(words.next().unwrap_or("c++"))
        .args(words)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => bail!("no C++ compiler: {compiler} does not run; install g++ or clang, or set CXX"),
    }
}
