//! Objects, one a line. Empty lines are passed over.

use std::{
    io::{BufRead, Read as _},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, error::shown};

/// Longest line that is read: a chain of a million tokens fits.
const MAX_LINE_BYTES: usize = 64 << 20;

/// Lines of a file, one held at a time.
pub(super) struct Lines<R> {
    reader: R,
    path: PathBuf,
    number: usize,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, path: &Path) -> Self {
        Self { reader, path: path.to_owned(), number: 0, buffer: Vec::new() }
    }

    /// The next object and its line; none at the end.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<(usize, T)>, Error> {
        loop {
            self.buffer.clear();
            let limit = MAX_LINE_BYTES as u64 + 1;
            let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|source| Error::Io { path: self.path.clone(), source })?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            let line = self.number;
            if read > MAX_LINE_BYTES {
                let expected = format!("at most {MAX_LINE_BYTES} bytes");
                return Err(self.wrong(line, "line", &expected, "a longer one"));
            }
            let text = self.buffer.strip_prefix(b"\xef\xbb\xbf".as_slice());
            let text = text.filter(|_| line == 1).unwrap_or(&self.buffer);
            let Ok(text) = std::str::from_utf8(text) else {
                return Err(self.wrong(line, "line", "UTF-8", "other bytes"));
            };
            if text.trim().is_empty() {
                continue;
            }
            return match serde_json::from_str(text) {
                Ok(value) => Ok(Some((line, value))),
                Err(error) => {
                    // One line was parsed, so its own count of lines says nothing.
                    let message = error.to_string();
                    let cause = message.split(" at line ").next().unwrap_or(&message);
                    let found = format!("{} at column {}", shown(cause), error.column());
                    Err(self.wrong(line, "line", "one JSON object of known fields", &found))
                }
            };
        }
    }

    /// An id as text.
    pub(super) fn id(&self, line: usize, id: &Value) -> Result<String, Error> {
        match id {
            Value::String(id) if !id.is_empty() => Ok(id.clone()),
            Value::Number(id) => Ok(id.to_string()),
            other => {
                let found = shown(&other.to_string());
                Err(self.wrong(line, "id", "a text that is not empty, or a number", &found))
            }
        }
    }

    pub(super) fn wrong(&self, line: usize, field: &str, expected: &str, found: &str) -> Error {
        Error::Line {
            path: self.path.clone(),
            line,
            field: field.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }
}
