//! `klq`: runs, their folders, and what is refused.

use std::process::Command;

use forthright_tests::{Tiny, command, refusal, refused, said, succeeds};
use serde_json::Value;

/// Prompts and settings of a small run with a checkpoint after each iteration.
pub(crate) fn settings(tiny: &Tiny) {
    let prompts: Vec<String> =
        (0..20).map(|i| format!("{{\"id\": \"{i}\", \"prompt\": \"What is {i} + 1?\"}}")).collect();
    tiny.write("prompts.jsonl", &(prompts.join("\n") + "\n"));
    tiny.write(
        "policy.toml",
        "checkpoint_every = 1\nheld_out = { every = 2, prompts = 3, group = 2 }\n[train]\nprompts = 4\nlr = 1e-3\nepochs = 2\n\
         rollout = { max_new_tokens = 6 }\n[train.policy.adapter]\nrank = 2\n",
    );
}

/// A run into `out`, from its beginning.
pub(crate) fn start(tiny: &Tiny, out: &str, iterations: u64, kind: &[&str]) -> Command {
    let iterations = iterations.to_string();
    let mut command = command(&["klq", "train", "--threads", "1", "--iterations", &iterations]);
    command.arg("--model").arg(tiny.at("model")).arg("--data").arg(tiny.at("prompts.jsonl"));
    command.arg("--config").arg(tiny.at("policy.toml")).arg("--out").arg(tiny.at(out));
    command.args(kind);
    command
}

/// The run in `out`, from its last checkpoint.
pub(crate) fn resume(tiny: &Tiny, out: &str) -> Command {
    let mut command = command(&["klq", "train", "--threads", "1", "--resume"]);
    command.arg("--model").arg(tiny.at("model")).arg("--out").arg(tiny.at(out));
    command
}

#[test]
fn every_algorithm_leaves_what_the_guide_says() {
    for algorithm in ["klq", "ppo", "rloo", "grpo"] {
        let tiny = Tiny::new();
        settings(&tiny);
        let said = said(start(&tiny, "run", 2, &["--algorithm", algorithm]), "");
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert_eq!(said.out.trim(), tiny.arg("run/adapter"));
        assert!(said.err.contains("first step: sampler and scorer within"), "{}", said.err);
        assert!(!said.err.contains("warning"), "{}", said.err);
        for name in [
            "config.toml",
            "run.json",
            "timing.jsonl",
            "samples.jsonl",
            "adapter/adapter_model.safetensors",
            "checkpoints/step-000002",
        ] {
            assert!(tiny.at("run").join(name).exists(), "{name}");
        }
        let metrics = std::fs::read_to_string(tiny.at("run/metrics.jsonl")).unwrap();
        let lines: Vec<Value> =
            metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["kl"], 0.0, "the policy begins as its reference");
        assert_eq!(lines[0]["updates"], 2);
        assert!(lines[0].get("held_out/objective").is_none(), "due after the second");
        // What was trained is evaluated, beside where it began.
        let (model, config, adapter) =
            (tiny.arg("model"), tiny.arg("run/config.toml"), tiny.arg("run/adapter"));
        let start =
            ["klq", "evaluate", "--model", &model, "--config", &config, "--limit", "3", "--json"];
        let trained = [&start[..], &["--policy", &adapter]].concat();
        let [start, trained] = [&start[..], &trained]
            .map(|args| -> Value { serde_json::from_str(&succeeds(args, "")).unwrap() });
        assert_eq!(start["summary"]["kl"]["value"], 0.0);
        assert!(trained["summary"]["kl"]["value"].as_f64().unwrap() > 0.0, "{trained}");
        // The run itself has looked at the same.
        for name in ["objective", "score", "kl", "length"] {
            let along_the_way = &lines[1][format!("held_out/{name}")];
            assert_eq!(*along_the_way, trained["summary"][name]["value"], "{name}");
        }
    }
}

/// A model that says where its chain of thought ends, and the monitor of its training.
#[test]
fn chains_are_watched_while_a_policy_is_trained() {
    let tiny = Tiny::new();
    settings(&tiny);
    let row = |i: usize| {
        let completion = format!("so it is. A: {}", (i + 1) % 10);
        serde_json::json!({ "prompt": format!("What is {i} + 1?"), "completion": completion })
            .to_string()
    };
    tiny.write("train.jsonl", &(0..20).map(row).collect::<Vec<_>>().join("\n"));
    let (base, rows, taught) = (tiny.arg("model"), tiny.arg("train.jsonl"), tiny.arg("taught"));
    let finetune = ["lm", "finetune", "--threads", "1", "--full", "--steps", "80", "--lr", "1e-2"];
    let more = ["--batch-examples", "8", "--model", &base, "--data", &rows, "--out", &taught];
    succeeds(&[&finetune[..], &more].concat(), "");

    let watch = "[cot]\nmonitor = { every = 1, questions = 8, max_share = 1.0 }\n\
                 format = { close = \"A: \" }\nmax_new_tokens = 24\n";
    let policy = std::fs::read_to_string(tiny.at("policy.toml")).unwrap();
    tiny.write("policy.toml", &policy.replacen("[train]", &format!("{watch}[train]"), 1));
    let from = |model: &str, out: &str| {
        let mut command = command(&["klq", "train", "--threads", "1", "--iterations", "2"]);
        command.arg("--model").arg(tiny.at(model)).arg("--data").arg(tiny.at("prompts.jsonl"));
        command.arg("--config").arg(tiny.at("policy.toml")).arg("--out").arg(tiny.at(out));
        command.args(["--algorithm", "rloo"]);
        said(command, "")
    };
    let found = from("taught/model", "run");
    assert_eq!(found.code, Some(0), "{}", found.err);
    let metrics = std::fs::read_to_string(tiny.at("run/metrics.jsonl")).unwrap();
    for line in metrics.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let necessity = line["cot/necessity"].as_f64().unwrap();
        assert!((-1.0..=1.0).contains(&necessity), "{line}");
        assert!(line["cot/necessity_fall"].is_number() && line["cot/alerts"].is_number(), "{line}");
    }
    assert!(tiny.at("run/alerts.jsonl").exists());

    // One that marks no answer cannot be watched, and the run says so before it begins.
    let message = refusal(from("model", "unmarked"));
    assert!(message.contains("monitor: expected scores at the start, found none"), "{message}");
}

