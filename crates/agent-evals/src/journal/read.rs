//! Reading a journal.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Finish, Header, JOURNAL_VERSION, Record, Start, decode};
use crate::{Error, Event, Key, Trace};

/// A line longer than this is not read.
const MAX_LINE_BYTES: u64 = 1 << 30;

/// What is behind the last whole line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tail {
    /// Nothing.
    None,
    /// A line that was being written.
    CutOff {
        /// Its bytes.
        bytes: u64,
    },
    /// Something that no writer writes: the machine died, or the file was touched.
    Corrupt {
        /// The first line of it, counted from 1.
        line: u64,
        /// What is wrong there.
        reason: String,
        /// Bytes from there to the end.
        bytes: u64,
    },
}

/// What a journal holds, without the events of finished samples.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Index {
    /// What the run is.
    pub header: Header,
    /// All attempts, in the order in which they began.
    pub attempts: Vec<Attempt>,
    /// Bytes of whole lines.
    pub whole_bytes: u64,
    /// What is behind them.
    pub tail: Tail,
}

/// One attempt at a sample.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// With what it began.
    pub start: Start,
    /// Its events, unless it is finished.
    pub events: Vec<Event>,
    /// How it finished.
    pub finish: Option<Finish>,
}

/// A sample that is finished.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Finished {
    /// With what it began.
    pub start: Start,
    /// What happened.
    pub trace: Trace,
    /// How it finished.
    pub finish: Finish,
}

impl Index {
    /// Reads a journal to its last whole line.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Journal`] if it does not begin as a journal of this version.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut lines = Lines::open(path)?;
        let header = lines.header()?;
        let mut attempts: Vec<Attempt> = Vec::new();
        while let Some(record) = lines.next()? {
            match record {
                Record::Start(start) => {
                    attempts.push(Attempt { start: *start, events: Vec::new(), finish: None });
                }
                Record::Event { run, event } => attempts[run as usize].events.push(event),
                Record::Finish(finish) => {
                    let attempt = &mut attempts[finish.run as usize];
                    attempt.events = Vec::new();
                    attempt.finish = Some(*finish);
                }
                Record::Header(_) => {}
            }
        }
        let (whole_bytes, tail) = (lines.whole_bytes, lines.tail);
        Ok(Self { header, attempts, whole_bytes, tail })
    }

    /// Of each sample the attempt that counts: the last that finished, or the last of all. By key.
    pub fn latest(&self) -> BTreeMap<&Key, &Attempt> {
        let mut out: BTreeMap<&Key, &Attempt> = BTreeMap::new();
        for attempt in &self.attempts {
            let kept = out.entry(&attempt.start.key).or_insert(attempt);
            if attempt.finish.is_some() || kept.finish.is_none() {
                *kept = attempt;
            }
        }
        out
    }
}

/// Finished samples of a journal, one after the other, each once.
///
/// Only the samples between their first and last line are in memory.
#[derive(Debug)]
pub struct FinishedIter {
    lines: Lines,
    counted: Vec<bool>,
    open: HashMap<u64, (Start, Vec<Event>)>,
}

impl FinishedIter {
    /// Reads the finished samples of a journal, in the order in which they finished.
    ///
    /// # Errors
    /// As [`Index::read`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let index = Index::read(path)?;
        let mut counted = vec![false; index.attempts.len()];
        for attempt in index.latest().into_values().filter(|a| a.finish.is_some()) {
            counted[attempt.start.run as usize] = true;
        }
        let mut lines = Lines::open(path)?;
        lines.header()?;
        Ok(Self { lines, counted, open: HashMap::new() })
    }
}

impl Iterator for FinishedIter {
    type Item = Result<Finished, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let record = match self.lines.next() {
                Ok(record) => record?,
                Err(error) => return Some(Err(error)),
            };
            match record {
                Record::Start(start) => {
                    if self.counted.get(start.run as usize) == Some(&true) {
                        self.open.insert(start.run, (*start, Vec::new()));
                    }
                }
                Record::Event { run, event } => {
                    if let Some((_, events)) = self.open.get_mut(&run) {
                        events.push(event);
                    }
                }
                Record::Finish(finish) => {
                    let Some((start, events)) = self.open.remove(&finish.run) else { continue };
                    let trace = Trace {
                        key: start.key.clone(),
                        sample: Arc::new(start.sample.clone()),
                        events,
                    };
                    return Some(Ok(Finished { start, trace, finish: *finish }));
                }
                Record::Header(_) => {}
            }
        }
    }
}

