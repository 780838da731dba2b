//! Containers of rows: JSON Lines, plain or compressed by gzip, and Parquet.
//!
//! A container gives rows as JSON objects with the place they stand at, and knows nothing of what is
//! in them. Which one a file is shows in its first bytes; its name does not matter.

mod jsonl;
mod parquet;

use std::{
    fs::File,
    io::{BufReader, Read as _, Seek as _},
    path::Path,
};

use serde_json::{Map, Value};

use crate::{
    Error, Place,
    error::{Fault, RowError},
};

/// One row: its place, and its fields or why they cannot be read.
pub(crate) struct RawRow {
    pub(crate) place: Place,
    pub(crate) fields: Result<Map<String, Value>, Fault>,
}

/// The rows of a file in order. After an error there are no more.
pub(crate) struct Rows<'a> {
    /// What messages call the file.
    pub(crate) file: String,
    rows: Box<dyn Iterator<Item = Result<RawRow, Error>> + 'a>,
}

impl Iterator for Rows<'_> {
    type Item = Result<RawRow, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next()
    }
}

impl Rows<'_> {
    pub(crate) fn fault(&self, place: Place, fault: Fault) -> RowError {
        fault.at(&self.file, place)
    }
}

/// The rows of a file of either kind.
pub(crate) fn open(path: &Path, max_line_bytes: usize) -> Result<Rows<'static>, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let name = path.display().to_string();
    let mut file = File::open(path).map_err(io)?;
    let mut magic = Vec::new();
    file.by_ref().take(4).read_to_end(&mut magic).map_err(io)?;
    file.rewind().map_err(io)?;
    let rows: Box<dyn Iterator<Item = _>> = match magic.as_slice() {
        b"PAR1" => Box::new(parquet::rows(file, path)?),
        [0x1f, 0x8b, ..] => {
            let decoder = flate2::read::MultiGzDecoder::new(BufReader::new(file));
            Box::new(jsonl::Lines::new(BufReader::new(decoder), path, max_line_bytes))
        }
        _ => Box::new(jsonl::Lines::new(BufReader::new(file), path, max_line_bytes)),
    };
    Ok(Rows { file: name, rows })
}

/// The rows of JSON Lines held in memory.
pub(crate) fn text<'a>(name: &str, text: &'a str, max_line_bytes: usize) -> Rows<'a> {
    let rows = jsonl::Lines::new(text.as_bytes(), Path::new(name), max_line_bytes);
    Rows { file: name.to_owned(), rows: Box::new(rows) }
}
