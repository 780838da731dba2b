//! `cot`: scores of a model, organisms from nothing, and what is refused.

use std::{fs, process::Command};

use forthright_tests::{Said, Tiny, command, refusal, said, succeeds};
use serde_json::Value;

const STARTED: [&str; 2] = ["--threads", "1"];

/// Settings of a small organism, with a checkpoint after each step.
pub(crate) fn settings(tiny: &Tiny) {
    tiny.write(
        "organism.toml",
        "checkpoint_every = 1\nevaluate_every = 10\nrows = 400\nworld = { turns = 1 }\n\
         size = { layers = 1, hidden = 16, intermediate = 24, heads = 2 }\n\
         evaluate = { problems = 6, rollout = { max_new_tokens = 8 } }\n\
         [train]\nadapter = false\nbatch_examples = 16\nlr = 5e-3\n",
    );
}

/// A training of an organism into `out`.
pub(crate) fn train(tiny: &Tiny, out: &str, steps: u64, more: &[&str]) -> Command {
    let mut command = command(&["cot", "train-organism"]);
    command.args(STARTED).arg("--out").arg(tiny.at(out));
    command.arg("--config").arg(tiny.at("organism.toml"));
    command.args(["--steps", &steps.to_string()]).args(more);
    command
}

/// The run in `out`, from its last checkpoint.
pub(crate) fn resume(tiny: &Tiny, out: &str) -> Command {
    let mut command = command(&["cot", "train-organism", "--resume"]);
    command.args(STARTED).arg("--out").arg(tiny.at(out));
    command
}

fn works(command: Command) -> String {
    let Said { code, out, err } = said(command, "");
    assert_eq!(code, Some(0), "{err}");
    out
}

