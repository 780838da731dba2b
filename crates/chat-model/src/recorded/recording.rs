//! Reading a recording.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
};

use serde::Deserialize;

use super::{Line, Outcome};
use crate::{Digest, Error, FORMAT_VERSION, digest::of_messages, error::io, text::snippet};

/// A line longer than this is not read.
const MAX_LINE_BYTES: u64 = 256 << 20;

/// A recording in memory: the outcomes by digest.
///
/// Requests are checked and forgotten, so that only what was answered takes space.
#[derive(Debug)]
pub struct Recording {
    path: String,
    outcomes: HashMap<Digest, Vec<Outcome>>,
    /// Digests of the conversations alone, to tell a request that is new from one that is altered.
    conversations: HashSet<Digest>,
    models: BTreeSet<String>,
    lines: usize,
    whole_bytes: u64,
}

/// The one field that any version has.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Recording {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Recording`] naming the line that is not one of a recording.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(io("read", path))?;
        let mut recording = Self {
            path: path.display().to_string(),
            outcomes: HashMap::new(),
            conversations: HashSet::new(),
            models: BTreeSet::new(),
            lines: 0,
            whole_bytes: 0,
        };
        let mut reader = BufReader::new(file);
        let mut text = Vec::new();
        loop {
            text.clear();
            let limit = MAX_LINE_BYTES + 1;
            let read = reader.by_ref().take(limit).read_until(b'\n', &mut text);
            let read = read.map_err(io("read", path))? as u64;
            if read == 0 {
                return Ok(recording);
            }
            if text.last() != Some(&b'\n') {
                if read == limit {
                    let expected = format!("at most {MAX_LINE_BYTES} bytes");
                    return Err(recording.wrong(&expected, "more".to_owned()));
                }
                tracing::warn!(path = recording.path, "the last line is cut off and left out");
                return Ok(recording);
            }
            recording.push(&text)?;
            recording.whole_bytes += read;
        }
    }

    /// Takes in the next line.
    fn push(&mut self, text: &[u8]) -> Result<(), Error> {
        let line: Line = match serde_json::from_slice(text) {
            Ok(line) => line,
            Err(error) => {
                return Err(match serde_json::from_slice::<Version>(text) {
                    Ok(v) if v.version != FORMAT_VERSION => self.wrong_version(v.version),
                    _ => {
                        let shown = snippet(&String::from_utf8_lossy(text));
                        self.wrong("a recorded answer", format!("{shown}: {error}"))
                    }
                });
            }
        };
        if line.version != FORMAT_VERSION {
            return Err(self.wrong_version(line.version));
        }
        if let Some(request) = &line.request {
            let digest = request.digest(&line.model);
            if digest != line.digest {
                let expected = format!("digest {digest:.12}, that of its request");
                return Err(self.wrong(&expected, format!("{:.12}", line.digest)));
            }
            self.conversations.insert(of_messages(&request.messages));
        }
        self.models.insert(line.model);
        self.outcomes.entry(line.digest).or_default().push(line.outcome);
        self.lines += 1;
        Ok(())
    }

    /// Number of answers in it.
    pub fn len(&self) -> usize {
        self.lines
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// The models that were recorded, in alphabetical order.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(String::as_str)
    }

    /// Bytes of its whole lines.
    pub(super) fn whole_bytes(&self) -> u64 {
        self.whole_bytes
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// All outcomes of a request, in order.
    pub(super) fn outcomes(&self, digest: Digest) -> &[Outcome] {
        self.outcomes.get(&digest).map_or(&[], Vec::as_slice)
    }

    pub(super) fn has_conversation(&self, digest: Digest) -> bool {
        self.conversations.contains(&digest)
    }

    /// What is wrong with the line after those taken in.
    fn wrong(&self, expected: &str, found: String) -> Error {
        Error::Recording {
            recording: self.path.clone(),
            line: Some(self.lines as u64 + 1),
            expected: expected.to_owned(),
            found,
        }
    }

    fn wrong_version(&self, found: u32) -> Error {
        self.wrong(&format!("version {FORMAT_VERSION}"), found.to_string())
    }
}
