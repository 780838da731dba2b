//! A run directory: configuration, environment, metrics, samples and claims of one pipeline.
//!
//! ```text
//! DIR/config.toml     the resolved configuration
//! DIR/run.json        version, seed, threads, start, end, command
//! DIR/metrics.jsonl   one object a step
//! DIR/samples.jsonl   what the model said
//! DIR/events.out.tfevents.*   the metrics again, for TensorBoard
//! DIR/claims.json     claims and what was measured
//! DIR/checkpoints/step-000100/   what a resumed run goes on from; whole or absent
//! ```

mod checkpoint;
mod claim;
mod events;

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

pub use checkpoint::Checkpoint;
pub use claim::{Claim, Statement};
pub use events::EventWriter;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// What can go wrong with a run directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file that is not what a run writes.
    #[error("{}: line {line}: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A target that cannot be compared with.
    #[error("claim {id}: expected a target such as `<= 0.001`, found `{target}`")]
    Claim {
        /// Name of the claim.
        id: String,
        /// Its target.
        target: String,
    },
    /// Another process is writing to the folder.
    #[error("{} is in use by another run", path.display())]
    Busy {
        /// The run directory.
        path: PathBuf,
    },
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io { action, path: path.to_owned(), source }
}

/// Under what a run was made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunInfo {
    /// Version of the program.
    pub version: String,
    /// Commit it was built from, if known.
    pub commit: Option<String>,
    /// Root seed.
    pub seed: u64,
    /// Threads that compute.
    pub threads: usize,
    /// Where tensors were.
    pub device: String,
    /// Start, RFC 3339.
    pub start: String,
    /// End, RFC 3339; none while it runs or if it was killed.
    pub end: Option<String>,
    /// Arguments.
    pub command: Vec<String>,
}

/// A run directory that this process writes to; no other can at the same time.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: File,
}

impl RunDir {
    /// Opens `path`, creating it if need be, and locks it.
    ///
    /// # Errors
    /// [`Error::Busy`] if another run has it; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(io("create", path))?;
        let lock = path.join(".lock");
        let lock = File::create(&lock).map_err(io("write", &lock))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(Error::Busy { path: path.to_owned() }),
            Err(fs::TryLockError::Error(source)) => Err(io("lock", path)(source)),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a text file whole: under a temporary name first, so that it is old or new, never half.
    ///
    /// # Errors
    /// [`Error::Io`]; the old file is then still there.
    pub fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        write_whole(&self.path.join(name), text)
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_info(&self, info: &RunInfo) -> Result<(), Error> {
        self.write("run.json", &pretty(info))
    }

    /// Writes `claims.json`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_claims(&self, claims: &[Claim]) -> Result<(), Error> {
        self.write("claims.json", &pretty(&claims))
    }

    /// Goes on with a file of JSON objects: those whose `step` is at most `last_step` stay, later
    /// ones are what a run wrote between its last checkpoint and its end, and go.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`].
    pub fn resume_lines(&self, name: &str, last_step: u64) -> Result<LineWriter, Error> {
        let path = self.path.join(name);
        let mut kept: Vec<String> = read_lines(&path)?
            .unwrap_or_default()
            .iter()
            .filter(|line| line["step"].as_u64().is_none_or(|step| step <= last_step))
            .map(ToString::to_string)
            .collect();
        // The last line ends too.
        kept.push(String::new());
        self.write(name, &kept.join("\n"))?;
        let file = OpenOptions::new().append(true).open(&path);
        Ok(LineWriter { file: file.map_err(io("write", &path))?, path })
    }

    /// Starts a file of JSON objects, one a line, replacing an older one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn lines(&self, name: &str) -> Result<LineWriter, Error> {
        let path = self.path.join(name);
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(&path);
        Ok(LineWriter { file: file.map_err(io("write", &path))?, path })
    }
}

fn pretty(value: &impl Serialize) -> String {
    // Types of this module hold nothing that JSON cannot.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// Writes a text file under a temporary name and renames it.
///
/// # Errors
/// [`Error::Io`]; an old file of that name is then still there.
pub fn write_whole(path: &Path, text: &str) -> Result<(), Error> {
    write_bytes(path, text.as_bytes())
}

fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let partial = path.with_extension("partial");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(|source| {
        // Of no use to anybody.
        let _ = fs::remove_file(&partial);
        io("write", path)(source)
    })
}

/// A growing file of JSON objects.
#[derive(Debug)]
pub struct LineWriter {
    file: File,
    path: PathBuf,
}

impl LineWriter {
    /// Appends one object. Numbers that are not finite become `null`.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk is full.
    pub fn push(&mut self, object: &serde_json::Value) -> Result<(), Error> {
        self.file.write_all(format!("{object}\n").as_bytes()).map_err(io("write", &self.path))
    }

    /// Flushes to the disk. To be called before a checkpoint is written, which must not outlive the
    /// lines that came before it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(io("write", &self.path))
    }
}

/// Reads a whole JSON file of a run; none if there is no such file.
///
/// # Errors
/// [`Error::Io`] or [`Error::Format`].
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path).map_err(io("read", path))?;
    serde_json::from_str(&text).map(Some).map_err(|e| Error::Format {
        path: path.to_owned(),
        line: e.line(),
        message: e.to_string(),
    })
}

/// Reads a file of JSON objects; none if there is no such file.
///
/// A last line that a kill has torn is left out.
///
/// # Errors
/// [`Error::Io`], or [`Error::Format`] naming a line that is not the last.
pub fn read_lines(path: &Path) -> Result<Option<Vec<serde_json::Value>>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path).map_err(io("read", path))?;
    let mut out = Vec::new();
    for (i, line) in text.split_inclusive('\n').enumerate() {
        match serde_json::from_str(line) {
            Ok(value) => out.push(value),
            Err(_) if !line.ends_with('\n') => {}
            Err(e) => {
                return Err(Error::Format {
                    path: path.to_owned(),
                    line: i + 1,
                    message: e.to_string(),
                });
            }
        }
    }
    Ok(Some(out))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_folder_has_one_writer() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunDir::open(folder.path()).unwrap();
        assert!(matches!(RunDir::open(folder.path()), Err(Error::Busy { .. })));
        drop(first);
        RunDir::open(folder.path()).unwrap();
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path()).unwrap();
        let mut lines = run.lines("metrics.jsonl").unwrap();
        lines.push(&json!({ "step": 1 })).unwrap();
        lines.push(&json!({ "step": 2, "loss": f64::NAN })).unwrap();
        let path = folder.path().join("metrics.jsonl");
        let whole = fs::read_to_string(&path).unwrap();
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            read_lines(&path)
        };
        assert_eq!(read(&whole).unwrap().unwrap().len(), 2);
        assert_eq!(read(&whole[..whole.len() - 3]).unwrap().unwrap().len(), 1);
        let message = read(&format!("oops\n{whole}")).unwrap_err().to_string();
        assert!(message.contains("line 1"), "{message}");
        assert_eq!(read_lines(&folder.path().join("none")).unwrap(), None);
    }

    #[test]
    fn files_are_old_or_new() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path()).unwrap();
        run.write("config.toml", "a = 1\n").unwrap();
        run.write("config.toml", "a = 2\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("config.toml")).unwrap(), "a = 2\n");
        // A folder in the way of the temporary name: nothing is lost.
        fs::create_dir(folder.path().join("config.partial")).unwrap();
        assert!(run.write("config.toml", "a = 3\n").is_err());
        assert_eq!(fs::read_to_string(folder.path().join("config.toml")).unwrap(), "a = 2\n");
    }
}
