//! Scenarios put as questionnaires, and what comes of saying and doing.

use std::{fs, path::Path};

use forthright_tests::{command, refused, said, succeeds};
use serde_json::Value;
use tempfile::TempDir;

/// One agent that does as it says, and one that does not.
const CONFIG: &str = r#"
scenarios = ["moral_flexibility", "household_management"]
limits = { turns = 20 }
[arms]
items = 3
paraphrases = 1
[[agents]]
name = "honest"
model.actor = "consistent"
ask = { price = { prompt = 1.0, completion = 2.0 } }
[[agents]]
name = "hypocrite"
model.actor = "hypocrite"
"#;

struct Run(TempDir);

impl Run {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("arms.toml"), CONFIG).unwrap();
        Self(folder)
    }

    fn arg(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn arms(&self, out: &str, more: &[&str]) -> Vec<String> {
        let mut args = ["agents", "arms", "--quiet", "--config"].map(str::to_owned).to_vec();
        args.extend([self.arg("arms.toml"), "--out".to_owned(), self.arg(out)]);
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        args
    }
}

fn borrowed(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&succeeds(args, "")).unwrap()
}

fn gap_of(analysis: &Value, model: &str) -> f64 {
    let models = analysis["models"].as_array().unwrap();
    let model = models.iter().find(|m| m["model"] == model).unwrap();
    model["gap"]["signed"]["value"].as_f64().unwrap()
}

#[test]
fn agents_are_asked_and_watched_and_what_they_say_is_compared_with_what_they_do() {
    let run = Run::new();
    succeeds(&borrowed(&run.arms("run", &[])), "");
    let folder = run.arg("run");
    let said = json(&["agents", "analyse", &folder, "--resamples", "200", "--json"]);
    assert!(gap_of(&said["analysis"], "honest").abs() < 1e-12);
    assert!((gap_of(&said["analysis"], "hypocrite") - 1.0).abs() < 1e-12);
    let page = fs::read_to_string(Path::new(&folder).join("gaps.html")).unwrap();
    for part in ["hypocrite", "Hypocrisy rate", "Largest gaps", "Threats to validity"] {
        assert!(page.contains(part), "{part}");
    }
    // The cells alone are enough to analyse again.
    let cells = format!("{folder}/cells.json");
    let again = run.arg("again");
    let args = ["agents", "analyse", &cells, "--resamples", "200", "--out", &again, "--json"];
    assert_eq!(json(&args)["analysis"], said["analysis"]);
    // The run is one like any other.
    let replayed = json(&["agents", "replay", &folder, "--json"]);
    assert_eq!(replayed["differ"], Value::Array(vec![]));
    let judged = json(&["agents", "rescore", &folder, "--json"]);
    assert_eq!(judged["differ"], 0);
}

#[test]
fn an_agent_is_asked_in_every_combination_and_afterwards_and_its_words_are_coded() {
    let run = Run::new();
    let config = r#"
scenarios = ["moral_flexibility", "household_management"]
limits = { turns = 20 }
[arms]
items = 2
paraphrases = 1
orders = 1
benign = false
[[coders]]
script = { parts = [{ replies = [{ text = "B" }], repeat = true }] }
[[coders]]
script = { parts = [{ replies = [{ text = "B" }], repeat = true }] }
[[agents]]
name = "context"
model.actor = "context"
[[agents]]
name = "vague"
model.script = { parts = [{ replies = [{ text = "It depends." }], repeat = true }] }
"#;
    fs::write(run.0.path().join("arms.toml"), config).unwrap();
    let more = ["--combinations", "household_management", "--awareness"];
    succeeds(&borrowed(&run.arms("run", &more)), "");
    let folder = run.arg("run");
    let said = json(&["agents", "analyse", &folder, "--resamples", "200", "--json"]);
    let models = said["analysis"]["models"].as_array().unwrap();
    let all = &models[0]["ladder"]["combinations"];
    assert_eq!(all["units"], 2);
    let shapley = |axis: usize| all["shapley"][axis]["value"].as_f64().unwrap();
    assert!((shapley(0) - 1.0).abs() < 1e-12 && shapley(1).abs() < 1e-12);
    // A script knows that it is one.
    let live = models[0]["suspicion"]["arms"].as_array().unwrap();
    let live = live.iter().find(|arm| arm["arm"] == "A3").unwrap();
    assert_eq!(live["probability"]["value"], 1.0);
    let coding = &models[1]["coding"];
    assert_eq!((&coding["by_models"], &coding["by_rules"]), (&4.into(), &0.into()));
    let page = fs::read_to_string(Path::new(&folder).join("gaps.html")).unwrap();
    for part in ["Shapley's value", "Did it take it for a test?", "Krippendorff"] {
        assert!(page.contains(part), "{part}");
    }
    let judged = json(&["agents", "rescore", &folder, "--json"]);
    assert_eq!(judged["samples"], json(&["agents", "replay", &folder, "--json"])["samples"]);
}

#[test]
fn a_plan_says_what_is_needed() {
    let run = Run::new();
    let config = run.arg("arms.toml");
    let plan = json(&["agents", "plan", "--config", &config, "--json"]);
    let pairs: Vec<u64> =
        plan["finds"].as_array().unwrap().iter().map(|f| f["pairs"].as_u64().unwrap()).collect();
    assert_eq!(pairs, [50, 197, 785]);
    assert_eq!(plan["items"], 6);
    let arms = plan["arms"].as_array().unwrap();
    assert_eq!(arms.len(), 13);
    assert!(arms.iter().all(|a| a["samples"].as_u64() > Some(0)));
    let cost = |agent: usize| plan["costs"][agent]["cost"].as_f64().unwrap();
    assert!(cost(0) > 0.0 && cost(1).abs() < 1e-12);
}

#[test]
fn what_is_wrong_is_one_sentence() {
    let run = Run::new();
    let bad = |args: &[&str], says: &str| {
        let message = refused(args, "");
        assert!(message.contains(says) && message.trim().lines().count() == 1, "{message}");
    };
    let config = run.arg("arms.toml");
    let arms = ["agents", "arms", "--config", &config, "--out", "x"];
    bad(&[&arms[..], &["--paraphrases", "0"]].concat(), "arms.paraphrases: expected at least 1");
    bad(&[&arms[..], &["--scenario", "moral_flexibilty"]].concat(), "is moral_flexibility meant?");
    let usage = said(command(&[&arms[..], &["--arm", "Q9"]].concat()), "");
    assert_eq!(usage.code, Some(2));
    assert!(usage.err.contains("is Q0"), "{}", usage.err);
    bad(
        &[&arms[..], &["--combinations", "houshold_management"]].concat(),
        "is household_management",
    );
    let coder = run.arg("coder.toml");
    bad(&[&arms[..], &["--coder", &coder]].concat(), "coder.toml");
    let cells = run.arg("cells.json");
    fs::write(&cells, "{\"version\": 1}").unwrap();
    bad(&["agents", "analyse", &cells], "missing field `scenarios`");
    fs::write(&cells, "{\"version\": 9, \"scenarios\": [], \"cells\": []}").unwrap();
    bad(&["agents", "analyse", &cells], "version: expected 1, found 9");
    let paper = ["agents", "reproduce", "--scale", "paper", "--out", &run.arg("paper")];
    bad(&paper, "--url: expected the base URL of an endpoint");
    assert!(!Path::new(&run.arg("paper")).exists());
}
