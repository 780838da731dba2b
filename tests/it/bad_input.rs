//! Bad input: one sentence naming it, exit code 2, nothing overwritten.

use std::fs;

use forthright_tests::{Tiny, command, refusal, refused, said};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::json;

#[test]
fn lines_are_named() {
    let tiny = Tiny::new();
    let model = tiny.arg("model");
    let score = ["lm", "score", "--model", &model, "--input", "-"];
    let generate = ["lm", "generate", "--model", &model, "--input", "-"];
    for (args, input, says) in [
        (score, "{\"id\": 1, \"text\": \"ok\"}\n{oops\n", "standard input: line 2"),
        (score, "{\"id\": 1, \"txt\": \"ok\"}", "unknown field `txt`"),
        (score, "{\"id\": 1}", "expected either text, or context"),
        (score, "{\"id\": 1, \"text\": \"\"}", "line 1: text: expected at least one token"),
        (generate, "{\"id\": 1, \"text\": \"\"}", "line 1: expected at least one token"),
    ] {
        let message = refused(&args, input);
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn prompts_must_fit() {
    let tiny = Tiny::new();
    let model = tiny.arg("model");
    let long = "a".repeat(250);
    let line = format!("{{\"id\": 1, \"text\": \"{long}\"}}");
    let limit = ["--max-new-tokens", "10", "--model", &model];
    let message = refused(&[&["lm", "generate", "--input", "-"][..], &limit].concat(), &line);
    assert!(message.contains("line 1: expected at most 246 tokens"), "{message}");
    assert!(message.contains("found 250"), "{message}");
    let message = refused(&[&["lm", "generate", "--raw", &long][..], &limit].concat(), "");
    assert!(message.contains("expected at most 246 tokens"), "{message}");
    let message = refused(&[&["lm", "generate", "--raw", ""][..], &limit].concat(), "");
    assert!(message.contains("expected at least one token, found none"), "{message}");
    let line = line.replace(&long, &"a".repeat(257));
    let message = refused(&["lm", "score", "--input", "-", "--model", &model], &line);
    assert!(message.contains("line 1: expected at most 256 tokens, found 257"), "{message}");
    // Characters that the tokenizer has no token for.
    let message = refused(&[&["lm", "generate", "--raw", "\u{1F600}"][..], &limit].concat(), "");
    assert!(message.contains("expected at least one token, found none"), "{message}");
}

#[test]
fn text_must_be_utf8() {
    let tiny = Tiny::new();
    let model = tiny.arg("model");
    fs::write(
        tiny.at("bad.jsonl"),
        b"{\"id\": 1, \"text\": \"ok\"}\n{\"id\": 2, \"text\": \"\xff\"}\n",
    )
    .unwrap();
    let bad = tiny.arg("bad.jsonl");
    for verb in ["score", "generate"] {
        let message = refused(&["lm", verb, "--model", &model, "--input", &bad], "");
        assert!(message.contains("bad.jsonl: line 2: expected UTF-8"), "{message}");
    }
    let message = refused(&["lm", "perplexity", "--model", &model, &bad], "");
    assert!(message.contains("bad.jsonl: expected UTF-8"), "{message}");
    let out = tiny.arg("out");
    let message =
        refused(&["lm", "finetune", "--model", &model, "--data", &bad, "--out", &out], "");
    assert!(message.contains("bad.jsonl: line"), "{message}");
}

/// Rewrites the model's weights, tensor by tensor.
fn reweigh(tiny: &Tiny, change: impl Fn(&str, &mut Vec<u8>) -> Option<safetensors::Dtype>) {
    let path = tiny.at("model/model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let changed: Vec<_> = tensors
        .iter()
        .map(|(name, view)| {
            let mut data = view.data().to_vec();
            let dtype = change(name, &mut data).unwrap_or(view.dtype());
            (name.to_owned(), dtype, view.shape().to_vec(), data)
        })
        .collect();
    let views = changed.iter().map(|(name, dtype, shape, data)| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn weights_that_are_not_numbers_are_noticed() {
    let tiny = Tiny::new();
    reweigh(&tiny, |name, data| {
        if name == "model.norm.weight" {
            data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        }
        None
    });
    let (model, data, out) = (tiny.arg("model"), tiny.arg("train.jsonl"), tiny.arg("out"));
    tiny.write("text.txt", "some text");
    let text = tiny.arg("text.txt");
    let (line, few) = ("{\"id\": 1, \"text\": \"abc\"}", "--max-new-tokens=4");
    for (args, input) in [
        (&["lm", "generate", "--model", &model, few, "--raw", "abc"][..], ""),
        (&["lm", "generate", "--model", &model, few, "--raw", "--greedy", "abc"], ""),
        (&["lm", "generate", "--model", &model, few, "--input", "-"], line),
        (&["lm", "score", "--model", &model, "--input", "-"], line),
        (&["lm", "perplexity", "--model", &model, &text], ""),
    ] {
        let message = refused(args, input);
        assert!(message.contains("NaN"), "{args:?}: {message}");
        assert!(message.contains("expected a finite number"), "{args:?}: {message}");
    }
    let args = ["lm", "finetune", "--model", &model, "--data", &data, "--out", &out];
    let found = said(command(&args), "");
    assert_eq!(found.code, Some(2), "{}", found.err);
    let last = found.err.lines().last().unwrap();
    assert!(last.starts_with("error: ") && last.contains("NaN"), "{last}");
    assert!(!tiny.at("out/adapter").exists());
}

#[test]
fn weights_of_another_type_are_named() {
    let tiny = Tiny::new();
    reweigh(&tiny, |name, _| (name == "model.norm.weight").then_some(safetensors::Dtype::I32));
    let model = tiny.arg("model");
    let message = refused(&["lm", "inspect", "--model", &model], "");
    assert!(message.contains("model.norm.weight") && message.contains("I32"), "{message}");
}

#[test]
fn an_absent_shard_is_named() {
    let tiny = Tiny::new();
    fs::remove_file(tiny.at("model/model.safetensors")).unwrap();
    let index =
        json!({ "weight_map": { "model.norm.weight": "model-00001-of-00002.safetensors" } });
    tiny.write("model/model.safetensors.index.json", &index.to_string());
    let model = tiny.arg("model");
    let message = refused(&["lm", "inspect", "--model", &model], "");
    assert!(message.contains("model-00001-of-00002.safetensors"), "{message}");
}

#[test]
fn torn_and_missing_files_are_named() {
    let tiny = Tiny::new();
    let model = tiny.arg("model");
    let inspect = ["lm", "inspect", "--model", &model];
    let message = refused(&["lm", "inspect", "--model", "/nowhere.gguf"], "");
    assert!(message.contains("/nowhere.gguf"), "{message}");
    fs::write(tiny.at("short.gguf"), b"GGUF\x03\0\0\0").unwrap();
    let message = refused(&["lm", "inspect", "--model", &tiny.arg("short.gguf")], "");
    assert!(message.contains("short.gguf") && message.contains("is it truncated?"), "{message}");
    let weights = fs::read(tiny.at("model/model.safetensors")).unwrap();
    for length in [0, 7, 100, weights.len() - 1] {
        fs::write(tiny.at("model/model.safetensors"), &weights[..length]).unwrap();
        assert!(refused(&inspect, "").contains("model.safetensors"));
    }
    fs::write(tiny.at("model/model.safetensors"), &weights).unwrap();
    tiny.configure("hidden_size", json!(64));
    assert!(refused(&inspect, "").contains("expected"));
    tiny.configure("hidden_size", json!(-1));
    assert!(refused(&inspect, "").contains("hidden_size"));
    tiny.write("model/config.json", "{");
    assert!(refused(&inspect, "").contains("config.json"));
    fs::remove_file(tiny.at("model/tokenizer.json")).unwrap();
    assert!(refused(&inspect, "").contains("model/"));
}

#[test]
fn templates_with_an_error_are_named() {
    let tiny = Tiny::new();
    let model = tiny.arg("model");
    let generate = ["lm", "generate", "--model", &model, "hello"];
    for (template, says) in [
        ("{% for m in %}", "chat_template.jinja: chat template: "),
        ("{{ raise_exception('no system messages') }}", "no system messages"),
        (
            "{% for i in range(100000000) %}{% for j in range(100000000) %}x{% endfor %}{% endfor %}",
            "chat",
        ),
        ("{{ messages[0].nothing.more }}", "chat template: "),
    ] {
        tiny.write("model/chat_template.jinja", template);
        let message = refused(&generate, "");
        assert!(message.contains(says), "{message}");
    }
    fs::remove_file(tiny.at("model/chat_template.jinja")).unwrap();
    assert!(refused(&generate, "").contains("this model has no chat template"));
}

#[test]
fn flags_are_checked() {
    let tiny = Tiny::new();
    let model = tiny.arg("model");
    for (args, says) in [
        (&["lm", "inspect", "--model", &model, "--threads", "0"][..], "--threads"),
        (&["lm", "inspect", "--model", &model, "--device", "cuda:99"], "device: expected"),
        (&["lm", "perplexity", "--model", &model, "--window", "1", "x"], "--window: expected"),
        (&["lm", "generate", "--model", &model, "--temperature=-1", "--raw", "a"], "temperature"),
        (&["lm", "generate", "--model", &model, "--top-p", "2", "--raw", "a"], "top_p"),
        (&["lm", "score", "--model", &model, "--input", "/nowhere"], "/nowhere"),
        (&["lm", "generate", "--model", &model, "--adapter", "/nowhere", "a"], "/nowhere"),
        (&["report", "/nowhere"], "/nowhere"),
    ] {
        let found = said(command(args), "");
        if found.err.lines().count() > 1 {
            // What clap refuses comes with the usage.
            assert_eq!(found.code, Some(2));
            assert!(found.err.contains(says), "{}", found.err);
        } else {
            let message = refusal(found);
            assert!(message.contains(says), "{message}");
        }
    }
}
