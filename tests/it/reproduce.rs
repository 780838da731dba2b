//! What every `reproduce` answers alike.

use std::path::Path;

use forthright_tests::{Tiny, refused, succeeds};

#[test]
fn a_dry_run_says_what_would_run_and_touches_nothing() {
    let tiny = Tiny::new();
    let (out, model) = (tiny.arg("runs"), tiny.arg("model"));
    for (system, model, says) in [
        ("lm", Some(&model), "perplexity of our English in windows of 512 tokens"),
        ("klq", Some(&model), "random problems with a known optimum"),
        ("early-exit", None, "held-out problems"),
        ("cot", None, "toys: "),
        ("agents", Some(&model), "scripted: "),
        ("portfolio", None, "structural.table"),
    ] {
        let mut args = vec![system, "reproduce", "--dry-run", "--out", &out];
        args.extend(model.into_iter().flat_map(|model| ["--model", model]));
        let said = succeeds(&args, "");
        assert!(said.contains(says), "{system}: {said}");
        assert_eq!(said.lines().last(), Some(format!("writes {out}").as_str()), "{system}");
        assert!(!Path::new(&out).exists(), "{system} wrote something");
    }
}

#[test]
fn settings_of_ones_own_are_read_by_all() {
    let tiny = Tiny::new();
    let (out, config) = (tiny.arg("runs"), tiny.arg("wrong.toml"));
    std::fs::write(&config, "of_no_system = 1\n").unwrap();
    for system in ["lm", "klq", "early-exit", "cot", "agents", "portfolio"] {
        let message = refused(&[system, "reproduce", "--config", &config, "--out", &out], "");
        assert!(message.contains("wrong.toml: line 1: "), "{system}: {message}");
        assert!(message.contains("of_no_system"), "{system}: {message}");
    }
    std::fs::write(
        &config,
        "window = 512\nmax_new_tokens = 8\nbatches = [1, 0]\nrepeats = 1\nfinetune_steps = 1\n",
    )
    .unwrap();
    let message = refused(&["lm", "reproduce", "--config", &config, "--out", &out], "");
    assert!(message.contains("batches: expected at least 1, found 0"), "{message}");
    assert!(!Path::new(&out).exists());
}

#[test]
fn the_published_scale_is_refused_where_what_it_needs_was_not_given() {
    let tiny = Tiny::new();
    let out = tiny.arg("runs");
    for (system, says) in [
        ("lm", "--scale: expected smoke or laptop, since no paper stands behind lm, found paper"),
        ("klq", "--model: expected the folder of a checkpoint at scale paper, found none"),
        ("early-exit", "--model: expected the folder of a checkpoint at scale paper, found none"),
        ("cot", "--model: expected the folder of a checkpoint at scale paper, found none"),
        ("agents", "--url: expected the base URL of an endpoint"),
    ] {
        let paper = [system, "reproduce", "--scale", "paper", "--out", &out];
        let message = refused(&paper, "");
        assert!(message.contains(says), "{system}: {message}");
        assert!(!Path::new(&out).exists(), "{system} wrote something");
    }
    let said = succeeds(&["klq", "reproduce", "--scale", "paper", "--dry-run", "--out", &out], "");
    assert!(
        said.contains("summary: 4 seeds of klq, ppo at 4 weights of the KL, 75072 answers each")
    );
}
