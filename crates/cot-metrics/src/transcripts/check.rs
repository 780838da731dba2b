//! What only a tokenizer can tell of transcripts.

use super::{Flag, Flaw, TranscriptSet};
use crate::{Transcript, tokens::Tokenize};

/// Leaves out, with a flag each, what cannot be scored with a tokenizer: transcripts of another one,
/// answers without tokens, and, where a limit is given, what is longer in all. Nothing is cut.
///
/// `limit` is in tokens of question, chain and answer; what a template adds is for the caller to
/// take off.
pub fn keep_scorable(
    set: TranscriptSet,
    tokenizer: &(impl Tokenize + ?Sized),
    limit: Option<usize>,
) -> TranscriptSet {
    let TranscriptSet { transcripts, lines, mut flags } = set;
    let mut kept = TranscriptSet::default();
    for (transcript, line) in transcripts.into_iter().zip(lines) {
        if let Some(flaw) = flaw(&transcript, tokenizer, limit) {
            flags.push(Flag { line, id: Some(transcript.id), flaw });
        } else {
            kept.transcripts.push(transcript);
            kept.lines.push(line);
        }
    }
    flags.sort_by_key(|flag| flag.line);
    TranscriptSet { flags, ..kept }
}

fn flaw(
    transcript: &Transcript,
    tokenizer: &(impl Tokenize + ?Sized),
    limit: Option<usize>,
) -> Option<Flaw> {
    if let Some(found) = transcript.tokenizer.as_ref().filter(|name| *name != tokenizer.name()) {
        let expected = tokenizer.name().to_owned();
        return Some(Flaw::Tokenizer { expected, found: found.clone(), first: None });
    }
    let count = |text: &str| tokenizer.encode(text).map(|ids| ids.len());
    let Transcript { question, chain, answer, .. } = transcript;
    match (count(question), count(chain), count(answer)) {
        (Ok(_), Ok(_), Ok(0)) => Some(Flaw::NoTokens),
        (Ok(question), Ok(chain), Ok(answer)) => {
            let found = question + chain + answer;
            limit.filter(|limit| found > *limit).map(|limit| Flaw::TooLong { limit, found })
        }
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
            Some(Flaw::Refused { reason: error.to_string() })
        }
    }
}
