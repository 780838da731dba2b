//! JSON Lines: one object a line, in UTF-8. Empty lines are passed over.

use std::{
    io::{self, BufRead, Read as _},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::RawRow;
use crate::{
    Error, Place,
    error::{Fault, shown},
    layout::describe,
};

/// Rows of a text, one line held at a time.
pub(crate) struct Lines<R> {
    reader: R,
    path: PathBuf,
    max_line_bytes: usize,
    number: usize,
    buffer: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R, path: &Path, max_line_bytes: usize) -> Self {
        let path = path.to_owned();
        Self { reader, path, max_line_bytes, number: 0, buffer: Vec::new(), ended: false }
    }

    /// Reads the next line without its end into the buffer; false where there is none. A line that
    /// is too long is read past, but not kept: the buffer then holds more than the limit.
    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        let limit = self.max_line_bytes as u64 + 1;
        let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
        } else if self.buffer.len() > self.max_line_bytes {
            self.pass_line()?;
        }
        Ok(true)
    }

    fn pass_line(&mut self) -> io::Result<()> {
        loop {
            let chunk = self.reader.fill_buf()?;
            if chunk.is_empty() {
                return Ok(());
            }
            let end = chunk.iter().position(|&b| b == b'\n');
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.reader.consume(used);
            if end.is_some() {
                return Ok(());
            }
        }
    }

    fn failed(&mut self, source: io::Error) -> Error {
        self.ended = true;
        match source.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput => Error::Container {
                file: self.path.display().to_string(),
                place: Some(Place::Line(self.number + 1)),
                expected: "a whole gzip stream",
                found: shown(&source.to_string()),
            },
            _ => Error::Io { path: self.path.clone(), source },
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<RawRow, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => self.ended = true,
                Err(source) => return Some(Err(self.failed(source))),
            }
            if self.ended {
                break;
            }
            let line = if self.number == 1 {
                self.buffer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.buffer)
            } else {
                &self.buffer
            };
            if line.len() > self.max_line_bytes {
                let expected = format!("a line of at most {} bytes", self.max_line_bytes);
                let fields = Err(Fault::new("row", expected, "a longer one"));
                return Some(Ok(RawRow { place: Place::Line(self.number), fields }));
            }
            if !line.trim_ascii().is_empty() {
                let fields = parse(line);
                return Some(Ok(RawRow { place: Place::Line(self.number), fields }));
            }
        }
        None
    }
}

fn parse(line: &[u8]) -> Result<Map<String, Value>, Fault> {
    let text = str::from_utf8(line).map_err(|e| {
        let at = e.valid_up_to();
        Fault::new(
            "row",
            "UTF-8",
            format!("byte 0x{:02x} at byte {} of the line", line[at], at + 1),
        )
    })?;
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(Fault::new("row", "an object", describe(&other))),
        Err(error) => {
            // One line was parsed, so its own count of lines says nothing.
            let message = error.to_string();
            let cause = message.split(" at line ").next().unwrap_or(&message);
            let found = format!("{cause} at column {}", error.column());
            Err(Fault::new("row", "one JSON object a line", found))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], max_line_bytes: usize) -> Vec<(Place, Result<usize, String>)> {
        Lines::new(text, Path::new("x"), max_line_bytes)
            .map(|row| row.unwrap())
            .map(|row| (row.place, row.fields.map(|f| f.len()).map_err(|f| f.found)))
            .collect()
    }

    #[test]
    fn lines_are_counted_and_bounded() {
        let text = b"\xef\xbb\xbf{\"a\": 1}\r\n\n{\"a\": 1, \"b\": 22222222}\n{}";
        assert_eq!(
            read(text, 12),
            [
                (Place::Line(1), Ok(1)),
                (Place::Line(3), Err("a longer one".into())),
                (Place::Line(4), Ok(0)),
            ]
        );
    }

    #[test]
    fn a_line_may_be_just_as_long_as_the_limit() {
        for text in [b"{\"a\": 1}\n{}".as_slice(), b"{\"a\": 1}"] {
            assert_eq!(read(text, 8)[0].1, Ok(1));
            assert_eq!(read(text, 7)[0].1, Err("a longer one".into()));
        }
    }

    #[test]
    fn what_is_no_object_is_named() {
        let found = |text: &[u8]| read(text, 100).remove(0).1.unwrap_err();
        assert_eq!(found(b"[1, 2]"), "a list of 2");
        assert_eq!(found(b"{\"a\": \xff}"), "byte 0xff at byte 7 of the line");
        assert_eq!(found(b"{\"a\": }"), "expected value at column 7");
        let deep = "[".repeat(90);
        assert!(
            found(deep.as_bytes()).starts_with("EOF while parsing"),
            "{}",
            found(deep.as_bytes())
        );
    }
}
