//! Objects, one a line, from a file or standard input.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::Context as _;
use serde::de::DeserializeOwned;

/// Lines of a file, each with its number; `-` is standard input. Empty lines are passed over.
pub(crate) struct Lines {
    name: String,
    reader: Box<dyn BufRead>,
    number: usize,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if path.as_os_str() == "-" {
            let reader = Box::new(std::io::stdin().lock());
            return Ok(Self { name: "standard input".into(), reader, number: 0 });
        }
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
        Ok(Self { name, reader: Box::new(BufReader::new(file)), number: 0 })
    }

    /// Up to `count` objects with the place they came from; none at the end.
    pub(crate) fn take<T: DeserializeOwned>(
        &mut self,
        count: usize,
    ) -> anyhow::Result<Vec<(String, T)>> {
        let mut out = Vec::new();
        let mut line = Vec::new();
        while out.len() < count {
            line.clear();
            let place = format!("{}: line {}", self.name, self.number + 1);
            let read = self.reader.read_until(b'\n', &mut line);
            if read.with_context(|| format!("{place}: cannot be read"))? == 0 {
                break;
            }
            self.number += 1;
            let text =
                std::str::from_utf8(&line).with_context(|| format!("{place}: expected UTF-8"))?;
            if text.trim().is_empty() {
                continue;
            }
            let value = serde_json::from_str(text).with_context(|| place.clone())?;
            out.push((place, value));
        }
        Ok(out)
    }
}
