//! Fetching with the user's pip, checking, unpacking.

use std::{
    fs::{self, File},
    io::{IsTerminal as _, Read as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use super::{last_line, lock::Wheel};

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

/// What pip says when it does not get through to an index. What it says last is that there is no
/// such package, which would mislead.
const NO_CONNECTION: [&str; 6] = [
    "NewConnectionError",
    "Connection refused",
    "ConnectTimeoutError",
    "NameResolutionError",
    "Name or service not known",
    "Temporary failure in name resolution",
];

/// A Python that fetches and unpacks.
pub(crate) struct Python(PathBuf);

impl Default for Python {
    fn default() -> Self {
        Self("python3".into())
    }
}

impl Python {
    #[cfg(test)]
    pub(super) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Starts with what is common to all: its arguments follow.
    pub(crate) fn command(&self) -> Command {
        Command::new(&self.0)
    }

    fn name(&self) -> std::path::Display<'_> {
        self.0.display()
    }

    /// There must be a Python, and it must have pip.
    pub(crate) fn need_pip(&self) -> anyhow::Result<()> {
        match self.command().args(["-m", "pip", "--version"]).output() {
            Err(_) => bail!(
                "{} does not run; install Python 3 with pip to fetch libtorch, or set LIBTORCH",
                self.name()
            ),
            Ok(out) if !out.status.success() => bail!(
                "{} has no pip; install it (on Debian: apt install python3-pip), or set LIBTORCH",
                self.name()
            ),
            Ok(_) => Ok(()),
        }
    }

    /// Lets pip put the wheel into a folder that is empty.
    pub(super) fn fetch(
        &self,
        wheel: &Wheel,
        folder: &Path,
        guard: &File,
    ) -> anyhow::Result<PathBuf> {
        let mut command = self.command();
        command.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"]);
        // The cache is ours; a second copy in pip's would only fill the disk.
        command.args(["--no-cache-dir", "--disable-pip-version-check"]);
        command.args(["--python-version", "3.12", "--implementation", "cp"]);
        command.args(["--platform", &wheel.tag, "--dest"]).arg(folder).arg(&wheel.requirement);
        // Its temporary files belong where there is room for the wheel.
        command.env("TMPDIR", folder.parent().unwrap_or(folder));
        let out = run_pip(&mut command, guard)?;
        if let Some(cause) = out {
            bail!("pip cannot fetch {}: {cause}", wheel.requirement);
        }
        let mut files =
            fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
        match files.next() {
            Some(file) => Ok(file?.path()),
            None => bail!("pip fetched no file for {}", wheel.requirement),
        }
    }

    /// Takes what is kept of a wheel.
    pub(super) fn unpack(&self, wheel: &Wheel, file: &Path, out: &Path) -> anyhow::Result<()> {
        let result = self
            .command()
            .args(["-c", EXTRACT])
            .arg(file)
            .arg(out)
            .args(wheel.keep.iter().flatten())
            .output()
            .with_context(|| format!("cannot run {}", self.name()))?;
        if !result.status.success() {
            let cause = last_line(&result.stderr);
            bail!("cannot unpack {} into {}: {cause}", wheel.requirement, out.display());
        }
        Ok(())
    }
}

impl Wheel {
    pub(super) fn verify(&self, file: &Path) -> anyhow::Result<()> {
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
}

/// Runs pip, which shows its progress on a terminal; why it failed, if it did.
///
/// `guard` becomes its standard input, so that the cache stays locked for as long as it lives: it
/// goes on for a while when this process is killed.
pub(crate) fn run_pip(command: &mut Command, guard: &File) -> anyhow::Result<Option<String>> {
    command.stdin(Stdio::from(guard.try_clone()?));
    if std::io::stderr().is_terminal() {
        command.stdout(Stdio::from(std::io::stderr().as_fd().try_clone_to_owned()?));
    } else {
        command.env("PIP_QUIET", "1").stdout(Stdio::null());
    }
    let child = command.stderr(Stdio::piped()).spawn();
    let out = child
        .and_then(std::process::Child::wait_with_output)
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if out.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&out.stderr);
    if let Some(sign) = NO_CONNECTION.iter().find(|sign| text.contains(*sign)) {
        return Ok(Some(format!(
            "no connection to the package index ({sign}); check the network and `pip config list`, \
             then run this again"
        )));
    }
    Ok(Some(last_line(&out.stderr)))
}

/// Keeps other set-ups out of the cache until the file and all its clones are closed.
pub(crate) fn exclusive(cache: &Path) -> anyhow::Result<File> {
    let refused = || format!("cannot write to the cache folder {}", cache.display());
    fs::create_dir_all(cache).with_context(refused)?;
    let guard = File::create(cache.join("lock")).with_context(refused)?;
    if guard.try_lock().is_err() {
        crate::report("waiting for another set-up, which is at work in the cache");
        guard
            .lock()
            .with_context(|| format!("cannot lock the cache folder {}", cache.display()))?;
    }
    Ok(guard)
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

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |out, byte| out + &format!("{byte:02x}"))
}
