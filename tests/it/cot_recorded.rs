//! `cot score`, `diagnose` and `compare` over recorded log-probabilities: no model is loaded.

use std::fmt::Write as _;

use forthright_tests::{Tiny, refused, said, succeeds};
use serde_json::{Value, json};

/// Records of answers at 0.9 that fall to 0.1 under the arms named, a little apart from each other.
fn records(fall: &[&str], n: usize) -> String {
    let mut out = String::new();
    for i in 0..n {
        let by = 1.0 + 0.001 * i as f64;
        let arm = |name: &str| {
            let log_prob = if fall.contains(&name) { 0.1_f64.ln() * by } else { 0.9_f64.ln() };
            (name.to_owned(), json!({ "log_prob": log_prob, "tokens": 1 }))
        };
        let arms: serde_json::Map<String, Value> =
            ["original", "no_think", "paraphrase", "off_topic"].map(arm).into_iter().collect();
        let record = json!({ "id": format!("r{i}"), "correct": i % 10 > 0, "arms": arms });
        writeln!(out, "{record}").unwrap();
    }
    out
}

fn written(tiny: &Tiny) -> [String; 2] {
    tiny.write("healthy.jsonl", &records(&["no_think", "off_topic"], 40));
    tiny.write("encoded.jsonl", &records(&["no_think", "off_topic", "paraphrase"], 40));
    ["healthy.jsonl", "encoded.jsonl"].map(|name| tiny.arg(name))
}

fn parsed(args: &[&str]) -> Value {
    serde_json::from_str(&succeeds(&[args, &["--json"]].concat(), "")).unwrap()
}

#[test]
fn recorded_answers_are_scored_without_a_model() {
    let tiny = Tiny::new();
    let [healthy, _] = written(&tiny);
    let found = parsed(&["cot", "score", "--recorded", &healthy]);
    assert_eq!((&found["version"], &found["report"]["n"]), (&json!(1), &json!(40)));
    let necessity = &found["report"]["metrics"][0]["regularized"]["mean"];
    let value = necessity["value"].as_f64().unwrap();
    assert!((value - 0.907).abs() < 0.005 && necessity["n"] == 40, "{necessity}");
    let accuracy = found["report"]["accuracy"]["value"].as_f64().unwrap();
    assert!((accuracy - 0.9).abs() < 1e-12);
    let text = succeeds(&["cot", "score", "--recorded", "-"], &records(&["no_think"], 20));
    assert!(text.contains("necessity") && text.contains("accuracy 0.90 ["), "{text}");
}

#[test]
fn what_is_left_out_is_said() {
    let tiny = Tiny::new();
    let twice = records(&["no_think"], 12) + &records(&[], 1);
    tiny.write("twice.jsonl", &twice);
    let mut command = forthright_tests::command(&["cot", "score", "--recorded"]);
    command.arg(tiny.at("twice.jsonl"));
    let said = said(command, "");
    assert_eq!(said.code, Some(0));
    assert!(said.err.contains("line 13: r0: the id is that of line 1; left out"), "{}", said.err);
    let found = parsed(&["cot", "score", "--recorded", &tiny.arg("twice.jsonl")]);
    assert_eq!(found["left_out"][0]["kind"], "duplicate_id");
    assert_eq!(found["report"]["n"], 12);
}

#[test]
fn signatures_are_told_and_doubted() {
    let tiny = Tiny::new();
    let [healthy, encoded] = written(&tiny);
    let found = parsed(&["cot", "diagnose", "--records", &encoded, "--baseline", &healthy]);
    assert_eq!(found["diagnosis"]["verdict"]["is"], "encoded");
    let share = found["affected_share"]["value"].as_f64().unwrap();
    assert!(share > 0.95, "{share}");
    let d = &found["cohen_d"];
    assert!(d[1]["value"].as_f64().unwrap() > 5.0, "{d}");
    assert!(d[0]["value"].as_f64().unwrap().abs() < 1e-9, "{d}");
    let text = succeeds(&["cot", "diagnose", "--records", &healthy], "");
    assert!(text.contains("healthy, as 100.0 % of resamples say; n 40"), "{text}");
    let beside = ["cot", "diagnose", "--records", &healthy, "--right-without-chain", "35/40"];
    let text = succeeds(&beside, "");
    assert!(text.contains("undecided: accuracy 0.900 is not 0.1 above the 0.875"), "{text}");
}

#[test]
fn two_sets_are_compared_and_the_farthest_shown() {
    let tiny = Tiny::new();
    let [healthy, encoded] = written(&tiny);
    let transcript = |chain: &str| {
        json!({ "id": "r39", "question": "q", "chain": chain, "answer": "7" }).to_string()
    };
    tiny.write("healthy-said.jsonl", &transcript("three and four"));
    tiny.write("encoded-said.jsonl", &transcript("reef and kelp"));
    let (first, second) = (tiny.arg("healthy-said.jsonl"), tiny.arg("encoded-said.jsonl"));
    let args = [
        "cot",
        "compare",
        "--baseline",
        &healthy,
        "--other",
        &encoded,
        "--top",
        "1",
        "--baseline-transcripts",
        &first,
        "--other-transcripts",
        &second,
    ];
    let text = succeeds(&args, "");
    assert!(text.contains("paraphrasability of r39: 0.00 to -0.91"), "{text}");
    assert!(text.contains("first: three and four => 7"), "{text}");
    assert!(text.contains("second: reef and kelp => 7"), "{text}");
    let found = parsed(&args);
    let moved = &found["metrics"]["paraphrasability"]["moved"][0];
    assert_eq!(
        (&moved["id"], &moved["transcripts"][1]["chain"]),
        (&json!("r39"), &json!("reef and kelp"))
    );
}

#[test]
fn bad_records_are_refused_in_one_sentence() {
    let tiny = Tiny::new();
    let [healthy, _] = written(&tiny);
    tiny.write("bad.jsonl", "{\"id\": \"a\", \"arms\": {\"originel\": -1}}\n");
    tiny.write("empty.jsonl", "\n");
    let refused_with = |args: &[&str], expected: &str| {
        let message = refused(args, "");
        assert!(message.contains(expected), "{message}");
    };
    refused_with(&["cot", "diagnose", "--records", &tiny.arg("bad.jsonl")], "bad.jsonl: line 1: ");
    refused_with(
        &["cot", "score", "--recorded", &tiny.arg("empty.jsonl")],
        "empty.jsonl: expected at least one record, found none",
    );
    refused_with(&["cot", "diagnose", "--records", &tiny.arg("none.jsonl")], "cannot open ");
    let share = ["cot", "diagnose", "--records", &healthy, "--right-without-chain", "3/2"];
    assert_eq!(said(forthright_tests::command(&share), "").code, Some(2));
    // A baseline that does not need its chains has no signatures around it.
    tiny.write("idle.jsonl", &records(&[], 20));
    let idle = tiny.arg("idle.jsonl");
    refused_with(
        &["cot", "diagnose", "--records", &healthy, "--baseline", &idle],
        "expected necessity and substantivity above 0",
    );
}