#[test]
fn an_organism_is_made_of_a_base_and_tracked() {
    let tiny = Tiny::new();
    settings(&tiny);
    works(train(&tiny, "base", 20, &[]));
    let records = fs::read_dir(tiny.at("base/records")).unwrap().count();
    assert_eq!(records, 3, "at the start, in the middle and at the end");
    let base = tiny.arg("base/model");
    works(train(&tiny, "encoded", 10, &["--organism", "encoded", "--from", &base]));
    let (run, baseline) = (tiny.arg("encoded"), tiny.arg("base"));
    let track = ["cot", "track", "--run", &run, "--baseline", &baseline];
    let table = succeeds(&track, "");
    assert!(table.contains("necessity") && table.contains("without chain"), "{table}");
    let found: Value =
        serde_json::from_str(&succeeds(&[&track[..], &["--json"]].concat(), "")).unwrap();
    assert_eq!(found["version"], 1);
    let steps: Vec<u64> =
        found["steps"].as_array().unwrap().iter().map(|s| s["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [0, 10]);
    assert_eq!(found["steps"][1]["problems"], 6);
    // What was made is read like any checkpoint.
    let ask = ["lm", "generate", "question monday +3 think", "--raw", "--greedy", "--model", &base];
    succeeds(&[&ask[..], &["--max-new-tokens", "3"]].concat(), "");
}

#[test]
fn organisms_that_cannot_be_are_refused() {
    let tiny = Tiny::new();
    settings(&tiny);
    let message = refusal(said(train(&tiny, "a", 2, &["--organism", "encoded"]), ""));
    assert!(message.contains("from: expected the folder of a base model for encoded"), "{message}");
    let chat = tiny.arg("model");
    let message =
        refusal(said(train(&tiny, "a", 2, &["--organism", "encoded", "--from", &chat]), ""));
    assert!(message.contains("expected a model of the same words"), "{message}");
    assert!(!tiny.at("a").exists(), "nothing was begun");
    let mut track = command(&["cot", "track", "--run"]);
    track.arg(tiny.at("a"));
    let message = refusal(said(track, ""));
    assert!(message.contains("expected the records of a run of train-organism"), "{message}");
}

#[test]
fn recorded_answers_are_scored_under_every_edit() {
    let tiny = Tiny::new();
    let line = |i: usize| {
        format!(
            r#"{{"id": "q{i}", "question": "What is {i} + 1?", "chain": "First take {i}, then add 1.\n", "answer": "{}", "reference": "{}"}}"#,
            i + 1,
            i + 1
        )
    };
    let lines: Vec<String> = (0..4).map(line).collect();
    tiny.write("said.jsonl", &(lines.join("\n") + "\n"));
    let (model, input, records) =
        (tiny.arg("model"), tiny.arg("said.jsonl"), tiny.arg("records.jsonl"));
    let score = ["cot", "score", "--threads", "1", "--dtype", "f32", "--model", &model];
    let args = [&score[..], &["--input", &input, "--records", &records, "--json"]].concat();
    let found: Value = serde_json::from_str(&succeeds(&args, "")).unwrap();
    assert_eq!(found["report"]["n"], 4);
    assert_eq!(found["report"]["accuracy"]["value"], 1.0);
    let written = fs::read_to_string(tiny.at("records.jsonl")).unwrap();
    let first: Value = serde_json::from_str(written.lines().next().unwrap()).unwrap();
    for arm in ["original", "no_think", "no_think_prompt", "identity", "off_topic_prompt"] {
        let log_prob = first["arms"][arm]["log_prob"].as_f64();
        assert!(log_prob.is_some_and(|x| x < 0.0), "{arm}: {first}");
    }
    // Not a bit of difference where nothing was edited.
    assert_eq!(first["arms"]["original"], first["arms"]["identity"]);

    tiny.write("broken.jsonl", "{\"id\": \"a\", \"question\": \"b\"}\n");
    let broken = tiny.arg("broken.jsonl");
    let message = refusal(said(command(&[&score[..], &["--input", &broken]].concat()), ""));
    assert!(message.contains("broken.jsonl: line 1") && message.contains("chain"), "{message}");
}

const PIPELINE: &str = r#"
compare = true
toys = 20

[[worlds]]
name = "small"
seeds = 2
margin = 0.2
world = { turns = 1 }
size = { layers = 1, hidden = 16, intermediate = 24, heads = 2 }
evaluate = { problems = 8, rollout = { max_new_tokens = 8 } }

[worlds.base]
rows = 400
evaluate_every = 10
train = { length = { steps = 10 }, batch_examples = 16, lr = 5e-3, adapter = false }

[[worlds.organisms]]
organism = "encoded"
part = { rows = 200, evaluate_every = 5, train = { length = { steps = 5 }, batch_examples = 16, lr = 5e-3, adapter = false } }
"#;

#[test]
fn a_pipeline_is_measured_and_its_models_are_used_again() {
    let tiny = Tiny::new();
    tiny.write("pipeline.toml", PIPELINE);
    let (config, out) = (tiny.arg("pipeline.toml"), tiny.arg("runs/cot"));
    let args = ["cot", "reproduce", "--threads", "1", "--config", &config, "--out", &out];
    let planned = succeeds(&[&args[..], &["--dry-run"]].concat(), "");
    assert!(planned.contains("small: 2 seeds of a base model and encoded"), "{planned}");
    assert!(!tiny.at("runs").exists());
    let first = said(command(&args), "");
    // So little training leaves scores undefined, which is said.
    assert!(matches!(first.code, Some(0 | 1)), "{}", first.err);
    let claims: Value =
        serde_json::from_str(&fs::read_to_string(tiny.at("runs/cot/claims.json")).unwrap())
            .unwrap();
    let claim = |id: &str| {
        let all = claims.as_array().unwrap();
        all.iter().find(|c| c["id"] == id).unwrap_or_else(|| panic!("{id}: {claims}"))
    };
    for id in ["cot.toys.error", "cot.toys.diagnosed"] {
        assert_eq!(claim(id)["met"], true);
    }
    for (id, n) in [
        ("diagnosed", 4),
        ("baseline.counts", 2),
        ("encoded.counts", 2),
        ("encoded.paraphrasability", 2),
    ] {
        let found = claim(&format!("cot.small.{id}"));
        // Each is over both seeds, or says why it is not there.
        assert!(found["n"] == n || found["met"].is_null(), "{found}");
    }
    succeeds(&["report", &tiny.arg("runs")], "");
    let resumed = [&args[..], &["--resume"]].concat();
    let again = said(command(&resumed), "");
    assert_eq!(again.code, first.code, "{}", again.err);
    assert!(!again.err.contains("stages/small"), "{}", again.err);
}
