//! What is said about rows that cannot be used, and what is done about them.

use lm_tasks::{
    Dataset, Error, Layout, Place, PreferencePair, Prompt, ReadOptions, preferences, prompts,
};

use crate::common::skipping;

fn read(text: &str) -> Result<Dataset<Prompt>, Error> {
    prompts::parse("x.jsonl", text, &ReadOptions::default())
}

fn pairs(text: &str) -> Result<Dataset<PreferencePair>, Error> {
    preferences::parse("x.jsonl", text, &ReadOptions::default())
}

/// Checks the message about a file whose second row is bad.
fn second_row(good: &str, bad: &str, message: &str) {
    let error = read(&format!("{good}\n{bad}\n{good}\n")).unwrap_err();
    assert_eq!(error.to_string(), format!("x.jsonl: line 2: {message}"));
}

#[test]
fn a_row_is_named_with_field_found_and_expected() {
    let good = r#"{"prompt": "a"}"#;
    second_row(
        good,
        "{",
        "row: expected one JSON object a line, found EOF while parsing an object at column 1",
    );
    second_row(good, "7", "row: expected an object, found the number 7");
    second_row(
        good,
        r#"{"text": "a"}"#,
        "prompt: expected text or a list of {role, content}, found the fields text",
    );
    second_row(
        good,
        r#"{"prompt": null}"#,
        "prompt: expected text or a list of {role, content}, found null",
    );
    second_row(
        good,
        r#"{"prompt": {"a": 1}}"#,
        "prompt: expected text or a list of {role, content}, found an object with a",
    );
    let empty = "expected text that is not empty, found no characters but white space";
    second_row(good, r#"{"prompt": " \n"}"#, &format!("prompt: {empty}"));
    second_row(good, r#"{"prompt": []}"#, "prompt: expected a turn of the user, found none");
    second_row(
        good,
        r#"{"prompt": [{"role": "user", "content": " "}]}"#,
        &format!("prompt: {empty}"),
    );
    second_row(
        good,
        r#"{"prompt": [{"role": "robot", "content": "a"}]}"#,
        "prompt[0].role: expected `system`, `user` or `assistant`, found the text \"robot\"",
    );
    let good = r#"{"prompt": "a", "completion": "b"}"#;
    second_row(good, r#"{"prompt": "a", "completion": ""}"#, &format!("completion: {empty}"));
    second_row(
        good,
        r#"{"prompt": "a", "completion": [{"role": "user", "content": "b"}]}"#,
        "completion: expected a turn of the assistant, found the user with the text \"b\"",
    );
    let good = r#"{"post": "a", "summary": "b"}"#;
    second_row(good, r#"{"post": "a"}"#, "summary: expected text, found the fields post");
    second_row(
        good,
        r#"{"post": "a", "summary": "b", "title": 3}"#,
        "title: expected text, found the number 3",
    );
    let good = r#"{"query": "a", "reference_response": "b"}"#;
    second_row(
        good,
        r#"{"query": "a", "reference_response": " <|endoftext|>"}"#,
        &format!("reference_response: {empty}"),
    );
}

#[test]
fn pairs_are_checked() {
    let check = |row: &str, message: &str| {
        assert_eq!(pairs(row).unwrap_err().to_string(), format!("x.jsonl: line 1: {message}"));
    };
    check(
        r#"{"prompt": "a", "chosen": "b", "rejected": " b"}"#,
        "rejected: expected another response than the chosen one, found the same",
    );
    check(
        r#"{"chosen": "b", "rejected": "b"}"#,
        "rejected: expected another text than in chosen, found the same",
    );
    check(
        r#"{"prompt": "a", "chosen": "b", "rejected": "c", "score_chosen": 1}"#,
        "score_rejected: expected a number, found none",
    );
    check(
        r#"{"prompt": "a", "chosen": "b", "rejected": "c", "margin": "big"}"#,
        "margin: expected a finite number, found the text \"big\"",
    );
    check(
        r#"{"chosen": "b", "rejected": [{"role": "user", "content": "b"}]}"#,
        "rejected: expected text, as in chosen, found a list",
    );
    check(
        r#"{"chosen": [{"role": "user", "content": "b"}], "rejected": []}"#,
        "chosen: expected a turn of the assistant at the end, found the user with the text \"b\"",
    );
    let summaries = r#"[{"text": "a"}, {"text": 4}]"#;
    let info = r#"{"post": "p"}"#;
    check(
        &format!(r#"{{"info": {info}, "summaries": {summaries}, "choice": 0}}"#),
        "summaries[1].text: expected text, found the number 4",
    );
    check(
        &format!(r#"{{"info": {info}, "summaries": {summaries}, "choice": 2}}"#),
        "choice: expected 0 or 1, found 2",
    );
    check(
        &format!(r#"{{"info": {{"article": "p"}}, "summaries": {summaries}, "choice": 1}}"#),
        "info.post: expected text, found the fields article",
    );
}

#[test]
fn dialogues_that_part_too_early_are_refused() {
    let check = |chosen: &str, rejected: &str, message: &str| {
        let row = serde_json::json!({ "chosen": chosen, "rejected": rejected });
        let error = pairs(&row.to_string()).unwrap_err();
        assert_eq!(error.to_string(), format!("x.jsonl: line 1: {message}"));
    };
    let same = "the same as in chosen before the response";
    check(
        "\n\nHuman: a\n\nAssistant: b",
        "\n\nHuman: c\n\nAssistant: d",
        &format!(
            "rejected[0]: expected {same}, the user with the text \"a\", found the user with the \
             text \"c\""
        ),
    );
    check(
        "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d",
        "\n\nHuman: a\n\nAssistant: b",
        &format!(
            "rejected[1]: expected {same}, the assistant with the text \"b\", found no further turn"
        ),
    );
    check(
        "\n\nHuman: a\n\nAssistant: b",
        "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d",
        &format!(
            "rejected[1]: expected {same}, no further turn, found the assistant with the text \"b\""
        ),
    );
    check(
        "\n\nHuman: a\n\nAssistant: b",
        "\n\nHuman: a",
        "rejected: expected a turn of the assistant at the end, found the user with the text \"a\"",
    );
    check(
        "\n\nHuman: a\n\nAssistant: b",
        "a",
        "rejected: expected a dialogue that begins with `Human:`, found the text \"a\"",
    );
    check(
        "\n\nHuman: a\n\nAssistant:",
        "\n\nHuman: a\n\nAssistant: b",
        "chosen: expected text that is not empty, found no characters but white space",
    );
}

#[test]
fn bad_rows_can_be_counted_and_passed_over() {
    let mut text = String::from("{\"unknown\": 1}\n{\"prompt\": \"a\"}\noops\n");
    text.push_str(&"{\"prompt\": 1}\n".repeat(10));
    text.push_str("{\"prompt\": \"b\"}\n");
    let read = prompts::parse("x.jsonl", &text, &skipping()).unwrap();
    assert_eq!(read.items.len(), 2);
    let provenance = read.provenance;
    assert_eq!((provenance.rows, provenance.skipped, provenance.kept), (14, 12, 2));
    assert_eq!(provenance.first_skipped.len(), 5);
    assert_eq!(provenance.first_skipped[1].place, Place::Line(3));
    // What is kept decides the digest.
    let clean =
        prompts::parse("y", "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}", &skipping()).unwrap();
    assert_eq!(clean.provenance.digest, provenance.digest);
    let swapped = prompts::parse("y", "{\"prompt\": \"b\"}\n{\"prompt\": \"a\"}", &skipping());
    assert_ne!(swapped.unwrap().provenance.digest, provenance.digest);
}

#[test]
fn nothing_is_an_error() {
    let message = |text: &str, options: &ReadOptions| {
        prompts::parse("x.jsonl", text, options).unwrap_err().to_string()
    };
    for text in ["", "\n \n"] {
        assert_eq!(message(text, &skipping()), "x.jsonl: expected at least one row, found none");
    }
    assert_eq!(
        message("1\n2\n", &skipping()),
        "x.jsonl: expected at least one usable row, found 2 rows of which 2 are bad and 0 were \
         filtered out"
    );
    let hint = "is another layout to be named?";
    assert_eq!(
        message("{\"text\": 1}", &ReadOptions::default()),
        format!(
            "x.jsonl: line 1: expected the fields of a known layout, found the fields text; {hint}"
        )
    );
    assert!(message("1\n{\"text\": 1}", &skipping()).ends_with(hint));
}

#[test]
fn prompts_are_no_pairs() {
    let error = pairs(r#"{"prompt": "a"}"#).unwrap_err();
    assert_eq!(error.to_string(), "x.jsonl: expected a layout of preference pairs, found prompts");
    let named = ReadOptions { layout: Some(Layout::Posts), ..ReadOptions::default() };
    let error = preferences::parse("x", r#"{"chosen": "a", "rejected": "b"}"#, &named).unwrap_err();
    assert!(matches!(error, Error::NoPairs { found: Layout::Posts, .. }), "{error}");
}
