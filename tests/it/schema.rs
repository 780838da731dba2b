//! `schema`: what there is, one of them, and names that are none.

use forthright_tests::{refused, succeeds};
use serde_json::Value;

fn printed(system: &str, file: &str) -> Value {
    serde_json::from_str(&succeeds(&["schema", system, file], "")).unwrap()
}

#[test]
fn schemas_are_listed_and_printed() {
    let all = succeeds(&["schema"], "");
    for name in
        ["lm finetune", "klq train", "cot train-organism", "agents endpoint", "portfolio quote"]
    {
        assert!(all.lines().any(|line| line.starts_with(name)), "{name}: {all}");
    }
    let of_klq = succeeds(&["schema", "klq"], "");
    assert!(of_klq.lines().all(|line| line.starts_with("klq ")), "{of_klq}");
    for (system, file) in [("early-exit", "reproduce"), ("agents", "script")] {
        let schema = printed(system, file);
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{file}");
        let title = schema["title"].as_str().unwrap();
        assert!(title.starts_with(&format!("forthright {system} ")), "{title}");
    }
    // Every key says what it means, and what it is if it is not given.
    let schema = printed("klq", "train");
    let every = &schema["properties"]["checkpoint_every"];
    assert!(every["description"].is_string() && every["default"].is_number(), "{every}");
}

#[test]
fn names_that_are_none_are_answered_with_those_that_are() {
    let message = refused(&["schema", "kql"], "");
    assert!(message.contains("kql: expected a system, of lm, klq, early-exit"), "{message}");
    let message = refused(&["schema", "klq", "trian"], "");
    assert!(
        message.contains("trian: expected one of klq's files: train, reward-model"),
        "{message}"
    );
}
