//! Programs of users that score, fail and misbehave.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use klq::reward::{Answer, Program, ProgramConfig, Prompt, Reward};

fn program(command: &[&str], timeout_s: f64) -> Program {
    let command = command.iter().map(|&word| word.to_owned()).collect();
    Program::start(&ProgramConfig { command, timeout_s }).unwrap()
}

fn sh(script: &str, timeout_s: f64) -> Program {
    program(&["sh", "-c", script], timeout_s)
}

fn prompt() -> Prompt {
    Prompt { id: "7".into(), text: "a \"b\"\n".into(), ids: vec![1], source: Some("post".into()) }
}

fn answer<'a>(prompt: &'a Prompt, text: &'a str) -> Answer<'a> {
    Answer { prompt, ids: &[2], text, ended: text != "cut" }
}

fn scores(program: &mut Program, texts: &[&str]) -> Vec<Result<f64, String>> {
    let prompt = prompt();
    let answers: Vec<Answer<'_>> = texts.iter().map(|text| answer(&prompt, text)).collect();
    program.score(&answers)
}

#[derive(serde::Deserialize)]
struct File {
    program: ProgramConfig,
}

/// A score of every answer says that all of it came through.
const CHECKS: &str = r#"
import json, sys
for line in sys.stdin:
    d = json.loads(line)
    assert sorted(d) == ["answer", "ended", "id", "prompt", "source"], d
    assert (d["id"], d["prompt"], d["source"]) == ("7", 'a "b"\n', "post"), d
    if d["answer"] == "none":
        reply = {"error": "nothing to say"}
    elif d["answer"] == "nan":
        reply = {"score": float("nan")}
    else:
        reply = {"id": d["id"], "score": len(d["answer"]) if d["ended"] else -1.5}
    print(json.dumps(reply), flush=True)
"#;

#[test]
fn scores_come_in_the_order_of_the_answers() {
    let mut program = program(&["python3", "-c", CHECKS], 20.0);
    let said = scores(&mut program, &["four", "", "cut", "none", "é\n", "nan"]);
    assert_eq!(said[..4], [Ok(4.0), Ok(0.0), Ok(-1.5), Err("nothing to say".into())]);
    assert_eq!(said[4], Ok(2.0));
    assert!(said[5].as_ref().unwrap_err().contains("found \"{\\\"score\\\": NaN}\""), "{said:?}");
    // The same process goes on.
    assert_eq!(scores(&mut program, &["five5"]), [Ok(5.0)]);
    assert_eq!(program.name(), "program python3");
}

#[test]
fn more_than_the_pipes_hold_comes_through() {
    let mut program = program(&["python3", "-c", CHECKS], 20.0);
    let text = "x".repeat(400);
    let said = scores(&mut program, &vec![text.as_str(); 3000]);
    assert!(said.iter().all(|score| *score == Ok(400.0)));
}

#[test]
fn garbage_costs_one_score_each() {
    let script = r#"
        read l; echo 'not JSON'
        read l; echo '{"score": 1}'
        read l; echo '{"score": "1"}'
        read l; echo '{"points": 1}'
        read l; echo '{"id": "8", "score": 1}'
        read l; echo '{}'
        read l; echo
        read l; echo '{"score": 2}'
        cat > /dev/null"#;
    let said = scores(&mut sh(script, 20.0), &["x"; 8]);
    let numbers: Vec<Option<f64>> = said.iter().map(|score| score.clone().ok()).collect();
    assert_eq!(numbers, [None, Some(1.0), None, None, None, None, None, Some(2.0)]);
    let expected = "reward program sh: expected {\"score\": NUMBER} or {\"error\": \"WHY\"}, found \
                    \"not JSON\"";
    assert_eq!(said[0], Err(expected.into()));
    assert_eq!(said[4], Err("reward program sh: expected id \"7\", found \"8\"".into()));
}

/// Every line is that of the answer whose turn it is, and a long one is cut where it is shown.
#[test]
fn lines_belong_to_their_answers() {
    let prompts = ["a", "b"].map(|id| Prompt { id: id.into(), ..prompt() });
    let answers = prompts.each_ref().map(|prompt| answer(prompt, "x"));
    let script = r#"
        read l; echo '{"id": "a", "score": 1}'
        read l; echo '{"id": "b", "score": 2}'
        read l; printf '%0100d\n' 0
        read l; echo '{"id": "a", "score": 3}'
        cat > /dev/null"#;
    let mut program = sh(script, 20.0);
    assert_eq!(program.score(&answers), [Ok(1.0), Ok(2.0)]);
    let said = program.score(&answers);
    let shown = format!("found \"{}…\"", "0".repeat(80));
    assert!(said[0].as_ref().unwrap_err().ends_with(&shown), "{said:?}");
    assert_eq!(said[1], Err("reward program sh: expected id \"b\", found \"a\"".into()));
}

