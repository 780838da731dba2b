//! Texts of source files.

use std::path::Path;

use anyhow::Context as _;

/// Reads a source, or all in a folder but what was built there.
pub(super) fn gather(path: &Path, texts: &mut Vec<String>) -> anyhow::Result<()> {
    if path.ends_with("target") {
        return Ok(());
    }
    if path.is_dir() {
        for entry in std::fs::read_dir(path).with_context(|| path.display().to_string())? {
            gather(&entry?.path(), texts)?;
        }
    } else if path.extension().is_some_and(|e| e == "rs") {
        texts.push(read(path)?);
    }
    Ok(())
}

pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}
