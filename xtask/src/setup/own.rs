//! A libtorch that the user has already.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use super::last_line;

/// Prints where torch is and its version, without the seconds that importing it takes.
const FIND_TORCH: &str = "
import importlib.metadata, importlib.util, pathlib, sys
spec = importlib.util.find_spec('torch')
if spec is None:
    sys.exit('it has no torch')
print(pathlib.Path(spec.origin).parent)
print(importlib.metadata.version('torch'))
";

/// The folder that `LIBTORCH` names.
pub(super) fn from_environment() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("LIBTORCH").filter(|v| !v.is_empty())?);
    // Cargo sets it for what it starts, from .cargo/config.toml: that is our own link.
    (!path.ends_with("target/libtorch")).then_some(path)
}

/// The Python whose torch `LIBTORCH_USE_PYTORCH` asks for: the one that torch-sys would take.
pub(super) fn python_from_environment() -> Option<PathBuf> {
    let asked = std::env::var("LIBTORCH_USE_PYTORCH").ok()?;
    let name = if std::env::var_os("VIRTUAL_ENV").is_some() { "python" } else { "python3" };
    (!["", "0"].contains(&asked.as_str())).then(|| name.into())
}

/// The version of a folder's headers.
pub(super) fn version(folder: &Path) -> anyhow::Result<String> {
    let header = folder.join("include/torch/headeronly/version.h");
    let text = fs::read_to_string(&header)
        .with_context(|| format!("{} cannot be read", header.display()))?;
    let number = |name: &str| {
        let prefix = format!("#define TORCH_VERSION_{name} ");
        text.lines().find_map(|l| l.strip_prefix(&prefix)).map_or("?", str::trim).to_owned()
    };
    Ok(format!("{}.{}.{}", number("MAJOR"), number("MINOR"), number("PATCH")))
}

/// Refuses another version than `expected`; `what` names who chose the folder.
pub(super) fn check_version(folder: &Path, expected: &str, what: &str) -> anyhow::Result<()> {
    let found = version(folder).with_context(|| {
        format!("{what} is {}, expected a folder of PyTorch {expected}", folder.display())
    })?;
    if found != expected {
        bail!("{what} is {}: expected PyTorch {expected}, found {found}", folder.display());
    }
    Ok(())
}

/// The torch folder of a Python.
pub(super) fn of_python(python: &Path, expected: &str) -> anyhow::Result<PathBuf> {
    let out = Command::new(python)
        .args(["-c", FIND_TORCH])
        .output()
        .with_context(|| format!("the Python {} cannot be run", python.display()))?;
    if !out.status.success() {
        bail!(
            "the Python {} cannot be used: expected torch {expected}, found {}",
            python.display(),
            last_line(&out.stderr)
        );
    }
    let text = String::from_utf8_lossy(&out.stdout);
    let mut lines = text.lines();
    let (folder, found) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    // A build for a certain device is named after the plus.
    if found.split('+').next() != Some(expected) {
        bail!("the Python {}: expected torch {expected}, found {found}", python.display());
    }
    let folder = PathBuf::from(folder);
    check_version(&folder, expected, "the Python's torch")?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn libtorch(folder: &Path, patch: u32) {
        let path = folder.join("include/torch/headeronly");
        fs::create_dir_all(&path).unwrap();
        let text = format!(
            "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n\
             #define TORCH_VERSION_PATCH {patch}\n"
        );
        fs::write(path.join("version.h"), text).unwrap();
    }

    #[test]
    fn another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let say =
            || check_version(folder.path(), "2.11.0", "LIBTORCH").map_err(|e| format!("{e:#}"));
        assert!(say().unwrap_err().contains("expected a folder of PyTorch 2.11.0"));
        libtorch(folder.path(), 1);
        assert!(say().unwrap_err().ends_with("expected PyTorch 2.11.0, found 2.11.1"));
        libtorch(folder.path(), 0);
        say().unwrap();
    }

    #[test]
    fn a_python_is_asked_where_its_torch_is() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        libtorch(folder.path(), 0);
        let python = folder.path().join("python");
        let say = |script: String| {
            fs::write(&python, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
            of_python(&python, "2.11.0").map_err(|e| format!("{e:#}"))
        };
        let at = folder.path().display();
        assert_eq!(say(format!("echo {at}; echo 2.11.0+cpu")).unwrap(), folder.path());
        let message = say(format!("echo {at}; echo 2.10.0")).unwrap_err();
        assert!(message.ends_with("expected torch 2.11.0, found 2.10.0"), "{message}");
        let message = say("echo it has no torch >&2; exit 1".into()).unwrap_err();
        assert!(message.ends_with("expected torch 2.11.0, found it has no torch"), "{message}");
        let message = of_python(Path::new("/nowhere/python"), "2.11.0").unwrap_err();
        assert!(format!("{message:#}").contains("/nowhere/python cannot be run"));
    }
}
