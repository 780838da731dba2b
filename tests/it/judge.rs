//! Judging two policies, and rewards from outside.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    thread,
};

use forthright_tests::{Said, Tiny, command, refused, said, succeeds};
use serde_json::Value;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/causal-lm/tests/golden");

/// A model, prompts, short answers, and an adapter that changes much.
struct Setting {
    tiny: Tiny,
    adapter: String,
}

impl Setting {
    fn new() -> Self {
        let tiny = Tiny::new();
        let data = tiny.arg("train.jsonl");
        tiny.write(
            "run.toml",
            &format!("[task]\ndata = \"{data}\"\n[train.rollout]\nmax_new_tokens = 6\n"),
        );
        Self { tiny, adapter: format!("{GOLDEN}/peft/llama") }
    }

    fn judge(&self, a: &str, b: &str, more: &[&str]) -> Said {
        let (model, config) = (self.tiny.arg("model"), self.tiny.arg("run.toml"));
        let args = ["klq", "judge", "--model", &model, "--config", &config, "--threads", "1"];
        said(command(&[&args[..], &["--a", a, "--b", b], more].concat()), "")
    }

    /// As JSON, with the code that it must end with.
    fn json(&self, a: &str, b: &str, more: &[&str], code: i32) -> (Value, String) {
        let said = self.judge(a, b, &[more, &["--json"]].concat());
        assert_eq!(said.code, Some(code), "{said:?}");
        (serde_json::from_str(&said.out).unwrap(), said.err)
    }
}

/// A server that gives the same chat completion whatever it is asked; its base URL.
fn server(says: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let serve = move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut length = 0;
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap() > 2 {
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let body = format!(
                    r#"{{"model": "m", "choices": [{{"finish_reason": "stop", "message": {{"role": "assistant", "content": "{says}"}}}}]}}"#
                );
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
                write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
            });
        }
    };
    thread::spawn(serve);
    url
}

#[test]
fn equal_policies_tie_and_nobody_is_asked() {
    let setting = Setting::new();
    let gone = ["--judge", "endpoint", "--url", "http://127.0.0.1:9/v1", "--judge-model", "m"];
    let said = setting.judge("start", "start", &gone);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.starts_with("A wins         0.500  [0.500, 0.500]"), "{}", said.out);
    assert!(said.out.contains("orders agree   1.000"), "{}", said.out);
}

#[test]
fn a_judge_that_prefers_the_first_place_finds_no_winner() {
    let setting = Setting::new();
    let url = server("A");
    let judge = ["--judge", "endpoint", "--url", &url, "--judge-model", "m", "--group", "2"];
    let (said, _) = setting.json(&setting.adapter, "start", &judge, 0);
    let rate = &said["win_rate"];
    assert_eq!((&rate["rate"]["value"], &said["judge"]), (&0.5.into(), &"m".into()));
    assert_eq!(rate["ties"], rate["judged"]);
    let matches = said["matches"].as_array().unwrap();
    assert_eq!(matches.len() as u64, rate["judged"].as_u64().unwrap());
    let differ = matches.iter().filter(|m| m["a"] != m["b"]).count();
    assert!(differ > 0, "{said}");
    let same = (matches.len() - differ) as f64 / matches.len() as f64;
    assert_eq!(rate["consistent"], same);
}

#[test]
fn a_judge_that_says_nothing_useful_judges_nothing() {
    let setting = Setting::new();
    setting.tiny.write("endpoint.toml", "[retry]\nmax_attempts = 1\n");
    let file = setting.tiny.arg("endpoint.toml");
    let nowhere = "http://127.0.0.1:9/v1";
    let gone = ["--judge", "endpoint", "--endpoint", &file, "--url", nowhere, "--judge-model", "m"];
    let (said, err) = setting.json(&setting.adapter, "start", &gone, 1);
    assert!(said["win_rate"].is_null(), "{said}");
    let says = "could be judged: gave up after 1 attempts; the last: http://127.0.0.1:9/v1";
    assert!(err.contains(says), "{err}");
    // A model with random weights, and room for the question in its characters.
    setting.tiny.configure("max_position_embeddings", 2048.into());
    let local = format!("local:{}", setting.tiny.arg("model"));
    let (said, err) = setting.json(&setting.adapter, "start", &["--judge", &local], 1);
    assert_eq!(said["judge"], "model");
    assert_eq!(
        said["unscored"].as_u64().unwrap() as usize,
        said["matches"].as_array().unwrap().len()
    );
    assert!(err.contains("too few matches could be judged: model"), "{err}");
}

#[test]
fn a_classifier_judges_alike_in_both_orders() {
    let setting = Setting::new();
    let judge = format!("classifier:{GOLDEN}/classifier/llama");
    let (one, _) = setting.json(&setting.adapter, "start", &["--judge", &judge], 0);
    assert_eq!(one["win_rate"]["consistent"], 1.0);
    assert_eq!(one["unscored"], 0);
    let (other, _) = setting.json("start", &setting.adapter, &["--judge", &judge], 0);
    let value = |of: &Value| of["win_rate"]["rate"]["value"].as_f64().unwrap();
    assert!((value(&one) + value(&other) - 1.0).abs() < 1e-12);
}

#[test]
fn flags_of_the_judge_are_checked_before_any_work() {
    let setting = Setting::new();
    for (more, says) in [
        (&["--judge", "local:/no/such", "--url", "x"][..], "--url is of an endpoint alone"),
        (&["--judge", "endpoint"], "an endpoint needs --judge-model"),
        (&["--judge", "local:/no/such"], "/no/such"),
        (&["--judge", "classifier:/no/such"], "/no/such/config.json"),
        (&["--judge", "endpoint", "--judge-model", "m", "--url", "ftp://x"], "endpoint.base_url"),
    ] {
        let (model, config) = (setting.tiny.arg("model"), setting.tiny.arg("run.toml"));
        let args = ["klq", "judge", "--model", &model, "--config", &config];
        let message = refused(&[&args[..], &["--a", "start", "--b", "start"], more].concat(), "");
        assert!(message.contains(says), "{message}");
    }
}

#[test]
fn a_program_of_the_users_scores_answers() {
    let setting = Setting::new();
    let (model, data) = (setting.tiny.arg("model"), setting.tiny.arg("train.jsonl"));
    let config = |reward: &str| {
        let text = format!(
            "[task]\ndata = \"{data}\"\nreward = {{ program = {reward} }}\n[train.rollout]\n\
             max_new_tokens = 6\n"
        );
        setting.tiny.write("program.toml", &text);
        setting.tiny.arg("program.toml")
    };
    setting.tiny.write(
        "score.py",
        "import json, sys\nfor line in sys.stdin:\n    \
         print(json.dumps({'score': len(json.loads(line)['answer'])}), flush=True)\n",
    );
    let path = config(&format!("[\"python3\", \"{}\"]", setting.tiny.arg("score.py")));
    let args = ["klq", "evaluate", "--model", &model, "--threads", "1", "--json", "--config"];
    let said: Value = serde_json::from_str(&succeeds(&[&args[..], &[&path]].concat(), "")).unwrap();
    let answers = said["answers"].as_array().unwrap();
    assert!(answers.len() > 4);
    for answer in answers {
        let length = answer["text"].as_str().unwrap().chars().count();
        assert_eq!(answer["score"].as_f64(), Some(length as f64), "{answer}");
    }
    let path = config(r#"{ command = ["sh", "-c", "exit 7"], timeout_s = 20 }"#);
    let message = refused(&[&args[..], &[&path]].concat(), "");
    assert!(message.contains("reward program sh: ended (exit status: 7) after 0 of"), "{message}");
}