#[test]
fn a_program_that_ends_leaves_the_rest_without_score() {
    let mut program = sh(r#"read l; echo '{"score": 1}'; read l; exit 3"#, 20.0);
    let why = "reward program sh: ended (exit status: 3) after 1 of 3 lines";
    assert_eq!(scores(&mut program, &["x"; 3]), [Ok(1.0), Err(why.into()), Err(why.into())]);
    assert_eq!(scores(&mut program, &["x"]), [Err(why.into())]);
}

#[test]
fn a_late_program_is_not_waited_for() {
    let start = Instant::now();
    let mut program = sh(r#"read l; echo '{"score": 1}'; sleep 600"#, 0.3);
    let said = scores(&mut program, &["x", "y"]);
    assert_eq!(said[0], Ok(1.0));
    let why = said[1].as_ref().unwrap_err();
    assert!(why.contains("expected a line within 0.3 s, found none after 1 of 2 lines"), "{why}");
    assert_eq!(scores(&mut program, &["x"]), [Err(why.clone())]);
    assert!(start.elapsed() < Duration::from_mins(1));
}

#[test]
fn lines_that_nobody_asked_for_are_never_taken_for_scores() {
    let twice = r#"while read l; do echo '{"score": 1}'; echo '{"score": 2}'; done"#;
    let mut program = sh(twice, 20.0);
    assert_eq!(scores(&mut program, &["x"]), [Ok(1.0)]);
    std::thread::sleep(Duration::from_millis(300));
    let why = scores(&mut program, &["x"]).remove(0).unwrap_err();
    assert!(why.contains("said more lines than it was asked for"), "{why}");
}

#[test]
fn an_endless_line_is_not_read() {
    let mut program = sh("read l; yes | tr -d '\\n'", 20.0);
    let why = scores(&mut program, &["x"]).remove(0).unwrap_err();
    assert!(why.contains("expected lines of at most 1048576 bytes"), "{why}");
}

/// A program that writes to `file` behind everyone's back, and scores the first answer only.
fn busy(file: &Path, timeout_s: f64) -> Program {
    let script = format!(
        "(while :; do echo x >> '{}'; sleep 0.02; done) & read l; echo '{{\"score\": 1}}'; sleep 600",
        file.display()
    );
    sh(&script, timeout_s)
}

fn assert_writes(file: &Path, writes: bool) {
    let size = || fs::metadata(file).map_or(0, |m| m.len());
    let start = Instant::now();
    while writes && size() == 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "it never wrote");
        std::thread::sleep(Duration::from_millis(10));
    }
    if !writes {
        std::thread::sleep(Duration::from_millis(100));
        let before = size();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(size(), before, "it still writes");
    }
}

#[test]
fn what_the_program_started_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alive");
    let mut program = busy(&file, 20.0);
    assert_eq!(scores(&mut program, &["x"]), [Ok(1.0)]);
    assert_writes(&file, true);
    drop(program);
    assert_writes(&file, false);
}

#[test]
fn a_program_that_is_given_up_is_ended_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alive");
    let mut program = busy(&file, 2.0);
    assert_eq!(scores(&mut program, &["x"]), [Ok(1.0)]);
    assert_writes(&file, true);
    assert!(scores(&mut program, &["x"])[0].is_err());
    assert_writes(&file, false);
    drop(program);
}

#[test]
fn settings_are_checked_and_read_in_both_forms() {
    let missing = ProgramConfig { command: vec!["/no/such/program".into()], timeout_s: 1.0 };
    let error = Program::start(&missing).unwrap_err().to_string();
    assert!(error.starts_with("cannot start /no/such/program: "), "{error}");
    let sh = |timeout_s| ProgramConfig { command: vec!["sh".into()], timeout_s };
    let no_name = ProgramConfig { command: vec![String::new()], timeout_s: 1.0 };
    for config in [ProgramConfig::default(), sh(0.0), sh(1e5), sh(f64::NAN)] {
        assert!(Program::start(&config).is_err());
    }
    let error = Program::start(&no_name).unwrap_err().to_string();
    assert!(error.starts_with("command: expected a program and its arguments"), "{error}");
    let of = |text: &str| toml::from_str::<File>(text).map(|file| file.program);
    let words = of(r#"program = ["python3", "score.py"]"#).unwrap();
    assert_eq!((words.command.len(), words.timeout_s), (2, 60.0));
    let table = of(r#"program = { command = ["sh"], timeout_s = 5 }"#).unwrap();
    assert_eq!((table.command.len(), table.timeout_s), (1, 5.0));
    let error = of(r#"program = { command = ["sh"], time = 5 }"#).unwrap_err().to_string();
    assert!(error.contains("a list of words, or a table of command and timeout_s"), "{error}");
    let written = toml::to_string(&table).unwrap();
    assert_eq!(toml::from_str::<ProgramConfig>(&written).unwrap(), table);
}
