//! `lm finetune`: its folder, and what keeps two runs apart.

use std::process::{Child, Command, Stdio};

use forthright_tests::{Tiny, command, refusal, refused, said};

/// Settings of a run of `steps` steps with a checkpoint after each `every`.
pub(crate) fn settings(tiny: &Tiny, every: u64) {
    tiny.write(
        "settings.toml",
        &format!("checkpoint_every = {every}\n[finetune]\nlr = 1e-3\nbatch_examples = 4\n"),
    );
}

/// A run into `out`, from its beginning.
pub(crate) fn start(tiny: &Tiny, out: &str, steps: u64, kind: &[&str]) -> Command {
    let mut command = command(&["lm", "finetune", "--threads", "1", "--steps", &steps.to_string()]);
    command.arg("--model").arg(tiny.at("model")).arg("--data").arg(tiny.at("train.jsonl"));
    command.arg("--config").arg(tiny.at("settings.toml")).arg("--out").arg(tiny.at(out));
    command.args(kind);
    command
}

/// The run in `out`, from its last checkpoint.
pub(crate) fn resume(tiny: &Tiny, out: &str) -> Command {
    let mut command = command(&["lm", "finetune", "--threads", "1", "--resume"]);
    command.arg("--model").arg(tiny.at("model")).arg("--out").arg(tiny.at(out));
    command
}

/// Goes on in the background.
pub(crate) fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until a file is there.
pub(crate) fn wait_for(child: &mut Child, path: &std::path::Path) {
    while !path.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before {}", path.display());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn a_run_leaves_what_the_guide_says() {
    let tiny = Tiny::new();
    settings(&tiny, 2);
    let said = said(start(&tiny, "run", 5, &["--rank", "2"]), "");
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(said.out.trim(), tiny.arg("run/adapter"));
    for name in [
        "config.toml",
        "run.json",
        "metrics.jsonl",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "checkpoints/step-000004",
        "checkpoints/step-000005",
    ] {
        assert!(tiny.at("run").join(name).exists(), "{name}");
    }
    let metrics = std::fs::read_to_string(tiny.at("run/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 5);
    // The same for TensorBoard: a record a step after that of the version.
    let events = std::fs::read(tiny.at("run/events.out.tfevents.0.forthright")).unwrap();
    let mut rest = &events[..];
    let mut records = 0;
    while let Some((length, _)) = rest.split_first_chunk() {
        rest = &rest[16 + u64::from_le_bytes(*length) as usize..];
        records += 1;
    }
    assert_eq!(records, 6);
    // What was trained is read again, and changes what the model says.
    let input = "{\"id\": 0, \"text\": \"1 + 1 = 2\"}\n";
    let (model, adapter) = (tiny.arg("model"), tiny.arg("run/adapter"));
    let plain = ["lm", "score", "--input", "-", "--model", &model];
    let adapted = [&plain[..], &["--adapter", &adapter]].concat();
    let (plain, adapted) =
        (forthright_tests::succeeds(&plain, input), forthright_tests::succeeds(&adapted, input));
    assert_ne!(plain, adapted);
}

#[test]
fn a_run_goes_on_when_nobody_looks() {
    let tiny = Tiny::new();
    settings(&tiny, 2);
    let mut child = spawn(start(&tiny, "run", 3, &[]));
    // Whoever read the progress is gone.
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(tiny.at("run/adapter").exists());
}

#[test]
fn a_run_is_not_started_over_another() {
    let tiny = Tiny::new();
    settings(&tiny, 1);
    assert_eq!(said(start(&tiny, "run", 2, &[]), "").code, Some(0));
    let before = forthright_tests::contents(&tiny.at("run"));
    let message = refusal(said(start(&tiny, "run", 3, &[]), ""));
    assert!(message.contains("holds a run already: give --resume, or another folder"), "{message}");
    assert_eq!(forthright_tests::contents(&tiny.at("run")), before);
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let tiny = Tiny::new();
    settings(&tiny, 1000);
    let mut first = spawn(start(&tiny, "run", 1_000_000, &[]));
    wait_for(&mut first, &tiny.at("run/metrics.jsonl"));
    for second in [start(&tiny, "run", 1, &[]), resume(&tiny, "run")] {
        let message = refusal(said(second, ""));
        assert!(message.contains("is in use by another run"), "{message}");
    }
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn what_cannot_be_resumed_is_refused() {
    let tiny = Tiny::new();
    settings(&tiny, 1);
    let message = refusal(said(resume(&tiny, "none"), ""));
    assert!(message.contains("holds no run to go on with"), "{message}");
    assert!(!tiny.at("none").exists(), "nothing is made");
    assert_eq!(said(start(&tiny, "run", 2, &[]), "").code, Some(0));
    // Other examples than the checkpoint was trained on.
    let examples = std::fs::read_to_string(tiny.at("train.jsonl")).unwrap();
    tiny.write("train.jsonl", &examples.replacen("1 + 1", "1 - 1", 1));
    let before = forthright_tests::contents(&tiny.at("run"));
    let message = refusal(said(resume(&tiny, "run"), ""));
    assert!(message.contains("expected a checkpoint of this model, these examples"), "{message}");
    assert_eq!(forthright_tests::contents(&tiny.at("run")), before);
    // A setting that is given again would be passed over.
    let (model, out) = (tiny.arg("model"), tiny.arg("run"));
    let said = said(
        command(&["lm", "finetune", "--resume", "--model", &model, "--out", &out, "--steps", "9"]),
        "",
    );
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("cannot be used with"), "{}", said.err);
}

#[test]
fn examples_are_checked() {
    let tiny = Tiny::new();
    settings(&tiny, 1);
    let (model, out, data) = (tiny.arg("model"), tiny.arg("run"), tiny.arg("train.jsonl"));
    let args = ["lm", "finetune", "--model", &model, "--out", &out, "--data", &data];
    let long = format!("{{\"text\": \"{}\"}}\n", "x".repeat(300));
    for (content, says) in [
        ("", "expected at least one example, found none"),
        ("{\"text\": \"ab\", \"prompt\": \"c\"}\n", "line 1: expected messages, or prompt and"),
        ("{\"text\": \"ab\"}\n{\"text\": 5}\n", "line 2: invalid type: integer `5`"),
        ("{\"text\": \"ab\"}\n{\"txt\": 5}\n", "line 2: unknown field `txt`"),
        (&long, "expected at most 256 tokens"),
    ] {
        tiny.write("train.jsonl", content);
        let message = refused(&args, "");
        assert!(message.contains(says) && message.contains("train.jsonl"), "{message}");
        assert!(!tiny.at("run").exists(), "nothing is made");
    }
}
