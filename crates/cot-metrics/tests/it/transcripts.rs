//! Readers of foreign files.

use cot_metrics::{
    Arm, Error,
    toys::Characters,
    transcripts::{TranscriptSet, keep_scorable, read_records, read_transcripts},
};
use proptest::prelude::*;

fn read(text: &str) -> Result<TranscriptSet, Error> {
    read_transcripts(text.as_bytes(), "t.jsonl".as_ref())
}

fn says(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn every_line_is_kept_or_flagged() {
    let text = r#"{"id": "a", "question": "q", "chain": "c", "answer": "4", "reference": "4"}

{"id": "a", "question": "q", "chain": "other", "answer": "5"}
{"id": 7, "question": "q", "response": "<think>so</think>\n4"}
{"id": "b", "question": "q", "response": "<think>so on and"}
{"id": "c", "question": "q", "response": "<think>so</think> \n"}
{"id": "d", "question": "q", "chain": "c", "answer": " "}
{"id": "e", "question": "q", "response": "4"}
{"id": "f", "question": "q", "chain": "", "answer": "4"}
{"id": "g", "question": "q", "response": "<think>a</think>b<think>c</think>4"}
{"id": "h", "question": "q", "response": "a</think>4", "tokenizer": "one"}
{"id": "i", "question": "q", "response": "a</think>4", "tokenizer": "two"}
{"id": "j", "question": "q", "chain": "c", "answer": "4", "tokenizer": "one"}
"#;
    let set = read(text).unwrap();
    let flags: Vec<String> = set.flags.iter().map(ToString::to_string).collect();
    assert_eq!(
        flags,
        [
            "line 3: a: the id is that of line 1",
            "line 5: b: the thought is never closed",
            "line 6: c: there is no answer",
            "line 7: d: there is no answer",
            "line 8: e: there is no chain of thought",
            "line 9: f: there is no chain of thought",
            "line 10: g: there is more than one thought",
            "line 12: i: expected the tokenizer one of line 11, found two",
        ]
    );
    let ids: Vec<&str> = set.transcripts.iter().map(|t| t.id.as_str()).collect();
    assert_eq!((ids, &set.lines[..]), (vec!["a", "7", "h", "j"], &[1, 4, 11, 13][..]));
    assert_eq!((&*set.transcripts[1].chain, &*set.transcripts[1].answer), ("so", "4"));
    let json = serde_json::to_value(&set.flags[0]).unwrap();
    assert_eq!(json["kind"], "duplicate_id");
}

#[test]
fn what_is_no_transcript_is_an_error_with_its_line() {
    let good = r#"{"id": "a", "question": "q", "chain": "c", "answer": "4"}"#;
    for (line, expected) in [
        ("{", "line: expected one JSON object of known fields, found EOF while parsing"),
        ("[]", "line: expected one JSON object"),
        (r#"{"id": "b", "question": "q", "chain": "c", "anwser": "4"}"#, "unknown field `anwser`"),
        (r#"{"id": "b", "chain": "c", "answer": "4"}"#, "missing field `question`"),
        (r#"{"id": "b", "question": "q", "chain": "c"}"#, "either response, or chain and answer"),
        (
            r#"{"id": "b", "question": "q", "chain": "c", "answer": "4", "response": "x"}"#,
            "either response, or chain and answer",
        ),
        (r#"{"id": null, "question": "q", "response": "x"}"#, "id: expected a text"),
        (r#"{"id": "", "question": "q", "response": "x"}"#, "id: expected a text"),
    ] {
        let error = says(&format!("{good}\n{line}\n"));
        assert!(error.starts_with("t.jsonl: line 2: ") && error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
    assert_eq!(says("\n \n"), "t.jsonl: expected at least one transcript, found none");
    let error = read_transcripts(&b"{\"id\": \xff}"[..], "t.jsonl".as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "t.jsonl: line 1: line: expected UTF-8, found other bytes");
}

#[test]
fn a_file_may_begin_with_a_mark_and_end_without_a_line_end() {
    let set =
        read("\u{feff}{\"id\": 1, \"question\": \"q\", \"response\": \"a</think>b\"}").unwrap();
    assert_eq!(set.transcripts.len(), 1);
}

#[test]
fn what_a_tokenizer_tells_is_flagged_in_place() {
    let text = r#"{"id": "a", "question": "q", "chain": "abc", "answer": "4"}
{"id": "b", "question": "q", "chain": "abcdef", "answer": "4"}
{"id": "c", "question": "q", "chain": "abc", "answer": "4", "tokenizer": "other"}
"#;
    let set = keep_scorable(read(text).unwrap(), &Characters, Some(6));
    assert_eq!((set.transcripts.len(), &set.lines[..]), (1, &[1][..]));
    let flags: Vec<String> = set.flags.iter().map(ToString::to_string).collect();
    assert_eq!(
        flags,
        [
            "line 2: b: expected at most 6 tokens, found 8",
            "line 3: c: expected the tokenizer characters, found other",
        ]
    );
    let all = keep_scorable(read(text).unwrap(), &Characters, None);
    assert_eq!(all.transcripts[1].chain, "abcdef", "nothing is cut");
}

/// Has no tokens for digits.
struct NoDigits;

impl cot_metrics::tokens::Tokenize for NoDigits {
    fn name(&self) -> &'static str {
        "no digits"
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        if text.contains('!') {
            let reason = "what is !?".to_owned();
            return Err(Error::Tokenizer { tokenizer: self.name().to_owned(), reason });
        }
        Ok(text.chars().filter(|c| !c.is_ascii_digit()).map(u32::from).collect())
    }

    fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        Characters.decode(ids)
    }
}

#[test]
fn an_answer_of_no_tokens_is_flagged() {
    let text = r#"{"id": "a", "question": "q", "chain": "abc", "answer": "4"}
{"id": "b", "question": "q", "chain": "abc!", "answer": "x"}"#;
    let set = keep_scorable(read(text).unwrap(), &NoDigits, None);
    let flags: Vec<String> = set.flags.iter().map(ToString::to_string).collect();
    assert_eq!(
        flags,
        ["line 1: a: the answer has no tokens", "line 2: b: tokenizer no digits: what is !?"]
    );
}

#[test]
fn records_are_read() {
    let text = r#"{"id": 1, "arms": {"original": -0.5, "no_think": {"log_prob": -1.0, "tokens": 2}}}
{"id": 1, "arms": {}}
{"id": 2, "correct": false, "arms": {"paraphrase": {"failed": "the reply is empty"}}}"#;
    let set = read_records(text.as_bytes(), "r.jsonl".as_ref()).unwrap();
    assert_eq!((set.records.len(), set.records[1].correct), (2, Some(false)));
    assert_eq!(set.records[0].nll(Arm::NoThink), Ok(1.0));
    assert_eq!(set.flags[0].to_string(), "line 2: 1: the id is that of line 1");
    let error = read_records(&b"{\"id\": 1, \"arms\": {\"nothink\": -1}}"[..], "r.jsonl".as_ref());
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("r.jsonl: line 1: ") && error.contains("no_think_prompt"), "{error}");
}

proptest! {
    #[test]
    fn any_file_is_answered(text in any::<String>()) {
        let _ = (read(&text), read_records(text.as_bytes(), "r.jsonl".as_ref()));
    }

    #[test]
    fn any_response_is_answered(response in "(<think>|</think>|a| |\n|é){0,8}") {
        let row = serde_json::json!({ "id": 1, "question": "q", "response": response });
        let set = read(&row.to_string()).unwrap();
        prop_assert_eq!(set.transcripts.len() + set.flags.len(), 1);
        for transcript in set.transcripts {
            // Nothing of a chain is lost, and no tag is left in an answer.
            prop_assert!(response.contains(&transcript.chain) && !transcript.answer.contains("think>"));
        }
    }
}
