//! Disks that are full and folders that cannot be written.

use std::{fs, process::Command};

use forthright_tests::{Tiny, assert_same, command, contents, refusal, said};

use crate::finetune::{resume, settings, spawn, start, wait_for};

/// The command where no file may grow beyond `kib` KiB: to a program, a disk that is full.
pub(crate) fn limited(kib: u32, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    // The signal would end the process; ignored, writing fails as on a full disk.
    shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kib * 2)]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

#[test]
fn a_full_disk_costs_nothing_that_was_written() {
    let tiny = Tiny::new();
    settings(&tiny, 2);
    let (steps, kind) = (101, ["--rank", "2"]);
    assert_eq!(said(start(&tiny, "whole", steps, &kind), "").code, Some(0));
    // A run whose first checkpoint does not fit.
    let message =
        refusal_after_progress(&said(limited(16, &start(&tiny, "new", steps, &kind)), ""));
    assert!(message.contains("trainer.safetensors: File too large"), "{message}");
    assert!(contents(&tiny.at("new/checkpoints")).is_empty(), "half a checkpoint is not kept");
    // One that has checkpoints already.
    let mut child = spawn(start(&tiny, "old", steps, &kind));
    wait_for(&mut child, &tiny.at("old/checkpoints/step-000004"));
    child.kill().unwrap();
    child.wait().unwrap();
    let whole = || {
        let mut files = contents(&tiny.at("old/checkpoints"));
        files.retain(|(name, _)| name.starts_with("step-"));
        files
    };
    let before = whole();
    let message = refusal_after_progress(&said(limited(16, &resume(&tiny, "old")), ""));
    assert!(message.contains("trainer.safetensors: File too large"), "{message}");
    assert!(!before.is_empty() && whole() == before, "the earlier checkpoints are as they were");
    for run in ["new", "old"] {
        let last = said(resume(&tiny, run), "");
        assert_eq!(last.code, Some(0), "{}", last.err);
        assert_same(&tiny.at(run), &tiny.at("whole"));
    }
}

/// The last line, of a run that was on its way when it failed.
pub(crate) fn refusal_after_progress(said: &forthright_tests::Said) -> String {
    assert_eq!(said.code, Some(2), "{said:?}");
    let errors: Vec<&str> = said.err.lines().filter(|l| l.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{}", said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
    errors[0].to_owned()
}

#[test]
fn a_full_standard_output_is_an_error() {
    let tiny = Tiny::new();
    let model = tiny.arg("model");
    tiny.write("input.jsonl", "{\"id\": 0, \"text\": \"ab\"}\n");
    tiny.write("text.txt", "some text");
    let (input, text) = (tiny.arg("input.jsonl"), tiny.arg("text.txt"));
    let out = tiny.arg("converted");
    let adapter_run = tiny.arg("run");
    let data = tiny.arg("train.jsonl");
    let few = "--max-new-tokens=4";
    for args in [
        &["lm", "score", "--model", &model, "--input", &input][..],
        &["lm", "generate", "--model", &model, "--input", &input, few],
        &["lm", "generate", "--model", &model, "--raw", "ab", few],
        &["lm", "perplexity", "--model", &model, &text],
        &["lm", "inspect", "--model", &model],
        &["lm", "convert", "--model", &model, "--out", &out],
        &[
            "lm",
            "finetune",
            "--model",
            &model,
            "--data",
            &data,
            "--out",
            &adapter_run,
            "--steps",
            "1",
        ],
    ] {
        let mut command = command(args);
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        command.stdout(full).stderr(std::process::Stdio::piped());
        let found = forthright_tests::Said::from(command.output().unwrap());
        let message = refusal_after_progress(&found);
        assert!(message.contains("No space left on device"), "{args:?}: {message}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let tiny = Tiny::new();
    settings(&tiny, 1);
    // A file in its place: no user may write below it.
    tiny.write("file", "mine");
    let message = refusal(said(start(&tiny, "file/run", 1, &[]), ""));
    assert!(message.contains("cannot create") && message.contains("file/run"), "{message}");
    let (model, out) = (tiny.arg("model"), tiny.arg("file/model"));
    let message = refusal(said(command(&["lm", "convert", "--model", &model, "--out", &out]), ""));
    assert!(message.contains("cannot create") && message.contains("file/model"), "{message}");
    assert_eq!(fs::read_to_string(tiny.at("file")).unwrap(), "mine");
}

#[test]
fn a_conversion_does_not_overwrite() {
    let tiny = Tiny::new();
    fs::create_dir(tiny.at("out")).unwrap();
    tiny.write("out/mine", "mine");
    let (model, out) = (tiny.arg("model"), tiny.arg("out"));
    let message = refusal(said(command(&["lm", "convert", "--model", &model, "--out", &out]), ""));
    assert!(message.contains("expected a new or empty folder"), "{message}");
    assert_eq!(contents(&tiny.at("out")), [("mine".to_owned(), b"mine".to_vec())]);
    // A full disk leaves no file that looks whole.
    let small = tiny.arg("small");
    let mut args = command(&["lm", "convert", "--model", &model, "--dtype", "f32"]);
    args.args(["--out", &small]);
    let message = refusal(said(limited(16, &args), ""));
    assert!(message.contains("File too large"), "{message}");
    assert!(!tiny.at("small/model.safetensors").exists());
}
