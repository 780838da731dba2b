//! The command as a user meets it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use assert_cmd::Command;
use serde_json::Value;

fn forthright(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("forthright").unwrap();
    command.args(args);
    command
}

/// Standard error of a run that must end with exit code 2: one sentence.
fn refused(args: &[&str], input: &str) -> String {
    let out = forthright(args).write_stdin(input).assert().code(2).get_output().clone();
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

fn objects(args: &[&str], input: &str) -> Vec<Value> {
    let out = forthright(args).write_stdin(input).assert().success().get_output().stdout.clone();
    let text = String::from_utf8(out).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn scores_add_up_and_contexts_condition() {
    let input = "{\"id\": 1, \"text\": \"The cat sat on the mat.\"}\n\n\
         {\"id\": \"b\", \"context\": \"The capital of France is\", \"continuation\": \" Paris\"}\n\
         {\"id\": \"c\", \"context\": \"The capital of France is\", \"continuation\": \" cheese\"}\n";
    let found = objects(&["lm", "score", "--input", "-"], input);
    assert_eq!(found.len(), 3);
    for object in &found {
        let scores: Vec<f64> = serde_json::from_value(object["token_log_probs"].clone()).unwrap();
        let sum: f64 = scores.iter().sum();
        assert!((sum - object["sum"].as_f64().unwrap()).abs() < 1e-6);
        assert!(scores.iter().all(|&s| s <= 0.0));
    }
    // A text is scored from its second token on, a continuation from its first.
    let len = |o: &Value, key: &str| o[key].as_array().unwrap().len();
    assert_eq!(len(&found[0], "token_log_probs") + 1, len(&found[0], "ids"));
    assert_eq!(len(&found[1], "token_log_probs"), len(&found[1], "ids"));
    assert!(found[1]["sum"].as_f64() > found[2]["sum"].as_f64());
}

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
    let out = forthright(&args).assert().success().get_output().stdout.clone();
    assert_eq!(String::from_utf8(out).unwrap(), " 6,\n");
}

#[test]
fn bad_input_is_named() {
    let score = ["lm", "score", "--input", "-"];
    let generate = ["lm", "generate", "--input", "-"];
    assert!(
        refused(&score, "{\"id\": 1, \"text\": \"ok\"}\n{oops\n")
            .contains("standard input: line 2")
    );
    assert!(refused(&score, "{\"id\": 1, \"txt\": \"ok\"}").contains("unknown field `txt`"));
    assert!(refused(&score, "{\"id\": 1}").contains("expected either text, or context"));
    assert!(refused(&generate, "{\"id\": 1, \"text\": \"\"}").contains("at least one token"));
    let long = format!("{{\"id\": 1, \"text\": \"{}\"}}", "word ".repeat(9000));
    assert!(refused(&generate, &long).contains("expected at most 7936 tokens"));
    assert!(refused(&["lm", "inspect", "--model", "/nowhere.gguf"], "").contains("/nowhere.gguf"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("short.gguf");
    std::fs::write(&file, b"GGUF\x03\0\0\0").unwrap();
    let message = refused(&["lm", "inspect", "--model", file.to_str().unwrap()], "");
    assert!(message.contains("is it truncated?"), "{message}");
}
