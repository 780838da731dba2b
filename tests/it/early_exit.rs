//! `early-exit`: a model of characters through all verbs, and what is refused.

use std::{fs, path::Path, process::Command};

use forthright_tests::{Said, Tiny, command, refusal, refused, said, succeeds};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::Value;

const TASK: &str = "task = { problem = { task = \"running_sum\", terms = 2, digits = 2 } }\n";
const STARTED: [&str; 2] = ["--threads", "1"];

/// Settings of small runs with a checkpoint after each step.
pub(crate) fn settings(tiny: &Tiny) {
    let checkpoints = format!("checkpoint_every = 1\n{TASK}");
    tiny.write(
        "pretrain.toml",
        &format!(
            "{checkpoints}examples = 200\ndirect_share = 0.2\n\
             begin = {{ scratch = {{ layers = 3, hidden = 16, intermediate = 24, heads = 2, context = 48 }} }}\n\
             [train]\nadapter = false\nbatch_examples = 8\nlr = 3e-3\n"
        ),
    );
    tiny.write(
        "calibrate.toml",
        &format!(
            "{checkpoints}texts = 12\nmax_new_tokens = 14\nexits = {{ every = 1, adapter = false }}\n\
             [calibrate]\nbatch = 4\n"
        ),
    );
    tiny.write(
        "train.toml",
        &format!(
            "{checkpoints}problems = 12\n[train]\nprompts = 3\ngroup = 2\nlr = 1e-3\n\
             rollout = {{ max_new_tokens = 12 }}\n"
        ),
    );
}

pub(crate) fn verb(tiny: &Tiny, verb: &str, out: &str, more: &[&str]) -> Command {
    let mut command = command(&["early-exit", verb]);
    command.args(STARTED).arg("--out").arg(tiny.at(out));
    command.arg("--config").arg(tiny.at(&format!("{verb}.toml"))).args(more);
    command
}

fn works(command: Command) -> String {
    let Said { code, out, err } = said(command, "");
    assert_eq!(code, Some(0), "{err}");
    out
}

/// A model of characters in `base/model`.
pub(crate) fn pretrain(tiny: &Tiny) {
    works(verb(tiny, "pretrain", "base", &["--steps", "30"]));
}

/// A calibration of it into `out`.
pub(crate) fn calibrate(tiny: &Tiny, out: &str, steps: u64, more: &[&str]) -> Command {
    let (model, steps) = (tiny.arg("base/model"), steps.to_string());
    let mut command = verb(tiny, "calibrate", out, &["--model", &model, "--steps", &steps]);
    command.args(more);
    command
}

/// Reinforcement learning into `out`, from `exits`.
pub(crate) fn train(tiny: &Tiny, out: &str, exits: &str, iterations: u64) -> Command {
    let (model, exits) = (tiny.arg("base/model"), tiny.arg(exits));
    let iterations = iterations.to_string();
    verb(tiny, "train", out, &["--model", &model, "--exits", &exits, "--iterations", &iterations])
}

