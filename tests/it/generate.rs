//! `lm generate`.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use forthright_tests::{Tiny, command, objects, said, succeeds};

#[test]
fn files_are_completed_line_by_line() {
    let input = "{\"id\": 0, \"text\": \"1, 2, 3, 4,\"}\n\
         {\"id\": 1, \"messages\": [{\"role\": \"user\", \"content\": \"Say hello.\"}]}\n";
    let args = ["lm", "generate", "--input", "-", "--greedy", "--max-new-tokens", "8"];
    let found = objects(&args, input);
    assert_eq!(found[0]["text"].as_str().unwrap().trim_start().split(',').next(), Some("5"));
    assert!(found[1]["text"].as_str().unwrap().contains("Hello"), "{}", found[1]);
    let sampled = ["lm", "generate", "--input", "-", "--seed", "5", "--max-new-tokens", "8"];
    assert_eq!(objects(&sampled, input), objects(&sampled, input));
}

#[test]
fn a_prompt_is_answered_and_stopped() {
    let args = ["lm", "generate", "--raw", "--greedy", "--stop", " 7", "1, 2, 3, 4, 5,"];
    assert_eq!(succeeds(&args, ""), " 6,\n");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let tiny = Tiny::new();
    // More than fits into a pipe.
    let lines: Vec<String> =
        (0..3000).map(|i| format!("{{\"id\": {i}, \"text\": \"a b c\"}}")).collect();
    tiny.write("input.jsonl", &lines.join("\n"));
    let (model, input) = (tiny.arg("model"), tiny.arg("input.jsonl"));
    let args = ["lm", "generate", "--model", &model, "--max-new-tokens", "1", "--input", &input];
    let mut child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&out.stderr), "");
}

#[test]
fn help_and_version_are_results() {
    for args in [&["--version"][..], &["--help"], &["lm", "finetune", "--help"]] {
        let said = said(command(args), "");
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        assert!(said.out.contains("forthright"), "{}", said.out);
    }
    assert_eq!(said(command(&["lm", "sing"]), "").code, Some(2));
}

#[test]
fn shells_learn_its_words() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = forthright_tests::succeeds(&["completions", shell], "");
        for word in ["forthright", "perplexity", "max-new-tokens"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}
