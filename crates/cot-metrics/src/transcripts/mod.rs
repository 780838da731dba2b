//! Transcripts and records from JSON Lines.
//!
//! A line that is no JSON, or has a field too many, is an error that names it. A line that is sound
//! and cannot be measured is flagged with its number and left out; nothing is dropped without a flag,
//! and no text is cut.

mod check;
mod flag;
mod lines;
mod records;
mod think;

use std::{collections::HashMap, io::BufRead, path::Path};

use serde::Deserialize;
use serde_json::Value;

pub use check::keep_scorable;
pub use flag::{Flag, Flaw};
pub use records::{RecordSet, read_records};
pub use think::{Split, split_response};

use self::lines::Lines;
use crate::{Error, Transcript};

/// Transcripts of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TranscriptSet {
    /// Those that can be measured, in the order of the file.
    pub transcripts: Vec<Transcript>,
    /// The line of each, counted from 1.
    pub lines: Vec<usize>,
    /// What was left out, and why.
    pub flags: Vec<Flag>,
}

/// A line of a file of transcripts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: Value,
    question: String,
    chain: Option<String>,
    answer: Option<String>,
    response: Option<String>,
    reference: Option<String>,
    tokenizer: Option<String>,
}

/// Reads transcripts, one object a line.
///
/// `{"id", "question", "chain", "answer"}`, or `{"id", "question", "response"}` with the chain between
/// `<think>` and `</think>` of the response, of which the first may belong to the prompt. `reference` and
/// `tokenizer` are optional. An id is text or a number.
///
/// Flagged are: ids that were there before, transcripts without chain or answer, thoughts that are
/// never closed, and transcripts of another tokenizer than the first that names one.
///
/// # Errors
/// [`Error::Io`]; [`Error::Line`] for a line that is no such object; [`Error::Empty`] without lines.
///
/// # Examples
/// ```
/// use cot_metrics::transcripts::read_transcripts;
///
/// let text = r#"{"id": 1, "question": "2 + 2?", "response": "<think>Two and two.</think>4"}
/// {"id": 2, "question": "2 + 3?", "response": "<think>Two and"}
/// "#;
/// let set = read_transcripts(text.as_bytes(), "x.jsonl".as_ref())?;
/// assert_eq!(set.transcripts[0].chain, "Two and two.");
/// assert_eq!(set.flags[0].to_string(), "line 2: 2: the thought is never closed");
/// # Ok::<(), cot_metrics::Error>(())
/// ```
pub fn read_transcripts(reader: impl BufRead, path: &Path) -> Result<TranscriptSet, Error> {
    let mut set = TranscriptSet::default();
    let mut seen = HashMap::new();
    let mut tokenizer: Option<(String, usize)> = None;
    let mut lines = Lines::new(reader, path);
    while let Some((line, row)) = lines.next::<Row>()? {
        let id = lines.id(line, &row.id)?;
        let mut flag = |flaw| set.flags.push(Flag { line, id: Some(id.clone()), flaw });
        if let Some(&first) = seen.get(&id) {
            flag(Flaw::DuplicateId { first });
            continue;
        }
        seen.insert(id.clone(), line);
        let (chain, answer) = match (row.chain, row.answer, row.response) {
            (Some(chain), Some(answer), None) => (chain, answer),
            (None, None, Some(response)) => match split_response(&response) {
                Split::Parts { chain, answer } => (chain.to_owned(), answer.to_owned()),
                Split::Unclosed => {
                    flag(Flaw::UnclosedThought);
                    continue;
                }
                Split::NoThought => {
                    flag(Flaw::NoChain);
                    continue;
                }
                Split::ManyThoughts => {
                    flag(Flaw::ManyThoughts);
                    continue;
                }
            },
            _ => {
                let expected = "either response, or chain and answer";
                return Err(lines.wrong(line, "line", expected, "other fields"));
            }
        };
        if answer.trim().is_empty() {
            flag(Flaw::NoAnswer);
            continue;
        }
        if chain.trim().is_empty() {
            flag(Flaw::NoChain);
            continue;
        }
        match (&tokenizer, &row.tokenizer) {
            (Some((expected, first)), Some(found)) if found != expected => {
                let (expected, found) = (expected.clone(), found.clone());
                flag(Flaw::Tokenizer { expected, found, first: Some(*first) });
                continue;
            }
            (None, Some(name)) => tokenizer = Some((name.clone(), line)),
            _ => {}
        }
        set.transcripts.push(Transcript {
            id,
            question: row.question,
            chain,
            answer,
            reference: row.reference,
            tokenizer: row.tokenizer,
        });
        set.lines.push(line);
    }
    if seen.is_empty() {
        return Err(Error::Empty { path: path.to_owned(), what: "transcript" });
    }
    Ok(set)
}