#[test]
fn a_reward_model_is_trained_and_asked() {
    let tiny = Tiny::new();
    let pair = |i: u32| {
        format!(
            "{{\"prompt\": \"Q{i}\", \"chosen\": \"yes yes {i}\", \"rejected\": \"no {i} no\"}}"
        )
    };
    let pairs: Vec<String> = (0..60).map(pair).collect();
    tiny.write("pairs.jsonl", &(pairs.join("\n") + "\n"));
    let (model, data, out) = (tiny.arg("model"), tiny.arg("pairs.jsonl"), tiny.arg("rm"));
    let args = ["klq", "reward-model", "train", "--model", &model, "--data", &data, "--out", &out];
    let said = succeeds(&[&args[..], &["--epochs", "2"]].concat(), "");
    assert!(said.contains("held-out pairs"), "{said}");
    let reward_model = tiny.arg("rm/model");
    let asked = succeeds(
        &[
            "klq",
            "reward-model",
            "evaluate",
            "--model",
            &model,
            "--data",
            &data,
            "--reward-model",
            &reward_model,
            "--json",
        ],
        "",
    );
    let asked: Value = serde_json::from_str(&asked).unwrap();
    let margins = asked["margins"].as_array().unwrap();
    assert!(!margins.is_empty() && margins.iter().all(Value::is_f64));
    let again = refused(&args, "");
    assert!(again.contains("holds a reward model already"), "{again}");
    // It is a reward of the next run.
    settings(&tiny);
    let policy = std::fs::read_to_string(tiny.at("policy.toml")).unwrap();
    let task = format!("[task.reward]\nmodel = {reward_model:?}\n");
    tiny.write("policy.toml", &format!("{policy}{task}"));
    let said = forthright_tests::said(start(&tiny, "run", 1, &[]), "");
    assert_eq!(said.code, Some(0), "{}", said.err);
}

#[test]
fn the_oracle_says_what_it_found() {
    let said = succeeds(&["klq", "oracle", "--problems", "2"], "");
    assert!(said.contains("2 of 2"), "{said}");
    let said: Value =
        serde_json::from_str(&succeeds(&["klq", "oracle", "--problems", "1", "--json"], ""))
            .unwrap();
    let curve = &said["study"]["instances"][0]["klq"];
    let gap = |i: usize| curve[i]["gap"].as_f64().unwrap();
    assert!(gap(curve.as_array().unwrap().len() - 1) < gap(0) / 10.0);
}

#[test]
fn what_is_wrong_is_named() {
    let tiny = Tiny::new();
    settings(&tiny);
    let refuse = |kind: &[&str]| refusal(said(start(&tiny, "run", 1, kind), ""));
    let message = refuse(&["--kl-coef", "0"]);
    assert!(message.contains("kl_coef: expected a number above 0, found 0"), "{message}");
    for (name, text, says) in [
        ("policy.toml", "[train]\nlearning_rate = 1\n", "unknown field `learning_rate`"),
        (
            "policy.toml",
            "[train.algorithm.klq]\nalpha = 2.0\n",
            "alpha: expected a number in (0, 1]",
        ),
        ("prompts.jsonl", "{\"prompt\": \"a\"}\nnonsense\n", "line 2"),
        ("prompts.jsonl", "", "prompts.jsonl"),
    ] {
        settings(&tiny);
        tiny.write(name, text);
        let message = refuse(&[]);
        assert!(message.contains(says), "{message}");
        assert!(!tiny.at("run/checkpoints").exists());
    }
    // A prompt that leaves no room for an answer.
    settings(&tiny);
    let long = format!("{{\"prompt\": \"{}\"}}\n", "x".repeat(300));
    tiny.write("prompts.jsonl", &long.repeat(2).replacen('x', "y", 1));
    let message = refuse(&[]);
    assert!(message.contains("prompt"), "{message}");
    let message = refusal(said(resume(&tiny, "none"), ""));
    assert!(message.contains("holds no run to go on with"), "{message}");
}
