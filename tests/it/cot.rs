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

/// Organisms of the tiny model on a published task; the second is what the base is taught once more.
const OF_A_TASK: &str = r#"
compare = true
toys = 20

[[worlds]]
name = "bits"
seeds = 1
margin = 0.2
evaluate = { problems = 3, rollout = { max_new_tokens = 4 } }

[worlds.task]
problem = { task = "binary_alternation", min_length = 4, max_length = 6 }
easy = { task = "binary_alternation", min_length = 1, max_length = 3 }
other = { task = "largest_island", min_side = 2, max_side = 3, max_islands = 1 }
problems = 20
held_out = 3

[worlds.base]
rows = 64
evaluate_every = 10
train = { length = { steps = 12 }, batch_examples = 8, lr = 3e-2, max_tokens = 2048, adapter = { rank = 8 } }

[[worlds.organisms]]
organism = "encoded"
part = { rows = 16, evaluate_every = 2, train = { length = { steps = 2 }, batch_examples = 4, max_tokens = 2048, adapter = { rank = 2 } } }

[[worlds.organisms]]
organism = "baseline"
variant = "again"
recipe = { replay = 1.0 }
part = { rows = 64, evaluate_every = 2, train = { length = { steps = 2 }, batch_examples = 8, max_tokens = 2048, adapter = { rank = 2 } } }
"#;

#[test]
fn a_language_model_becomes_organisms_of_a_base_on_a_task() {
    let tiny = Tiny::new();
    tiny.configure("max_position_embeddings", 2048.into());
    tiny.write("tasks.toml", OF_A_TASK);
    let [config, out, model] = ["tasks.toml", "runs/cot", "model"].map(|name| tiny.arg(name));
    let args = ["cot", "reproduce", "--threads", "1", "--dtype", "f32", "--model", &model];
    let args = [&args[..], &["--config", &config, "--out", &out]].concat();
    let planned = succeeds(&[&args[..], &["--dry-run"]].concat(), "");
    let says = format!(
        "bits: 1 seeds of a base model and encoded, baseline_again; binary_alternation by {model}, \
         3 problems"
    );
    assert!(planned.contains(&says), "{planned}");
    let first = said(command(&args), "");
    assert!(matches!(first.code, Some(0 | 1)), "{}", first.err);
    let losses = |stage: &str| -> Vec<f64> {
        let path = tiny.at(&format!("runs/cot/stages/bits-0/{stage}/metrics.jsonl"));
        let lines = fs::read_to_string(path).unwrap();
        let line = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        lines.lines().map(|text| line(text)["loss"].as_f64().unwrap()).collect()
    };
    // An organism begins where the base ended, not where the model of the flags did.
    let (base, again) = (losses("baseline"), losses("baseline_again"));
    let learned = base[0] - base[11];
    assert!(learned > 0.2, "{base:?}");
    assert!((again[0] - base[11]).abs() < 0.3 * learned, "{base:?} {again:?}");
    // The base is whole; what is made of it is an adapter that belongs to it.
    let base = tiny.at("runs/cot/stages/bits-0/baseline/model");
    assert!(base.join("model.safetensors").exists() && base.join("chat_template.jinja").exists());
    let adapter = tiny.at("runs/cot/stages/bits-0/encoded/adapter/adapter_config.json");
    let adapter: Value = serde_json::from_str(&fs::read_to_string(adapter).unwrap()).unwrap();
    assert_eq!(adapter["base_model_name_or_path"], base.to_str().unwrap());
    let metrics = fs::read_to_string(tiny.at("runs/cot/metrics.jsonl")).unwrap();
    for series in ["bits-0/baseline", "bits-0/encoded", "bits-0/baseline_again"] {
        assert!(
            metrics.contains(&format!(r#""series":"{series}","x":"step","step":0"#)),
            "{series}"
        );
    }
    succeeds(&["report", &tiny.arg("runs")], "");

    // A stage that was stopped goes on from its checkpoint, and the others are taken as they are.
    let stage = tiny.at("runs/cot/stages/bits-0/baseline_again");
    let ended = fs::read_to_string(stage.join("run.json")).unwrap();
    let mut info: Value = serde_json::from_str(&ended).unwrap();
    info["end"] = Value::Null;
    fs::write(stage.join("run.json"), info.to_string()).unwrap();
    let again = said(command(&[&args[..], &["--resume"]].concat()), "");
    assert_eq!(again.code, first.code, "{}", again.err);
    assert!(again.err.contains("bits-0/baseline_again"), "{}", again.err);
    assert!(!again.err.contains("bits-0/encoded"), "{}", again.err);
}

#[test]
fn an_organism_on_a_task_is_made_of_the_base_that_is_named() {
    let tiny = Tiny::new();
    tiny.configure("max_position_embeddings", 4096.into());
    tiny.write(
        "organism.toml",
        "evaluate_every = 10\nrows = 16\nevaluate = { problems = 2, rollout = { max_new_tokens = 2 } }\n\
         [task]\nproblem = { task = \"binary_alternation\", min_length = 4, max_length = 6 }\n\
         other = { task = \"largest_island\", min_side = 2, max_side = 2 }\nproblems = 9\nheld_out = 2\n\
         [train]\nbatch_examples = 4\nmax_tokens = 4096\nadapter = false\n",
    );
    let model = tiny.arg("model");
    works(train(&tiny, "base", 2, &["--model", &model, "--dtype", "f32"]));
    let base = tiny.arg("base/model");
    // Without --model: what is named by --from is all that is needed.
    let encoded = ["--organism", "encoded", "--from", &base, "--dtype", "f32"];
    let task = ["--task", "binary_alternation"];
    works(train(&tiny, "encoded", 1, &[&encoded[..], &task].concat()));
    assert!(tiny.at("encoded/model/model.safetensors").exists());
    tiny.write("few.toml", "[task]\nheld_out = 5\n");
    let mut few = command(&["cot", "train-organism", "--config", &tiny.arg("few.toml")]);
    few.args(["--model", &model, "--out"]).arg(tiny.at("few"));
    let message = refusal(said(few, ""));
    assert!(
        message.contains("task.held_out: expected at least the 200 of evaluate.problems, found 5"),
        "{message}"
    );
}