/// The run in `out`, from its last checkpoint.
pub(crate) fn resume(tiny: &Tiny, verb: &str, out: &str) -> Command {
    let mut command = command(&["early-exit", verb, "--resume"]);
    command.args(STARTED).arg("--out").arg(tiny.at(out));
    command.arg("--model").arg(tiny.at("base/model"));
    command
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_model_goes_through_all_verbs() {
    let tiny = Tiny::new();
    settings(&tiny);
    let written = works(verb(&tiny, "pretrain", "base", &["--steps", "240"]));
    assert_eq!(written.trim(), tiny.arg("base/model"));
    let losses: Vec<f64> =
        lines(&tiny.at("base/metrics.jsonl")).iter().map(|l| l["loss"].as_f64().unwrap()).collect();
    assert!(losses.len() == 240 && losses[239] < losses[0] / 1.5, "{losses:?}");
    // It is a checkpoint like any other.
    let model = tiny.arg("base/model");
    let plain = ["lm", "generate", "--raw", "1+2=", "--greedy", "--model", &model];
    let plain = succeeds(&[&plain[..], &["--max-new-tokens", "10", "--dtype", "f32"]].concat(), "");

    for recipe in ["published", "refreshed"] {
        let written = works(calibrate(&tiny, recipe, 3, &["--recipe", recipe]));
        assert_eq!(written.trim(), tiny.arg(&format!("{recipe}/exits")));
        let metrics = lines(&tiny.at(recipe).join("metrics.jsonl"));
        assert!(metrics.len() == 3 && metrics.iter().all(|l| l["kl"].as_f64().unwrap() >= 0.0));
        assert_eq!(metrics[0]["readout"].as_f64().unwrap() > 0.0, recipe == "refreshed");
    }
    let from = tiny.arg("refreshed");
    let more = ["--recipe", "supervised", "--exits", &from];
    works(calibrate(&tiny, "supervised", 3, &more));
    assert!(lines(&tiny.at("supervised/metrics.jsonl"))[0]["nll"].as_f64().unwrap() > 0.0);
    works(train(&tiny, "trained", "supervised", 3));
    let metrics = lines(&tiny.at("trained/metrics.jsonl"));
    assert!(metrics[0]["sampler_gap"].as_f64().unwrap() < 1e-3, "{}", metrics[0]);
    assert!(
        metrics[1]["depth_coef"].as_f64().unwrap() > metrics[0]["depth_coef"].as_f64().unwrap()
    );
    assert!(lines(&tiny.at("trained/samples.jsonl")).len() == 6);
    watched(&tiny);

    // A trained model and its depths; at full depth and untouched weights it is the plain one.
    let exits = tiny.arg("trained");
    let generate =
        ["early-exit", "generate", "1+2=", "--raw", "--greedy", "--max-new-tokens", "10"];
    let of = |exits: &str, more: &[&str]| {
        let flags = ["--model", &model, "--exits", exits];
        succeeds(&[&generate[..], &flags, more].concat(), "")
    };
    let page = tiny.arg("page.html");
    let made: Value =
        serde_json::from_str(&of(&exits, &["--rule", "forced=2", "--json", "--html", &page]))
            .unwrap();
    let answer = &made["answers"][0];
    let blocks: Vec<u64> =
        answer["blocks"].as_array().unwrap().iter().map(|b| b.as_u64().unwrap()).collect();
    assert_eq!(blocks.len(), answer["ids"].as_array().unwrap().len());
    assert!(blocks[0] == 3 && blocks[1..].iter().all(|b| *b == 2), "{blocks:?}");
    assert_eq!(made["depths"]["blocks"], 2.0);
    let page = fs::read_to_string(tiny.at("page.html")).unwrap();
    assert!(page.contains("title=\"2 of 3 blocks\"") && page.contains("<h2>1+2=</h2>"), "{page}");
    let marked = of(&exits, &["--rule", "forced=1", "--color", "never"]);
    assert!(marked.contains('³') && marked.contains('¹') && !marked.contains('\u{1b}'), "{marked}");
    let colored = of(&exits, &["--color", "always"]);
    assert!(colored.contains("\u{1b}[30;48;5;"), "{colored}");
    // Gates of a fresh model are nearly shut, and its weights are those of the base.
    works(calibrate(&tiny, "untouched", 1, &["--lr", "0"]));
    let untouched = of(&tiny.arg("untouched"), &["--rule", "off", "--json"]);
    let untouched: Value = serde_json::from_str(&untouched).unwrap();
    assert_eq!(untouched["answers"][0]["text"], plain.trim_end_matches('\n'));

    let config = tiny.arg("trained/config.toml");
    let evaluate = [
        "early-exit",
        "evaluate",
        "--model",
        &model,
        "--exits",
        &exits,
        "--config",
        &config,
        "--limit",
        "12",
        "--max-new-tokens",
        "12",
        "--repeats",
        "2",
    ];
    let table = succeeds(&evaluate, "");
    for name in ["base", "exits off", "random control", "forced=1", "no chain", "batch 16"] {
        assert!(table.contains(name), "{name}: {table}");
    }
    let sampled = [&evaluate[..], &["--rule", "sample", "--json"]].concat();
    let found: Value = serde_json::from_str(&succeeds(&sampled, "")).unwrap();
    let row = |name: &str| {
        found["rows"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone()
    };
    let (exits, off, base) = (row("exits"), row("exits off"), row("base"));
    let rates = exits["exit_rates"].as_array().unwrap();
    let sum: f64 = rates.iter().map(|rate| rate.as_f64().unwrap()).sum();
    assert!(rates.len() == 3 && (sum - 1.0).abs() < 1e-9, "{rates:?}");
    assert!(exits["kl"].as_f64().unwrap() >= 0.0 && exits["accuracy"]["n"] == 12);
    assert!(off["depths"]["share"] == 1.0 && base["depths"]["blocks"] == 3.0);
    assert_eq!(row("forced=1")["depths"]["blocks"], 1.0);
    assert_eq!(found["answers"].as_array().unwrap().len(), 12);
    assert_eq!(found["timings"].as_array().unwrap().len(), 3);
}

/// The same training with an eye on chains of thought, which end with the last sign of equality.
fn watched(tiny: &Tiny) {
    let settings = fs::read_to_string(tiny.at("train.toml")).unwrap();
    let watch = |close: &str| {
        let monitor = "monitor = { every = 1, questions = 12, max_share = 1.0 }";
        format!(
            "{settings}[cot]\n{monitor}\nformat = {{ close = \"{close}\" }}\nmax_new_tokens = 24\n"
        )
    };
    let run = |out: &str, close: &str| {
        tiny.write("train.toml", &watch(close));
        said(train(tiny, out, "supervised", 2), "")
    };
    let Said { code, err, .. } = run("watched", "=");
    assert_eq!(code, Some(0), "{err}");
    for line in lines(&tiny.at("watched/metrics.jsonl")) {
        let of = |name: &str| line[name].as_f64().unwrap_or(f64::NAN);
        assert!((0.0..=1.0).contains(&of("cot/accuracy")), "{line}");
        assert!(of("cot/necessity").abs() <= 1.0 && of("cot/alerts") >= 0.0, "{line}");
    }
    assert!(tiny.at("watched/alerts.jsonl").exists());
    // Letters are none of this model's characters.
    let message = refusal(run("unmarked", "Answer: "));
    let says = "format.close: expected a mark that the model's tokenizer has tokens for, found \"Answer: \"";
    assert!(message.contains(says), "{message}");
    tiny.write("train.toml", &settings);
}

/// The model that is there is fine-tuned, and what comes out is whole again.
#[test]
fn a_model_that_is_there_is_fine_tuned() {
    let tiny = Tiny::new();
    tiny.write("pretrain.toml", &format!("{TASK}examples = 20\nbegin = \"model\"\n"));
    let model = tiny.arg("model");
    let more = ["--model", &model, "--steps", "2", "--dtype", "f32"];
    let written = works(verb(&tiny, "pretrain", "base", &more));
    let written = written.trim();
    assert!(Path::new(written).join("chat_template.jinja").exists());
    let score = |model: &str| {
        let line = "{\"id\": 0, \"text\": \"S1+2=3;\"}\n";
        succeeds(&["lm", "score", "--input", "-", "--model", model], line)
    };
    assert_ne!(score(written), score(&model));
}

const PIPELINE: &str = r#"
compare = true

[toy]
seeds = 2
task = { problem = { task = "running_sum", terms = 2, digits = 2 } }
max_new_tokens = 12
batch = 16
evaluation_problems = 12
choice_problems = 6
margin = 0.01
thresholds = [0.03, 0.05, 0.5]
kappas = [1.0]
saved = 0.1
time_repeats = 2
exits = { sites = [1, 2], adapter = false }

[toy.base]
examples = 100
begin = { scratch = { layers = 3, hidden = 16, intermediate = 24, heads = 2, context = 48 } }

[toy.base.train]
length = { steps = 20 }
batch_examples = 8
adapter = false

[[toy.stages]]
name = "refreshed"
against = ["untrained"]
problems = 8

[toy.stages.calibrate]
recipe = { refreshed = { kappa = [1.0, 2.0], readout = [1.0, 0.1], patterns = 1 } }
steps = 3
batch = 4

[[toy.stages]]
name = "rl"
from = "refreshed"
against = ["refreshed"]
problems = 8

[toy.stages.train]
iterations = 2
prompts = 3
group = 2
rollout = { max_new_tokens = 10 }
"#;

#[test]
fn a_pipeline_is_measured_and_its_stages_are_used_again() {
    let tiny = Tiny::new();
    tiny.write("pipeline.toml", PIPELINE);
    let (config, out) = (tiny.arg("pipeline.toml"), tiny.arg("runs/early-exit"));
    let args = ["early-exit", "reproduce", "--threads", "1", "--config", &config, "--out", &out];
    let planned = succeeds(&[&args[..], &["--dry-run"]].concat(), "");
    assert!(planned.contains("toy: 2 seeds of base, refreshed, rl"), "{planned}");
    assert!(!tiny.at("runs").exists());
    let first = said(command(&args), "");
    // All tokens may have one depth, which is said.
    assert!(matches!(first.code, Some(0 | 1)), "{}", first.err);
    let folder = tiny.at("runs/early-exit");
    let claims: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("claims.json")).unwrap()).unwrap();
    let ids: Vec<&str> =
        claims.as_array().unwrap().iter().map(|claim| claim["id"].as_str().unwrap()).collect();
    for id in [
        "sampler_gap",
        "lossless",
        "saved",
        "accuracy",
        "random",
        "exits_off",
        "surprisal",
        "refreshed_over_untrained",
        "rl_over_refreshed",
        "off_time",
        "speed_ragged_1",
        "speed_ragged_16",
        "speed_ragged_64",
    ] {
        assert!(ids.contains(&format!("early_exit.toy.{id}").as_str()), "{id}: {ids:?}");
    }
    let claim = |id: &str| claims.as_array().unwrap().iter().find(|c| c["id"] == id).unwrap();
    assert_eq!(claim("early_exit.toy.lossless")["met"], true);
    let metrics = lines(&folder.join("metrics.jsonl"));
    let with = |name: &str| metrics.iter().filter(|line| !line[name].is_null()).count();
    assert_eq!(with("toy/accuracy"), 2 * (1 + 3 + 3), "a point a threshold, stage and seed");
    assert_eq!(with("rl/depth"), 2 * 2);
    assert_eq!(with("pretrain/loss"), 2 * 20);
    assert!(!lines(&folder.join("samples.jsonl")).is_empty());
    assert!(fs::read_to_string(folder.join("transcripts.html")).unwrap().contains("toy-0/rl"));
    succeeds(&["report", &tiny.arg("runs")], "");
    let page = fs::read_to_string(tiny.at("runs/report.html")).unwrap();
    assert!(page.contains("aria-label=\"toy/accuracy by share of blocks run\""));

    // What is there is used again, but for what a change of settings reaches.
    let resumed = [&args[..], &["--resume"]].concat();
    let again = said(command(&resumed), "");
    assert_eq!(again.code, first.code, "{}", again.err);
    assert!(!again.err.contains("stages/toy"), "{}", again.err);
    assert!(first.err.contains("measuring toy-1/rl") && !again.err.contains("measuring"));
    assert_eq!(lines(&folder.join("metrics.jsonl")), metrics, "what was measured is there again");
    let same = |name: &str| {
        let claims: Value =
            serde_json::from_str(&fs::read_to_string(folder.join("claims.json")).unwrap()).unwrap();
        claims.as_array().unwrap().iter().find(|c| c["id"] == name).unwrap().clone()
    };
    for id in ["early_exit.toy.saved", "early_exit.toy.rl_over_refreshed"] {
        assert_eq!(same(id), *claim(id));
    }

    // Seeds that were made apart give the same claims, but for times.
    let together = tiny.arg("together");
    for seed in ["0", "1"] {
        let apart = tiny.arg(&format!("apart-{seed}"));
        let made = [&args[..args.len() - 1], &[apart.as_str(), "--only", seed]].concat();
        assert_eq!(said(command(&made), "").code, Some(0));
        assert!(!tiny.at(&format!("apart-{seed}/claims.json")).exists());
        let name = format!("stages/toy-{seed}");
        fs::create_dir_all(tiny.at("together/stages")).unwrap();
        fs::rename(tiny.at(&format!("apart-{seed}")).join(&name), tiny.at("together").join(&name))
            .unwrap();
    }
    let made = said(command(&[&args[..args.len() - 1], &[&together, "--resume"]].concat()), "");
    assert!(made.code == first.code && !made.err.contains("measuring"), "{}", made.err);
    let both: Value =
        serde_json::from_str(&fs::read_to_string(tiny.at("together/claims.json")).unwrap())
            .unwrap();
    let untimed = |claims: &Value| -> Vec<Value> {
        let all = claims.as_array().unwrap().iter();
        let timed = |c: &Value| c["says"].as_str().unwrap().contains("time");
        all.filter(|c| !timed(c)).cloned().collect()
    };
    assert!(untimed(&both).len() > 5);
    assert_eq!(untimed(&both), untimed(&claims));
    let unknown = refused(&[&args[..], &["--only", "2"]].concat(), "");
    assert!(unknown.contains("--only: expected a seed below 2, found 2"), "{unknown}");

    tiny.write("pipeline.toml", &PIPELINE.replace("steps = 3", "steps = 4"));
    let changed = said(command(&resumed), "");
    assert!(
        changed.err.contains("stages/toy-0/refreshed") && changed.err.contains("stages/toy-0/rl")
    );
    assert!(!changed.err.contains("stages/toy-0/base"), "{}", changed.err);
}

