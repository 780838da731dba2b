//! Logs that Inspect reads, and those that it refuses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use agent_evals::{
    Again, Agent, FinishedIter, Persona, Plan, Stopper, Verdict,
    inspect::{Imported, InspectLog, LogFormat, export, validate},
};
use chat_model::{Message, Response, Scripted};
use serde_json::{Value, json};

use crate::common::{Counting, call, counter, plan};

/// A run with scores, a failure, tool errors and something that looks like markup.
async fn run(path: &Path) {
    let model = Scripted::function("m", |request, _| {
        let turns = request.messages.len();
        if request.messages[1].text().contains('9') && turns > 3 {
            return Err(chat_model::Error::Model { model: "m".into(), reason: "gone".into() });
        }
        let mut response = match turns {
            2 => Response::from_calls(
                "m",
                vec![call("a", "add", r#"{"by":1}"#), call("b", "add", "not JSON")],
            ),
            _ => Response::from_text("m", "<b>NaN</b> \"\u{0}NaN\u{0}\" \u{fffd}"),
        };
        response.reasoning = Some("hm".to_owned());
        Ok(response)
    });
    let bold = Persona { name: "bold".to_owned(), text: "You are bold.".to_owned() };
    let plan = Plan {
        personas: vec![Persona::none(), bold],
        epochs: 2,
        ..plan(Counting::to(&[1, 2, 9]), Agent::new(model))
    };
    plan.run(path, None, Stopper::default()).await.unwrap();
}

fn logs(folder: &Path, journal: &Path, format: LogFormat) -> PathBuf {
    let paths = export(journal, folder, format).unwrap();
    assert_eq!(paths.len(), 1);
    paths.into_iter().next().unwrap()
}

#[tokio::test]
async fn both_forms_are_read_back_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    run(&journal).await;
    let eval = logs(folder.path(), &journal, LogFormat::Eval);
    let json = logs(folder.path(), &journal, LogFormat::Json);
    let (eval, json) = (InspectLog::read(&eval).unwrap(), InspectLog::read(&json).unwrap());
    assert_eq!(eval, json);
    assert_eq!(eval.samples.len(), 12);
    for finished in FinishedIter::open(&journal).unwrap() {
        let finished = finished.unwrap();
        let key = &finished.start.key;
        let id = format!("{}@{}", key.sample, key.persona);
        let found = |i: &&Imported| i.id == id && i.epoch == key.epoch;
        let imported = eval.samples.iter().find(found).unwrap();
        assert_eq!(imported.conversation, finished.trace.conversation());
        assert_eq!(imported.scores, finished.finish.scores);
        assert_eq!(imported.target, finished.start.sample.target);
        assert_eq!(imported.error.is_some(), key.sample == "s2");
    }
    let scores = &eval.header["results"]["scores"][0];
    assert_eq!(eval.header["status"], "success");
    assert_eq!((&scores["scored_samples"], &scores["unscored_samples"]), (&json!(8), &json!(4)));
    // s0 counts to one, s1 does not count to two.
    assert_eq!(scores["metrics"]["mean"]["value"], 0.5);
    // Two clusters of four: sqrt(2 · 2 · (4 · 0.5)²) / 8.
    assert_eq!(scores["metrics"]["stderr"]["value"], 0.5);
    // Nothing is written over.
    assert!(export(&journal, folder.path(), LogFormat::Eval).is_err());
}

#[tokio::test]
async fn a_run_that_was_stopped_is_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    let small = || plan(Counting::to(&[1, 2]), Agent::new(counter(1)));
    small().run(&journal, None, Stopper::default()).await.unwrap();
    let text = fs::read_to_string(&journal).unwrap();
    let cut = text.trim_end().rfind('\n').unwrap() + 1;
    fs::write(&journal, &text[..cut]).unwrap();
    let log = InspectLog::read(&logs(folder.path(), &journal, LogFormat::Eval)).unwrap();
    assert_eq!((log.header["status"].as_str(), log.samples.len()), (Some("cancelled"), 1));
    assert_eq!(log.samples[0].id.len(), 2);
    small().resume(&journal, Again::Unfinished, None, Stopper::default()).await.unwrap();
}

