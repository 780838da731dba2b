//! The links under `target/` that builds and binaries find libtorch, the model and templates by.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Context as _;

use super::{cache::Asset, cache::Cache, is_there, lock::Lock, own};
use crate::{root, target_dirs};

/// Links all of them into every target folder.
pub(super) fn all(libtorch: &Path, models: &Path, templates: &Path) -> anyhow::Result<()> {
    for target in target_dirs() {
        fs::create_dir_all(&target)
            .with_context(|| format!("cannot create {}", target.display()))?;
        let at = target.join("libtorch");
        let cuda = |folder: &Path| folder.join("lib/libtorch_cuda.so").exists();
        let before = at.exists().then(|| cuda(&at));
        link(libtorch, &at)?;
        link(models, &target.join("models"))?;
        link(templates, &target.join("templates"))?;
        // torch-sys looks for the CUDA library when it is built, and asks the linker for what it saw.
        if before.is_some_and(|before| before != cuda(&at)) {
            build_anew(&target);
        }
    }
    Ok(())
}

/// Where `target/libtorch` leads, if that is what a set-up of today would link.
pub(super) fn linked(lock: &Lock, cache: &Cache) -> Option<PathBuf> {
    let path = fs::canonicalize(root().join("target/libtorch")).ok()?;
    let cached = fs::canonicalize(cache.path()).ok();
    let fits = if path.parent() == cached.as_deref() {
        let names = ["libtorch", "libtorch-cuda"];
        names.iter().filter_map(|name| Asset::libtorch(lock, name).ok()).any(|asset| {
            path.file_name().is_some_and(|found| found.to_str() == Some(&asset.folder()))
        })
    } else {
        own::version(&path).is_ok_and(|found| found == lock.torch)
    };
    fits.then_some(path)
}

/// Forgets the builds of torch-sys in a target folder.
fn build_anew(target: &Path) {
    crate::report("libtorch changed between CPU and CUDA: torch-sys will be built anew");
    for profile in ["dev", "release"] {
        // Where nothing has been built there is nothing to forget.
        let _ = Command::new("cargo")
            .args(["clean", "--quiet", "--package", "torch-sys", "--profile", profile])
            .arg("--target-dir")
            .arg(target)
            .current_dir(root())
            .stderr(Stdio::null())
            .status();
    }
}

/// Makes `link` lead to `to`, replacing a link that leads elsewhere.
fn link(to: &Path, link: &Path) -> anyhow::Result<()> {
    let to = fs::canonicalize(to).with_context(|| format!("cannot find {}", to.display()))?;
    if fs::canonicalize(link).is_ok_and(|now| now == to) {
        return Ok(());
    }
    let place = || format!("cannot link {} to {}", link.display(), to.display());
    if is_there(link) && !link.is_symlink() {
        anyhow::bail!("{}: something else is in its place", place());
    }
    // Another set-up may be at it, so the old link is replaced in one step.
    let partial = link.with_extension(format!("partial-{}", std::process::id()));
    let _ = fs::remove_file(&partial);
    std::os::unix::fs::symlink(&to, &partial).with_context(place)?;
    fs::rename(&partial, link).with_context(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_made_kept_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, to] = ["a", "b", "link"].map(|n| folder.path().join(n));
        fs::create_dir(&a).unwrap();
        fs::create_dir(&b).unwrap();
        for target in [&a, &a, &b] {
            link(target, &to).unwrap();
            assert_eq!(fs::canonicalize(&to).unwrap(), fs::canonicalize(target).unwrap());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing is left behind");
        fs::remove_file(&to).unwrap();
        fs::create_dir(&to).unwrap();
        let message = link(&a, &to).unwrap_err().to_string();
        assert!(message.contains("something else is in its place"), "{message}");
    }
}
