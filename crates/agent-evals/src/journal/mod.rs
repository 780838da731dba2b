//! What happened in a run, put down as it happens.
//!
//! A journal is a file of JSON Lines that is only ever appended to:
//!
//! ```text
//! {"crc":"9ae0daaf","record":{"header":{"version":1,"plan":{…}}}}
//! {"crc":"…","record":{"start":{"run":0,"key":{…},"sample":{…},…}}}
//! {"crc":"…","record":{"event":{"run":0,"event":{"at_us":12,"what":{…}}}}}
//! {"crc":"…","record":{"finish":{"run":0,"scores":{…},"spent":{…}}}}
//! ```
//!
//! - `crc` is CRC-32 (IEEE) of the record's bytes, in eight hexadecimal digits.
//! - `run` numbers attempts at samples in the order in which they began. A sample that is run again
//!   begins another one; of its finished attempts the last counts, so that no sample counts twice.
//! - Events of a turn reach the file when the turn ends: a killed process loses at most the turn that
//!   it was in. A sample is reported finished when its `finish` is on the disk.
//! - What follows the first line that is not whole was being written when the process or the machine
//!   died. A writer that goes on with the file first moves it aside.

mod read;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use read::{Attempt, Finished, FinishedIter, Index, Tail};
pub use write::Journal;

use crate::{AgentConfig, Event, Key, Limits, Sample, Score, Spent, error::parsed};

/// Version of the journal's form.
pub const JOURNAL_VERSION: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    Header(Header),
    Start(Box<Start>),
    Event { run: u64, event: Event },
    Finish(Box<Finish>),
}

/// What the whole run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`JOURNAL_VERSION`].
    pub version: u32,
    /// When it began, RFC 3339.
    pub created: String,
    /// What is run: a run that goes on must be the same.
    pub plan: PlanInfo,
}

/// What is run, in a form that can be compared.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanInfo {
    /// Root seed.
    pub seed: u64,
    /// Names of the scenarios.
    pub scenarios: Vec<String>,
    /// Names of the agents, with the models behind them.
    pub agents: Vec<(String, String)>,
    /// Names of the personas, with their words.
    pub personas: Vec<(String, String)>,
    /// Times that each sample is run.
    pub epochs: u32,
    /// Samples in all, times agents, personas and epochs.
    pub cells: u64,
}

/// A sample begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Number of the attempt.
    pub run: u64,
    /// Which sample.
    pub key: Key,
    /// The sample.
    pub sample: Sample,
    /// How the agent is asked.
    pub agent: AgentConfig,
    /// All limits together.
    pub limits: Limits,
    /// When it began, RFC 3339.
    pub started: String,
}

/// A sample has ended and is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finish {
    /// Number of the attempt.
    pub run: u64,
    /// Scores by scorer.
    pub scores: BTreeMap<String, Score>,
    /// What it spent.
    pub spent: Spent,
    /// When, RFC 3339.
    pub finished: String,
}

const PREFIX: &[u8] = b"{\"crc\":\"";
const MIDDLE: &[u8] = b"\",\"record\":";

/// The line of a record, with its end.
pub(crate) fn encode(record: &Record) -> Vec<u8> {
    let mut line = Vec::with_capacity(256);
    line.extend_from_slice(PREFIX);
    line.extend_from_slice(b"00000000");
    line.extend_from_slice(MIDDLE);
    let body = line.len();
    // Records hold nothing that JSON cannot: scores are finite, keys are texts.
    let written = serde_json::to_writer(&mut line, record);
    debug_assert!(written.is_ok(), "{written:?}");
    let crc = format!("{:08x}", crc32fast::hash(&line[body..]));
    line[PREFIX.len()..PREFIX.len() + 8].copy_from_slice(crc.as_bytes());
    line.extend_from_slice(b"}\n");
    line
}

/// The record of a line, without its end; what is wrong otherwise.
pub(crate) fn decode(line: &[u8]) -> Result<Record, String> {
    let body = line
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_at_checked(8))
        .and_then(|(crc, rest)| Some((crc, rest.strip_prefix(MIDDLE)?.strip_suffix(b"}")?)));
    let Some((crc, body)) = body else {
        return Err(crate::error::snippet(&String::from_utf8_lossy(line)));
    };
    let actual = format!("{:08x}", crc32fast::hash(body));
    if crc != actual.as_bytes() {
        return Err(format!(
            "checksum {} over bytes of checksum {actual}",
            String::from_utf8_lossy(crc)
        ));
    }
    serde_json::from_slice(body).map_err(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::What;

    #[test]
    fn a_line_is_read_back_and_no_bit_of_it_may_change() {
        let event = Event { at_us: 5, what: What::End(crate::Ending::Done) };
        let record = Record::Event { run: 3, event };
        let line = encode(&record);
        let text = line.strip_suffix(b"\n").unwrap();
        assert_eq!(decode(text).unwrap(), record);
        serde_json::from_slice::<serde_json::Value>(text).unwrap();
        for i in 0..text.len() {
            for bit in 0..8 {
                let mut broken = text.to_vec();
                broken[i] ^= 1 << bit;
                assert!(decode(&broken).is_err(), "byte {i} bit {bit}");
            }
        }
    }

    #[test]
    fn the_written_form_never_changes() {
        let event = Event { at_us: 5, what: What::End(crate::Ending::Done) };
        let line = String::from_utf8(encode(&Record::Event { run: 3, event })).unwrap();
        // Python: zlib.crc32(record) of the record's bytes below.
        assert_eq!(
            line,
            "{\"crc\":\"CRC\",\"record\":{\"event\":{\"run\":3,\"event\":{\"at_us\":5,\"what\":{\"end\":\"done\"}}}}}\n"
                .replace("CRC", GOLDEN)
        );
    }

    const GOLDEN: &str = "e75c5ee2";
}