#[test]
fn what_is_wrong_is_named() {
    let tiny = Tiny::new();
    settings(&tiny);
    pretrain(&tiny);
    works(calibrate(&tiny, "exits", 1, &["--recipe", "refreshed"]));
    let model = tiny.arg("base/model");
    let exits = tiny.arg("exits");
    let refuse = |more: &[&str]| refusal(said(calibrate(&tiny, "new", 1, more), ""));
    let message = refuse(&["--sites", "1,3"]);
    assert!(message.contains("exit sites: expected ascending blocks between 1 and 2"), "{message}");
    assert!(message.contains("found [1, 3]"), "{message}");
    // Exits that were calibrated for other sites: both are named.
    let message = refuse(&["--exits", &exits, "--sites", "2"]);
    assert!(message.contains("exit sites: expected [1, 2] of 3 blocks, found [2]"), "{message}");
    let message = refuse(&["--kappa", "0"]);
    assert!(message.contains("kappa: expected a number above 0, found 0"), "{message}");
    let message = refuse(&["--task", "chess"]);
    assert!(message.contains("found \"chess\"") || message.contains("found chess"), "{message}");
    // A task of whose characters the model knows only some.
    let message = refuse(&["--task", "addition"]);
    assert!(message.contains("was it trained on another task?"), "{message}");
    assert!(!tiny.at("new/checkpoints").exists());

    // Another base.
    works(verb(&tiny, "pretrain", "other", &["--steps", "1", "--seed", "5"]));
    let other = tiny.arg("other/model");
    let ask = ["early-exit", "generate", "1+2=", "--max-new-tokens", "5"];
    let message = refused(&[&ask[..], &["--exits", &exits, "--model", &other]].concat(), "");
    assert!(message.contains("base model (SHA-256 of its weights): expected "), "{message}");
    // No room to answer.
    let long = "1+".repeat(30);
    let long = ["early-exit", "generate", &long, "--exits", &exits, "--model", &model];
    let message = refused(&[&long[..], &["--max-new-tokens", "5"]].concat(), "");
    assert!(
        message.contains("the prompt: expected at most 43 tokens beside 5 new ones"),
        "{message}"
    );
    let evaluate = ["early-exit", "evaluate", "--exits", &exits, "--model", &model];
    let task = ["--task", "running_sum", "--limit", "2", "--max-new-tokens", "46"];
    let message = refused(&[&evaluate[..], &task].concat(), "");
    assert!(message.contains("expected at most 2 tokens beside 46 new ones"), "{message}");
    // Rules.
    for (rule, says) in [
        ("forced=4", "forced: expected 1 to 3 blocks, found 4"),
        ("threshold=1.5", "threshold: expected a probability, found 1.5"),
        ("random=1,2", "random: expected 3 weights"),
    ] {
        let flags = ["--exits", &exits, "--model", &model, "--rule", rule];
        let message = refused(&[&ask[..], &flags].concat(), "");
        assert!(message.contains(says), "{message}");
    }
    // Settings.
    let refuse = |text: &str| {
        tiny.write("train.toml", text);
        refusal(said(train(&tiny, "new", "exits", 1), ""))
    };
    for (text, says) in [
        ("[train]\nlamda = 1\n", "unknown field `lamda`"),
        ("gate_shift = nan\n", "gate_shift: expected a finite number, found NaN"),
        (
            "reward = { rule = { right = inf, fallback = 0.0, forgives_wrong_mark = false, wrong = 0.0, \
          unformatted = 0.0, extra_mark = 0.0 } }\n",
            "right: expected a finite number, found inf",
        ),
        ("[train]\ngroup = 1\n", "group: expected at least 2"),
    ] {
        let message = refuse(text);
        assert!(message.contains(says), "{message}");
    }
    settings(&tiny);
    let message = refusal(said(train(&tiny, "new", "nothing", 1), ""));
    assert!(message.contains("nothing") && message.contains("early_exit.json"), "{message}");
    let message = refusal(said(resume(&tiny, "train", "none"), ""));
    assert!(message.contains("holds no run to go on with"), "{message}");
    let message = refusal(said(calibrate(&tiny, "exits", 1, &[]), ""));
    assert!(message.contains("holds a run already"), "{message}");
    tiny.write("pretrain.toml", "[train]\nadapter = true\n");
    let message = refusal(said(verb(&tiny, "pretrain", "new", &[]), ""));
    assert!(message.contains("train.adapter: expected false"), "{message}");

    // Gates that are no numbers.
    let path = tiny.at("exits/exits/early_exit.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let nan = f32::NAN.to_le_bytes();
    let views: Vec<(String, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, view)| {
            let changed = name == "gate.0.outer.bias";
            let data = if changed { &nan[..] } else { view.data() };
            let view = TensorView::new(view.dtype(), view.shape().to_vec(), data).unwrap();
            (name.to_owned(), view)
        })
        .collect();
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let message = refused(&[&ask[..], &["--exits", &exits, "--model", &model]].concat(), "");
    assert!(
        message.contains("gate.0.outer.bias") && message.contains("NaN or infinite"),
        "{message}"
    );
}

#[test]
fn the_published_scale_says_what_it_needs() {
    let tiny = Tiny::new();
    let (out, model) = (tiny.arg("runs"), tiny.arg("model"));
    let paper = ["early-exit", "reproduce", "--scale", "paper", "--out", &out];
    let said = succeeds(&[&paper[..], &["--dry-run"]].concat(), "");
    assert!(said.contains("DeepSeek-R1-Distill-Qwen-1.5B") && said.contains("GSM8K"), "{said}");
    let message = refused(&paper, "");
    assert!(message.contains("--model: expected the folder of a checkpoint"), "{message}");
    // Two blocks are no place for an exit before every fifth.
    let with = [&paper[..], &["--dry-run", "--model", &model]].concat();
    let message = refused(&with, "");
    assert!(message.contains("exit sites: expected"), "{message}");
    assert!(!tiny.at("runs").exists());
}
