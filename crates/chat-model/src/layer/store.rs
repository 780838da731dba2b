//! Answers in files: one each, whole or absent, and not more of them than allowed.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::{Digest, FORMAT_VERSION, Response};

/// An entry larger than this is not read.
const MAX_ENTRY_BYTES: u64 = 64 << 20;

/// A temporary file older than this was left by a process that died.
const STALE: Duration = Duration::from_hours(1);

/// What is left after making room, so that room is not made for every entry.
const KEPT: f64 = 0.9;

const EXTENSION: &str = "json";

/// An entry as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    version: u32,
    digest: Digest,
    response: Response,
}

/// What was found under a digest.
#[derive(Debug)]
pub(super) enum Found {
    /// The answer.
    Answer(Box<Response>),
    /// Nothing.
    Nothing,
    /// Something else than an entry, and what is wrong with it.
    Corrupt(String),
}

/// A folder of answers by digest: `ab/abcd….json`.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    max_bytes: u64,
    /// Bytes in the folder, as far as this process knows.
    bytes: Mutex<u64>,
}

impl Store {
    /// Opens a folder, made if it is absent.
    pub(super) fn open(folder: &Path, max_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let store = Self { folder: folder.to_owned(), max_bytes, bytes: Mutex::new(0) };
        store.make_room(&mut store.bytes(), max_bytes)?;
        Ok(store)
    }

    fn bytes(&self) -> MutexGuard<'_, u64> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest:.2}")).join(format!("{digest}.{EXTENSION}"))
    }

    /// Reads the answer of a digest, and marks it as used.
    pub(super) fn read(&self, digest: Digest) -> Found {
        let path = self.path(digest);
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|file| {
            (&file).take(MAX_ENTRY_BYTES + 1).read_to_end(&mut text)?;
            Ok(file)
        });
        let file = match read {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            Err(error) => return Found::Corrupt(format!("{}: {error}", path.display())),
        };
        let corrupt = |why: String| Found::Corrupt(format!("{}: {why}", path.display()));
        if text.len() as u64 > MAX_ENTRY_BYTES {
            return corrupt(format!("longer than {MAX_ENTRY_BYTES} bytes"));
        }
        match serde_json::from_slice::<Entry>(&text) {
            Ok(entry) if entry.version != FORMAT_VERSION => {
                corrupt(format!("expected version {FORMAT_VERSION}, found {}", entry.version))
            }
            Ok(entry) if entry.digest != digest => corrupt("another digest in it".to_owned()),
            Ok(entry) => {
                // Only keeps it longer; a folder that cannot be written is still good to read.
                let _ = file.set_modified(SystemTime::now());
                Found::Answer(Box::new(entry.response))
            }
            Err(error) => corrupt(error.to_string()),
        }
    }

    /// Writes the answer of a digest, then makes room if there is too much.
    pub(super) fn write(&self, digest: Digest, response: &Response) -> io::Result<()> {
        let entry = Entry { version: FORMAT_VERSION, digest, response: response.clone() };
        let mut text = serde_json::to_vec(&entry)?;
        text.push(b'\n');
        let path = self.path(digest);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)?;
        let temporary = folder.join(temporary_name());
        let written = write_all(&temporary, &text).and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written?;
        let mut bytes = self.bytes();
        *bytes += text.len() as u64;
        if *bytes > self.max_bytes {
            self.make_room(&mut bytes, (self.max_bytes as f64 * KEPT) as u64)?;
        }
        Ok(())
    }

    /// Counts the files, and deletes those longest unused until at most `allowed` bytes are left.
    ///
    /// Other processes may write and delete at the same time: a file that is gone was deleted.
    fn make_room(&self, bytes: &mut u64, allowed: u64) -> io::Result<()> {
        let mut entries = Vec::new();
        let mut total = 0;
        for folder in fs::read_dir(&self.folder)? {
            let folder = folder?.path();
            if !folder.is_dir() {
                continue;
            }
            for file in fs::read_dir(&folder)? {
                let path = file?.path();
                let Ok(metadata) = path.metadata() else { continue };
                let used_at = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                if path.extension().is_some_and(|e| e == EXTENSION) {
                    total += metadata.len();
                    entries.push((used_at, path, metadata.len()));
                } else if used_at.elapsed().is_ok_and(|age| age > STALE) && is_temporary(&path) {
                    let _ = fs::remove_file(&path);
                }
            }
        }
        if total > allowed {
            entries.sort_unstable();
            for (_, path, len) in entries {
                if total <= allowed {
                    break;
                }
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => total -= len,
                }
            }
        }
        *bytes = total;
        Ok(())
    }
}

const TEMPORARY: &str = ".partial-";

/// A name that no other writer uses.
fn temporary_name() -> String {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let n = WRITTEN.fetch_add(1, Ordering::Relaxed);
    format!("{TEMPORARY}{}-{n}-{:08x}", std::process::id(), rand::random::<u32>())
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(TEMPORARY))
}

fn write_all(path: &Path, text: &[u8]) -> io::Result<()> {
    // Not flushed to the disk: an entry that a power cut leaves empty is asked for again.
    File::create_new(path)?.write_all(text)
}
