//! Numbers of a run as TensorBoard reads them.
//!
//! A file of records, each an `Event` in protocol buffers' wire format:
//!
//! ```text
//! record  = length (u64) · masked CRC of it · event · masked CRC of it      little endian
//! masked  = rotate_right(CRC-32C, 15) + 0xa282ead8
//! Event   = 1: wall_time (double) · 2: step (int64) · 3: file_version | 5: Summary
//! Summary = 1: Value*,   Value = 1: tag (string) · 2: simple_value (float)
//! ```

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde_json::Value;

use super::{Error, RunDir, io, read_lines, write_bytes};

/// Name of the file: TensorBoard looks for `tfevents` in it.
const NAME: &str = "events.out.tfevents.0.forthright";

/// A growing file of TensorBoard events beside a file of JSON objects.
#[derive(Debug)]
pub struct EventWriter {
    file: File,
    path: PathBuf,
}

impl RunDir {
    /// Events for each object of the file of JSON objects `name` as it is now, such as
    /// [`RunDir::resume_lines`] leaves it, and a writer that goes on from there. Events of an earlier
    /// run are replaced. The time of an event is that of its writing.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`].
    pub fn events(&self, name: &str) -> Result<EventWriter, Error> {
        let path = self.path().join(NAME);
        let now = wall_time();
        let mut bytes = record(&version(now));
        for line in read_lines(&self.path().join(name))?.unwrap_or_default() {
            bytes.extend(event(&line, now));
        }
        write_bytes(&path, &bytes)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(io("write", &path))?;
        Ok(EventWriter { file, path })
    }
}

impl EventWriter {
    /// Appends the numbers of one object under its `step`; those of an object within are tagged
    /// `outer/inner`. What is no finite number is left out, and so is an object without a step.
    ///
    /// # Errors
    /// [`Error::Io`] if the disk is full.
    pub fn push(&mut self, object: &Value) -> Result<(), Error> {
        self.file.write_all(&event(object, wall_time())).map_err(io("write", &self.path))
    }

    /// Where the events are.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn wall_time() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// The record of an object's numbers; nothing if it has none, or no step.
fn event(object: &Value, wall_time: f64) -> Vec<u8> {
    let Some(step) = object["step"].as_u64() else { return Vec::new() };
    let mut values = BTreeMap::new();
    collect(object, "", &mut values);
    let mut summary = Vec::new();
    for (tag, value) in values.iter().filter(|(tag, _)| *tag != "step") {
        let mut of_tag = Vec::new();
        bytes(1, tag.as_bytes(), &mut of_tag);
        of_tag.push(field(2, FOUR_BYTES));
        of_tag.extend(value.to_le_bytes());
        bytes(1, &of_tag, &mut summary);
    }
    if summary.is_empty() {
        return Vec::new();
    }
    let mut out = time(wall_time);
    if step > 0 {
        // Nothing is written for what a field is without being written.
        out.push(field(2, VARINT));
        varint(step, &mut out);
    }
    bytes(5, &summary, &mut out);
    record(&out)
}

/// What every file begins with.
fn version(wall_time: f64) -> Vec<u8> {
    let mut out = time(wall_time);
    bytes(3, b"brain.Event:2", &mut out);
    out
}

fn collect(value: &Value, tag: &str, into: &mut BTreeMap<String, f32>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let tag = if tag.is_empty() { name.clone() } else { format!("{tag}/{name}") };
                collect(value, &tag, into);
            }
        }
        Value::Number(number) => {
            if let Some(number) = number.as_f64() {
                into.insert(tag.to_owned(), number as f32);
            }
        }
        _ => {}
    }
}

const VARINT: u8 = 0;
const EIGHT_BYTES: u8 = 1;
const LENGTH_AND_BYTES: u8 = 2;
const FOUR_BYTES: u8 = 5;

/// What announces a field.
fn field(number: u8, wire_type: u8) -> u8 {
    number << 3 | wire_type
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(number: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(field(number, LENGTH_AND_BYTES));
    varint(content.len() as u64, out);
    out.extend(content);
}

fn time(wall_time: f64) -> Vec<u8> {
    let mut out = vec![field(1, EIGHT_BYTES)];
    out.extend(wall_time.to_le_bytes());
    out
}

fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    [&length, &masked(&length)[..], event, &masked(event)].concat()
}

fn masked(content: &[u8]) -> [u8; 4] {
    crc32c::crc32c(content).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    /// As the reference library writes the same: see `tests/golden/make_events.py`.
    #[test]
    fn bytes_are_those_of_the_reference() {
        let golden = include_bytes!("../../tests/golden/events.tfevents");
        let wall_time = 1_700_000_000.25;
        let ours = [
            record(&version(wall_time)),
            event(&json!({ "step": 0, "loss": 2.5 }), wall_time),
            event(
                &json!({ "step": 300, "loss": -1e-3, "kl": { "k1": 0.125 }, "note": "text" }),
                wall_time,
            ),
        ];
        assert_eq!(ours.concat(), golden);
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        for object in [
            json!({ "loss": 1.0 }),
            json!({ "step": 3 }),
            json!({ "step": 3, "loss": f64::NAN, "note": "text", "list": [1.0] }),
        ] {
            assert_eq!(event(&object, 0.0), Vec::<u8>::new(), "{object}");
        }
    }

    #[test]
    fn events_are_those_of_the_lines_that_stay() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::open(folder.path()).unwrap();
        let mut lines = run.lines("metrics.jsonl").unwrap();
        let mut events = run.events("metrics.jsonl").unwrap();
        let line = |step: u64| json!({ "step": step, "loss": 1.0 });
        for step in 1..=3 {
            lines.push(&line(step)).unwrap();
            events.push(&line(step)).unwrap();
        }
        let whole = fs::read(events.path()).unwrap();
        drop(events);
        run.resume_lines("metrics.jsonl", 2).unwrap();
        let mut events = run.events("metrics.jsonl").unwrap();
        let shorter = fs::read(events.path()).unwrap();
        assert_eq!(whole.len() - shorter.len(), event(&line(3), 0.0).len());
        events.push(&line(3)).unwrap();
        assert_eq!(fs::read(events.path()).unwrap().len(), whole.len());
    }
}