#[test]
fn inspects_own_logs_are_read() {
    // Written by the generator beside them: zstd, with texts set apart as attachments.
    let golden = Path::new("tests/golden/inspect");
    for name in ["own.eval", "own.json"] {
        let log = InspectLog::read(&golden.join(name)).unwrap();
        assert_eq!(log.samples.len(), 3, "{name}");
        let verdict = |id: &str| {
            let sample = log.samples.iter().find(|s| s.id == id).unwrap();
            sample.scores["match"].verdict.clone()
        };
        assert_eq!(verdict("right"), Verdict::Scored(1.0));
        assert_eq!(verdict("wrong"), Verdict::Scored(0.0));
        let long = log.samples.iter().find(|s| s.id == "long").unwrap();
        assert_eq!(long.conversation[0].text(), "word ".repeat(500));
    }
}

#[test]
fn what_inspect_refuses_is_refused() {
    let golden = Path::new("tests/golden/inspect");
    let read = |name: &str| fs::read_to_string(golden.join(name)).unwrap();
    let base: Value = serde_json::from_str(&read("base.json")).unwrap();
    validate("base", &base).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&read("verdicts.json")).unwrap();
    assert!(cases.len() > 60);
    let mut wrong = Vec::new();
    for case in &cases {
        let mut log = base.clone();
        let path: Vec<&Value> = case["path"].as_array().unwrap().iter().collect();
        let (last, above) = path.split_last().unwrap();
        let mut at = &mut log;
        for step in above {
            at = match step {
                Value::Number(i) => &mut at[i.as_u64().unwrap() as usize],
                key => &mut at[key.as_str().unwrap()],
            };
        }
        let key = last.as_str().unwrap();
        match case.get("set") {
            Some(value) => {
                at[key] = value.clone();
            }
            None => {
                at.as_object_mut().unwrap().remove(key);
            }
        }
        let ours = validate("case", &log).is_ok();
        if ours != case["accepted"].as_bool().unwrap() {
            wrong.push(format!("{case}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "to say that nothing was tested")]
async fn inspects_reader_agrees() {
    let Ok(python) = std::env::var("FORTHRIGHT_INSPECT_PYTHON") else {
        eprintln!("skipped: set FORTHRIGHT_INSPECT_PYTHON to a Python that has inspect-ai");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    run(&journal).await;
    for format in [LogFormat::Eval, LogFormat::Json] {
        let log = logs(folder.path(), &journal, format);
        let output = Command::new(&python)
            .arg("tests/golden/inspect/make.py")
            .arg("read")
            .arg(&log)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["status"], "success");
        let ours = InspectLog::read(&log).unwrap();
        assert_eq!(
            told["metrics"]["mean"],
            ours.header["results"]["scores"][0]["metrics"]["mean"]["value"]
        );
        assert_eq!(
            told["metrics"]["stderr"],
            ours.header["results"]["scores"][0]["metrics"]["stderr"]["value"]
        );
        let theirs = told["samples"].as_array().unwrap();
        assert_eq!(theirs.len(), ours.samples.len());
        for theirs in theirs {
            let found = |o: &&Imported| theirs["id"] == o.id && theirs["epoch"] == o.epoch;
            let ours = ours.samples.iter().find(found).unwrap();
            let texts: Vec<&str> = ours.conversation.iter().map(Message::text).collect();
            assert_eq!(theirs["messages"], json!(texts));
            // Unscored is null in what the script prints.
            assert_eq!(theirs["scores"]["reached"], json!(ours.scores["reached"].verdict.value()));
            assert_eq!(theirs["error"], json!(ours.error));
            // The last request was shown everything before its answer.
            assert!(theirs["last_input"].as_u64().unwrap() >= 2);
        }
        assert_eq!(told["summaries"], json!(theirs.len()));
    }
}

/// Writes the base of the golden verdicts anew; run by the generator.
#[tokio::test]
async fn base_log_for_the_goldens() {
    let Ok(path) = std::env::var("FORTHRIGHT_INSPECT_BASE") else { return };
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    plan(Counting::to(&[1]), Agent::new(counter(1)))
        .run(&journal, None, Stopper::default())
        .await
        .unwrap();
    let log = logs(folder.path(), &journal, LogFormat::Json);
    fs::copy(log, path).unwrap();
}
