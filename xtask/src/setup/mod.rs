//! `cargo xtask setup`: libtorch and the default model in the user's cache, linked into `target/`.
//!
//! A cached folder is made under a temporary name and renamed when it is whole, so whatever is there
//! under its own name is complete; its name holds the digests of what it was made from.

mod cache;
mod check;
mod links;
mod lock;
mod own;
mod wheel;

use std::path::{Path, PathBuf};

use anyhow::bail;
pub(crate) use cache::cache_dir;
use cache::{Asset, Cache};
use clap::Args;
use lock::Lock;
pub(crate) use wheel::{Python, exclusive, run_pip};

use crate::Outcome;

/// Fetches libtorch and the default model into the user's cache and links them into target/
///
/// libtorch is, in this order: the folder that LIBTORCH names; that of a Python with the right torch,
/// if --python or `LIBTORCH_USE_PYTORCH=1` asks for it; else what is fetched with pip. The cache is
/// `$FORTHRIGHT_CACHE`, or forthright/ in the user's folder for caches.
#[derive(Args, Default)]
pub(crate) struct Setup {
    /// Keep the CUDA libraries too (Linux; about 2.5 GB to fetch, 4 GB kept)
    #[arg(long)]
    cuda: bool,
    /// Use the torch of this Python instead of fetching one
    #[arg(long, conflicts_with = "cuda", value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Only say what is there, what is missing and how to mend it
    #[arg(long)]
    check: bool,
}

/// Where libtorch comes from.
enum Source<'a> {
    /// A folder of the user's.
    Own(PathBuf),
    /// The link that is there leads to one that will do.
    Linked(PathBuf),
    /// A folder of the cache, to be made if it is not there.
    Cached(Asset<'a>),
}

impl Setup {
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        if self.check {
            return check::check(self);
        }
        self.ensure(false)?;
        Ok(Outcome::Fine)
    }

    fn ensure(&self, keep_linked: bool) -> anyhow::Result<()> {
        check::need_compiler()?;
        let lock = Lock::read()?;
        let cache = Cache::new(cache_dir()?, Python::default());
        let libtorch = match self.source(&lock, &cache, keep_linked)? {
            Source::Own(path) | Source::Linked(path) => path,
            Source::Cached(asset) => cache.ensure(&asset)?,
        };
        let models = cache.ensure(&Asset::models(&lock))?;
        let templates = cache.ensure(&Asset::templates(&lock))?;
        links::all(&libtorch, &models, &templates)
    }

    /// What was asked for; with `keep_linked`, what an earlier set-up was asked for stays.
    fn source<'a>(
        &self,
        lock: &'a Lock,
        cache: &Cache,
        keep_linked: bool,
    ) -> anyhow::Result<Source<'a>> {
        if let Some(path) = own::from_environment() {
            if self.cuda || self.python.is_some() {
                bail!(
                    "LIBTORCH is {}, which comes before --cuda and --python: unset one of them",
                    path.display()
                );
            }
            own::check_version(&path, &lock.torch, "LIBTORCH")?;
            return Ok(Source::Own(path));
        }
        if let Some(python) = self.python.clone().or_else(own::python_from_environment) {
            return own::of_python(&python, &lock.torch).map(Source::Own);
        }
        if keep_linked && let Some(path) = links::linked(lock, cache) {
            return Ok(Source::Linked(path));
        }
        let name = if self.cuda { "libtorch-cuda" } else { "libtorch" };
        Asset::libtorch(lock, name).map(Source::Cached)
    }
}

/// Makes sure that everything is there; quiet and quick if it is.
///
/// What `setup` was last asked for stays, so that a task started later does not undo `--cuda`.
pub(crate) fn ensure() -> anyhow::Result<()> {
    Setup::default().ensure(true)
}

/// Digest of what a folder of the cache is made from, as its name shows it.
pub(crate) fn short_digest(parts: &[&str]) -> String {
    use sha2::{Digest as _, Sha256};
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    wheel::hex(&digest.finalize())[..12].to_owned()
}

/// The last line that says something, of a program that failed.
pub(crate) fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if text.contains("[Errno 28]") {
        return "no space left on the disk; FORTHRIGHT_CACHE may name a folder on another".into();
    }
    let line = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no message");
    line.trim().trim_start_matches("ERROR: ").to_owned()
}

/// Whether something is there, a link that leads nowhere counting as well.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
