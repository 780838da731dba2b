//! Writing a journal.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Header, Index, JOURNAL_VERSION, PREFIX, PlanInfo, Record, encode, read::Tail};
use crate::Error;

/// No first line is as long.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// A journal being written; no other process can write it at the same time.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    end: Mutex<End>,
    file: Arc<File>,
    /// Bytes that are on the disk.
    synced: tokio::sync::Mutex<u64>,
}

#[derive(Debug)]
struct End {
    file: File,
    /// Bytes of whole lines; what is behind them is the start of a line that failed.
    whole_bytes: u64,
    /// Number of the next attempt.
    next_run: u64,
}

impl Journal {
    /// Begins a journal for a new run.
    ///
    /// # Errors
    /// [`Error::Io`], also if there is such a file already.
    pub fn create(path: &Path, plan: PlanInfo) -> Result<Self, Error> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let file = file.map_err(Error::io("create", path))?;
        let journal = Self::over(path, file, 0, 0)?;
        journal.begin(plan)?;
        Ok(journal)
    }

    /// Opens a journal to go on with, and says what is in it.
    ///
    /// What is behind the last whole line is moved to a file of its own beside it, unless it is
    /// merely a line that was cut off, which is removed. A journal whose very first line was cut off
    /// begins anew: nothing had been run.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Journal`] if it is something else, of another version, of another
    /// plan, or being written.
    pub fn open(path: &Path, plan: &PlanInfo) -> Result<(Self, Index), Error> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(Error::io("open", path))?;
        lock(path, &file)?;
        if first_line_is_cut_off(path)? {
            file.set_len(0).map_err(Error::io("cut", path))?;
            let journal = Self::over(path, file, 0, 0)?;
            journal.begin(plan.clone())?;
            let index = Index::read(path)?;
            return Ok((journal, index));
        }
        let index = Index::read(path)?;
        if let Some((field, expected, found)) = index.header.plan.differs(plan) {
            return Err(Error::Journal {
                path: path.to_owned(),
                line: Some(1),
                expected: format!("{field} {expected}, as this run has it"),
                found,
            });
        }
        if let Tail::Corrupt { reason, .. } = &index.tail {
            let aside = set_aside(path, index.whole_bytes)?;
            let aside = aside.display().to_string();
            tracing::warn!(path = %path.display(), aside, reason, "the journal's tail is corrupt");
        }
        file.set_len(index.whole_bytes).map_err(Error::io("cut", path))?;
        let next_run = index.attempts.len() as u64;
        Ok((Self::over(path, file, index.whole_bytes, next_run)?, index))
    }

    fn over(path: &Path, mut file: File, whole_bytes: u64, next_run: u64) -> Result<Self, Error> {
        lock(path, &file)?;
        file.seek(SeekFrom::Start(whole_bytes)).map_err(Error::io("write", path))?;
        let shared = Arc::new(file.try_clone().map_err(Error::io("write", path))?);
        Ok(Self {
            path: path.to_owned(),
            end: Mutex::new(End { file, whole_bytes, next_run }),
            file: shared,
            synced: tokio::sync::Mutex::new(0),
        })
    }

    fn begin(&self, plan: PlanInfo) -> Result<(), Error> {
        let created = jiff::Timestamp::now().to_string();
        self.append(&Record::Header(Header { version: JOURNAL_VERSION, created, plan }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number for another attempt, and its first record.
    pub(crate) fn start(&self, start: impl FnOnce(u64) -> Record) -> Result<u64, Error> {
        // Under the lock, so that attempts are numbered in the order of their lines.
        let mut end = self.lock();
        let run = end.next_run;
        end.write(&self.path, &encode(&start(run)))?;
        end.next_run += 1;
        Ok(run)
    }

    pub(crate) fn append(&self, record: &Record) -> Result<(), Error> {
        self.append_lines(&encode(record))
    }

    /// Appends lines made by [`encode`].
    pub(crate) fn append_lines(&self, lines: &[u8]) -> Result<(), Error> {
        self.lock().write(&self.path, lines)
    }

    /// Waits until all that was appended is on the disk. Many who wait at a time wait for one flush.
    pub(crate) async fn sync(&self) -> Result<(), Error> {
        let wanted = self.lock().whole_bytes;
        let mut synced = self.synced.lock().await;
        if *synced >= wanted {
            return Ok(());
        }
        let (file, all) = (Arc::clone(&self.file), self.lock().whole_bytes);
        let done = tokio::task::spawn_blocking(move || file.sync_data()).await;
        done.unwrap_or_else(|_| Err(std::io::Error::other("the runtime is shutting down")))
            .map_err(Error::io("flush", &self.path))?;
        *synced = all;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl End {
    fn write(&mut self, path: &Path, lines: &[u8]) -> Result<(), Error> {
        if let Err(error) = self.file.write_all(lines) {
            // The next line must not continue half of this one.
            let _ = self.file.set_len(self.whole_bytes);
            let _ = self.file.seek(SeekFrom::Start(self.whole_bytes));
            return Err(Error::io("write", path)(error));
        }
        self.whole_bytes += lines.len() as u64;
        Ok(())
    }
}

/// Whether a file is the beginning of a journal's first line, or empty.
fn first_line_is_cut_off(path: &Path) -> Result<bool, Error> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(Error::io("read", path))?;
    file.take(MAX_HEADER_BYTES).read_to_end(&mut start).map_err(Error::io("read", path))?;
    let n = start.len().min(PREFIX.len());
    Ok(start[..n] == PREFIX[..n]
        && !start.contains(&b'\n')
        && (start.len() as u64) < MAX_HEADER_BYTES)
}

fn lock(path: &Path, file: &File) -> Result<(), Error> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::Journal {
            path: path.to_owned(),
            line: None,
            expected: "one writer".to_owned(),
            found: "another process that writes it".to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", path)(error)),
    }
}

/// Copies what is behind the whole lines to a new file beside the journal.
fn set_aside(path: &Path, whole_bytes: u64) -> Result<PathBuf, Error> {
    let mut source = File::open(path).map_err(Error::io("read", path))?;
    source.seek(SeekFrom::Start(whole_bytes)).map_err(Error::io("read", path))?;
    let mut n = 1;
    loop {
        let aside = path.with_extension(format!("corrupt-{n}"));
        match OpenOptions::new().write(true).create_new(true).open(&aside) {
            Ok(mut file) => {
                std::io::copy(&mut source, &mut file)
                    .and_then(|_| file.sync_all())
                    .map_err(Error::io("write", &aside))?;
                return Ok(aside);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => n += 1,
            Err(error) => return Err(Error::io("write", &aside)(error)),
        }
    }
}

impl PlanInfo {
    /// The first field in which another plan differs from this one, with what it has there.
    fn differs(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let show = |value: &dyn std::fmt::Debug| crate::error::snippet(&format!("{value:?}"));
        let fields: [(&'static str, bool, String, String); 6] = [
            ("seed", self.seed == other.seed, show(&other.seed), show(&self.seed)),
            (
                "scenarios",
                self.scenarios == other.scenarios,
                show(&other.scenarios),
                show(&self.scenarios),
            ),
            ("agents", self.agents == other.agents, show(&other.agents), show(&self.agents)),
            (
                "personas",
                self.personas == other.personas,
                show(&other.personas),
                show(&self.personas),
            ),
            ("epochs", self.epochs == other.epochs, show(&other.epochs), show(&self.epochs)),
            ("cells", self.cells == other.cells, show(&other.cells), show(&self.cells)),
        ];
        fields
            .into_iter()
            .find(|(_, same, ..)| !same)
            .map(|(field, _, wanted, found)| (field, wanted, found))
    }
}