/// The whole lines of a journal.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    file_bytes: u64,
    line: u64,
    whole_bytes: u64,
    tail: Tail,
    text: Vec<u8>,
    /// Whether each attempt so far is still open.
    open: Vec<bool>,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("read", path))?;
        let file_bytes = file.metadata().map_err(Error::io("read", path))?.len();
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(1 << 16, file),
            file_bytes,
            line: 0,
            whole_bytes: 0,
            tail: Tail::None,
            text: Vec::new(),
            open: Vec::new(),
        })
    }

    /// The first line, which must be there.
    fn header(&mut self) -> Result<Header, Error> {
        let wrong = |path: &Path, found: String| Error::Journal {
            path: path.to_owned(),
            line: Some(1),
            expected: format!("the beginning of a journal of version {JOURNAL_VERSION}"),
            found,
        };
        match self.next()? {
            Some(Record::Header(header)) if header.version == JOURNAL_VERSION => Ok(header),
            Some(Record::Header(header)) => {
                Err(wrong(&self.path, format!("version {}", header.version)))
            }
            Some(_) => Err(wrong(&self.path, "another record".to_owned())),
            None => {
                // A later version may have another form; its number is then still to be seen.
                let version = serde_json::from_slice::<serde_json::Value>(&self.text)
                    .ok()
                    .and_then(|v| v["record"]["header"]["version"].as_u64())
                    .filter(|v| *v != u64::from(JOURNAL_VERSION));
                let found = match (&self.tail, version) {
                    (_, Some(version)) => format!("version {version}"),
                    (Tail::Corrupt { reason, .. }, None) => reason.clone(),
                    (Tail::CutOff { .. }, None) => "a line that is cut off".to_owned(),
                    (Tail::None, None) => "an empty file".to_owned(),
                };
                Err(wrong(&self.path, found))
            }
        }
    }

    fn next(&mut self) -> Result<Option<Record>, Error> {
        if self.tail != Tail::None {
            return Ok(None);
        }
        self.text.clear();
        let limit = MAX_LINE_BYTES + 1;
        let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.text);
        let read = read.map_err(Error::io("read", &self.path))? as u64;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        let left = self.file_bytes.saturating_sub(self.whole_bytes).max(read);
        let Some(line) = self.text.strip_suffix(b"\n") else {
            // Zeros are what a machine that died leaves, not what a writer was writing.
            self.tail = if self.text.starts_with(b"{") && read < limit {
                Tail::CutOff { bytes: read }
            } else {
                let reason = "bytes that are no line".to_owned();
                Tail::Corrupt { line: self.line, reason, bytes: left }
            };
            return Ok(None);
        };
        match decode(line).and_then(|record| self.follows(record)) {
            Ok(record) => {
                self.whole_bytes += read;
                Ok(Some(record))
            }
            Err(reason) => {
                self.tail = Tail::Corrupt { line: self.line, reason, bytes: left };
                Ok(None)
            }
        }
    }

    /// Checks that a record may come after those before it.
    fn follows(&mut self, record: Record) -> Result<Record, String> {
        let open = |open: &[bool], run: u64| match open.get(run as usize) {
            Some(true) => Ok(()),
            Some(false) => Err(format!("a record of attempt {run}, which is finished")),
            None => Err(format!("a record of attempt {run}, which has not begun")),
        };
        match &record {
            Record::Header(_) if self.line > 1 => return Err("another header".to_owned()),
            Record::Header(_) => {}
            Record::Start(start) if start.run == self.open.len() as u64 => self.open.push(true),
            Record::Start(start) => {
                return Err(format!("attempt {} after {} attempts", start.run, self.open.len()));
            }
            Record::Event { run, .. } => open(&self.open, *run)?,
            Record::Finish(finish) => {
                open(&self.open, finish.run)?;
                self.open[finish.run as usize] = false;
            }
        }
        Ok(record)
    }
}
