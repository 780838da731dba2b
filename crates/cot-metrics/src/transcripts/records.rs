//! Recorded log-probabilities.

use std::{collections::HashMap, io::BufRead, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::{Flag, Flaw, lines::Lines};
use crate::{Arm, Error, Outcome, Record};

/// Records of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordSet {
    /// Those that can be used, in the order of the file.
    pub records: Vec<Record>,
    /// What was left out, and why.
    pub flags: Vec<Flag>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: Value,
    correct: Option<bool>,
    arms: std::collections::BTreeMap<Arm, Outcome>,
}

/// Reads records ([`Record`]), one object a line. Those whose id was there before are flagged.
///
/// # Errors
/// [`Error::Io`]; [`Error::Line`] for a line that is no record; [`Error::Empty`] without lines.
pub fn read_records(reader: impl BufRead, path: &Path) -> Result<RecordSet, Error> {
    let mut set = RecordSet::default();
    let mut seen = HashMap::new();
    let mut lines = Lines::new(reader, path);
    while let Some((line, row)) = lines.next::<Row>()? {
        let id = lines.id(line, &row.id)?;
        if let Some(&first) = seen.get(&id) {
            set.flags.push(Flag { line, id: Some(id), flaw: Flaw::DuplicateId { first } });
            continue;
        }
        seen.insert(id.clone(), line);
        set.records.push(Record { id, correct: row.correct, arms: row.arms });
    }
    if seen.is_empty() {
        return Err(Error::Empty { path: path.to_owned(), what: "record" });
    }
    Ok(set)
}
