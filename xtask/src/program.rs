//! The command, as xtask builds and starts it.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::{Outcome, root, shell};

/// Builds the release of the command; its path, or none if it does not compile.
pub(crate) fn build() -> anyhow::Result<Option<String>> {
    let fine =
        shell::step("cargo", &["build", "--quiet", "--release", "--package", "forthright"], &[])?;
    if !fine {
        return Ok(None);
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Ok(Some(text(&root().join(target).join("release/forthright"))?.to_owned()))
}

/// Runs the command; its exit code is kept.
pub(crate) fn run(program: &str, args: &[String]) -> anyhow::Result<Outcome> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    shell::run(program, &args, &[])
}

/// A path of the user's, who may stand elsewhere than in the root.
pub(crate) fn out(given: Option<&Path>, otherwise: &str) -> anyhow::Result<PathBuf> {
    Ok(match given {
        Some(path) => std::path::absolute(path)?,
        None => root().join(otherwise),
    })
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> anyhow::Result<&str> {
    match path.to_str() {
        Some(text) => Ok(text),
        None => bail!("{}: expected a path in UTF-8", path.display()),
    }
}
