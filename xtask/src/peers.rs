//! The Python environment in which the reference libraries run, kept in the cache.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::{root, setup};

const REQUIREMENTS: &str = "crates/forthright/peers/requirements.txt";
/// What the peers import.
const IMPORT: &str =
    "import accelerate, datasets, gguf, inspect_ai, peft, sklearn, torch, transformers, trl";

/// A Python of the user's.
pub(crate) fn own(python: &Path) -> anyhow::Result<PathBuf> {
    // A bare name is looked up in PATH; a path may be seen from elsewhere than the root.
    let bare = python.components().count() == 1;
    let python = if bare { python.to_owned() } else { std::path::absolute(python)? };
    if let Some(cause) = import(&python)? {
        bail!("{}: expected what {REQUIREMENTS} lists, found: {cause}", python.display());
    }
    Ok(python)
}

/// The environment's Python; it is made if it is not there, going on where an earlier try ended.
pub(crate) fn python() -> anyhow::Result<PathBuf> {
    let list = root().join(REQUIREMENTS);
    let text = fs::read_to_string(&list).with_context(|| format!("reading {}", list.display()))?;
    let base = setup::Python::default();
    base.need_pip()?;
    // An environment belongs to the Python that it was made with.
    let version = base.command().arg("--version").output().context("cannot run python3")?.stdout;
    let digest = setup::short_digest(&[&text, &String::from_utf8_lossy(&version)]);
    let cache = setup::cache_dir()?;
    let place = cache.join(format!("peers-{digest}"));
    let python = place.join("bin/python");
    if python.exists() {
        return Ok(python);
    }
    let guard = setup::exclusive(&cache)?;
    if !python.exists() {
        // What it was made with may be gone.
        let _ = fs::remove_dir_all(&place);
        let partial = cache.join(format!("peers-{digest}.partial"));
        make(&base, &partial, &list, &guard)?;
        fs::rename(&partial, &place)
            .with_context(|| format!("cannot write {}", place.display()))?;
    }
    Ok(python)
}

fn make(base: &setup::Python, partial: &Path, list: &Path, guard: &File) -> anyhow::Result<()> {
    let python = partial.join("bin/python");
    if !has_pip(&python) {
        let _ = fs::remove_dir_all(partial);
        let out = base.command().args(["-m", "venv"]).arg(partial).output();
        let out = out.context("cannot run python3")?;
        if !out.status.success() {
            // What it says goes to either stream.
            let cause = setup::last_line(&[out.stdout, out.stderr].concat());
            bail!("python3 cannot make a venv (on Debian: apt install python3-venv): {cause}");
        }
    }
    crate::report(&format!("fetching what {REQUIREMENTS} lists, with your pip"));
    let mut command = Command::new(&python);
    // With pip's own cache: it is what a second try goes on from.
    command.args(["-m", "pip", "install", "--disable-pip-version-check", "--requirement"]);
    command.arg(list);
    if let Some(cause) = setup::run_pip(&mut command, guard)? {
        bail!("pip cannot install the peers: {cause} (what it fetched is kept)");
    }
    if let Some(cause) = import(&python)? {
        let _ = fs::remove_dir_all(partial);
        bail!("the peers are installed, but importing them fails: {cause}");
    }
    Ok(())
}

fn has_pip(python: &Path) -> bool {
    let out = Command::new(python).args(["-m", "pip", "--version"]).output();
    out.is_ok_and(|out| out.status.success())
}

/// Why the peers cannot be imported, if they cannot.
fn import(python: &Path) -> anyhow::Result<Option<String>> {
    let out = Command::new(python).args(["-c", IMPORT]).output();
    let out = out.with_context(|| format!("cannot run {}", python.display()))?;
    Ok((!out.status.success()).then(|| setup::last_line(&out.stderr)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_without_the_peers_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let python = folder.path().join("python");
        let script =
            "#!/bin/sh\necho \"ModuleNotFoundError: No module named 'gguf'\" >&2\nexit 1\n";
        fs::write(&python, script).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
        let message = own(&python).unwrap_err().to_string();
        assert!(
            message.ends_with("found: ModuleNotFoundError: No module named 'gguf'"),
            "{message}"
        );
        let message = format!("{:#}", own(Path::new("/nowhere/python")).unwrap_err());
        assert!(message.starts_with("cannot run /nowhere/python"), "{message}");
    }
}
