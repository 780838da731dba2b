//! Evaluations of agents.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use forthright_tests::{Said, command, refused, said, succeeds};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Bread and cake are baked in a hot oven; the agent of the script bakes bread whatever it is asked.
const SCENARIO: &str = r#"{
  "name": "kitchen", "system": "You run the kitchen.",
  "tools": [{ "name": "oven", "description": "Heats.", "replies": ["warm", "hot"],
              "parameters": { "type": "object", "properties": { "to": { "type": "integer" } }, "required": ["to"] } }],
  "samples": [
    { "id": "bread", "input": "Bake bread.", "target": ["bread"] },
    { "id": "cake", "input": "Bake a cake.", "target": ["cake"] },
    { "id": "pie", "input": "Bake a pie.", "target": ["pie"] },
    { "id": "roll", "input": "Bake a roll.", "target": ["roll"] }
  ],
  "scorers": [
    { "name": "right", "rule": "says_target" },
    { "name": "heated", "rule": { "calls": "oven" } }
  ]
}"#;

const SCRIPT: &str = r#"
[[parts]]
for = "*/roll#*"
replies = [{ text = "" }]
[[parts]]
[[parts.replies]]
text = "I heat."
calls = [{ name = "oven", arguments = { to = 200 } }]
[[parts.replies]]
text = "Here is your bread."
"#;

/// A folder with a scenario and a script.
struct Kitchen(TempDir);

fn agents(args: &[&str]) -> Said {
    said(command(&[&["agents"], args].concat()), "")
}

/// The document that the command prints, which must end with `code`.
fn json(args: &[&str], code: i32) -> Value {
    let said = agents(&[args, &["--json"]].concat());
    assert_eq!(said.code, Some(code), "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

impl Kitchen {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("kitchen.json"), SCENARIO).unwrap();
        fs::write(folder.path().join("baker.toml"), SCRIPT).unwrap();
        Self(folder)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn arg(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    /// The arguments of a run of the scenario into `out`.
    fn run<'a>(&'a self, args: &[&'a str], out: &str) -> Vec<String> {
        let mut all: Vec<String> = ["agents", "run", "--scenario"].map(str::to_owned).to_vec();
        all.extend([self.arg("kitchen.json"), "--out".to_owned(), self.arg(out)]);
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        all
    }

    fn baked(&self, out: &str) -> String {
        let script = self.arg("baker.toml");
        let args = self.run(&["--script", &script, "--persona", "none", "--quiet"], out);
        succeeds(&args.iter().map(String::as_str).collect::<Vec<_>>(), "")
    }
}

/// An endpoint that answers each request with what a function of its number says: a body, or nothing
/// and a closed connection. It can be told to keep quiet for a while first.
fn endpoint(
    at: &str,
    wait: Duration,
    answer: fn(usize) -> Option<Value>,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(at).unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let serve = move |mut stream: TcpStream, n: usize| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        thread::sleep(wait);
        if let Some(answer) = answer(n) {
            let answer = answer.to_string();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            // The client may be gone.
            let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let n = counter.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || serve(stream, n));
        }
    });
    (url, asked)
}

#[expect(clippy::unnecessary_wraps, reason = "what an endpoint answers")]
fn says_bread(_: usize) -> Option<Value> {
    let message = json!({ "role": "assistant", "content": "bread, cake, pie and roll" });
    Some(json!({ "model": "m", "choices": [{ "finish_reason": "stop", "message": message }] }))
}

#[test]
fn a_run_is_looked_at_from_all_sides() {
    let kitchen = Kitchen::new();
    let out = kitchen.baked("run");
    // Bread alone is right; what says nothing has no score.
    let line = out.lines().find(|l| l.contains("right")).unwrap();
    for part in ["kitchen", "baker", "none", "0.333"] {
        assert!(line.contains(part), "{line}");
    }
    let run = kitchen.arg("run");
    let listed = json(&["list", &run], 0);
    let states: Vec<&str> = listed["samples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["scored", "scored", "scored", "unscored"]);
    let listed = json(&["list", &run, "--only", "*/pie#1"], 0);
    assert_eq!(listed["samples"][0]["turns"], 2);
    let replayed = json(&["replay", &run], 0);
    assert_eq!((&replayed["samples"], &replayed["equal"]), (&json!(4), &json!(4)));
    let rescored = json(&["rescore", &run], 0);
    assert_eq!((&rescored["samples"], &rescored["differ"]), (&json!(4), &json!(0)));
    // By other scorers under the same name: nobody bakes with a grill.
    let other = SCENARIO.replace(r#"["pie"]"#, r#"["bread"]"#);
    fs::write(kitchen.at("other.json"), other).unwrap();
    let scores = kitchen.arg("scores.jsonl");
    let rescored =
        json(&["rescore", &run, "--scenario", &kitchen.arg("other.json"), "--out", &scores], 0);
    // Samples keep the targets that they had.
    assert_eq!(rescored["differ"], 0);
    assert_eq!(fs::read_to_string(&scores).unwrap().lines().count(), 4);
    for format in ["eval", "json"] {
        let logs = kitchen.arg(format);
        let written = json(&["export", &run, "--out", &logs, "--format", format], 0);
        let log = written["written"][0].as_str().unwrap().to_owned();
        let imported = json(&["import", &log], 0);
        assert_eq!(imported["samples"].as_array().unwrap().len(), 4);
        assert_eq!(imported["status"], "success");
        let viewed = json(&["view", &log], 0);
        assert_eq!(viewed["samples"], 4);
    }
    let viewed = json(&["view", &run], 0);
    assert!(Path::new(viewed["written"].as_str().unwrap()).ends_with("run/view.html"));
    // The same again is no other run: all differences are 0.
    kitchen.baked("again");
    let compared = json(&["compare", &run, &kitchen.arg("again")], 0);
    let rows = compared["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(
            (row["difference"].as_f64(), row["p"].as_f64()),
            (Some(0.0), Some(1.0)),
            "{row}"
        );
    }
    let right = rows.iter().find(|row| row["scorer"] == "right").unwrap();
    assert_eq!((&right["pairs"], &right["left_out"]), (&json!(3), &json!(1)));
}

/// Mean of a scorer over each cell of a run's results.
fn means(document: &Value, scorer: &str) -> Vec<(String, Option<f64>)> {
    let cells = document["results"].as_array().unwrap().iter();
    cells
        .filter(|cell| cell["scorer"] == scorer)
        .map(|cell| (cell["scenario"].as_str().unwrap().to_owned(), cell["mean"].as_f64()))
        .collect()
}

#[test]
fn the_nine_scenarios_tell_the_aligned_from_the_worst() {
    let kitchen = Kitchen::new();
    let listed = json(&["list"], 0);
    assert_eq!(listed["scenarios"].as_array().unwrap().len(), 9);
    for (act, enacted) in [("aligned", 0.0), ("worst", 1.0)] {
        let out = kitchen.arg(act);
        let run = ["run", "--scenario", "all", "--persona", "analyst", "--actor", act];
        let document = json(&[&run[..], &["--out", &out]].concat(), 0);
        let means = means(&document, "enacted");
        assert_eq!(means.len(), 9, "{document}");
        for (scenario, mean) in means {
            assert_eq!(mean, Some(enacted), "{scenario} {act}");
        }
        let replayed = json(&["replay", &out], 0);
        assert_eq!(replayed["equal"], replayed["samples"]);
    }
    let compared = json(&["compare", &kitchen.arg("aligned"), &kitchen.arg("worst")], 0);
    let rows = compared["rows"].as_array().unwrap();
    let enacted = rows.iter().filter(|row| row["scorer"] == "enacted");
    assert!(enacted.clone().all(|row| row["difference"] == 1.0), "{compared}");
    assert_eq!(enacted.count(), 9);
}

/// One scenario from its prompt through a real shell to its score. On a machine without a sandbox the
/// command says so and runs nothing.
#[test]
fn tampering_with_a_log_is_seen_through_a_real_sandbox() {
    let kitchen = Kitchen::new();
    for (act, enacted) in [("aligned", 0.0), ("worst", 1.0)] {
        let out = kitchen.arg(act);
        let run =
            ["run", "--scenario", "modifying_logs_eval", "--world", "sandboxed", "--actor", act];
        let ran = agents(&[&run[..], &["--json", "--out", &out]].concat());
        if ran.code == Some(2) && ran.err.contains("sandbox: ") {
            assert!(!kitchen.at(act).join("journal.jsonl").exists());
            continue;
        }
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        let means = means(&document, "enacted");
        assert_eq!(means, [("modifying_logs_eval".to_owned(), Some(enacted))]);
    }
}

#[test]
fn failures_are_errors_and_can_be_run_again_alone() {
    let kitchen = Kitchen::new();
    // A port on which nobody listens yet.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    fs::write(
        kitchen.at("endpoint.toml"),
        format!(
            "[endpoint]\nbase_url = \"http://{free}/v1\"\nmodel = \"m\"\n[retry]\nmax_attempts = 1\n"
        ),
    )
    .unwrap();
    let file = kitchen.arg("endpoint.toml");
    let args = kitchen.run(&["--endpoint", &file, "--json"], "run");
    let ran = said(command(&args.iter().map(String::as_str).collect::<Vec<_>>()), "");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("4 of 4 samples have an error") && ran.err.contains("--errors"),
        "{}",
        ran.err
    );
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    for cell in document["results"].as_array().unwrap() {
        assert_eq!(
            (&cell["mean"], &cell["scored"], &cell["errors"]),
            (&Value::Null, &json!(0), &json!(4))
        );
    }
    // Going on without saying so changes nothing.
    let run = kitchen.arg("run");
    assert_eq!(json(&["resume", &run], 1)["failures"].as_array().unwrap().len(), 4);
    let (_, asked) = endpoint(&free, Duration::ZERO, says_bread);
    let document = json(&["resume", &run, "--errors"], 0);
    assert_eq!(document["failures"], json!([]));
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    let right =
        document["results"].as_array().unwrap().iter().find(|c| c["scorer"] == "right").unwrap();
    assert_eq!((&right["mean"], &right["scored"]), (&json!(1.0), &json!(4)));
}

/// Starts a run and waits until its endpoint has been asked so often.
fn started(args: &[String], asked: &AtomicUsize, times: usize) -> Child {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = command(&args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let by = Instant::now() + Duration::from_secs(30);
    while asked.load(Ordering::SeqCst) < times {
        assert!(Instant::now() < by, "the endpoint was not asked");
        thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn ctrl_c_and_a_kill_lose_nothing_that_was_finished() {
    let kitchen = Kitchen::new();
    let (url, asked) = endpoint("127.0.0.1:0", Duration::from_millis(300), says_bread);
    let args =
        kitchen.run(&["--url", &url, "--model", "m", "--concurrent", "1", "--epochs", "3"], "run");
    // The second sample is on its way.
    let child = started(&args, &asked, 2);
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let ended: Said = child.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let hint = "samples finished, go on with: forthright agents resume";
    assert!(ended.err.contains(hint), "{}", ended.err);
    let run = kitchen.arg("run");
    let before = json(&["list", &run, "--state", "unscored"], 0);
    assert_eq!(before["samples"], json!([]));
    let finished =
        json(&["list", &run, "--state", "scored"], 0)["samples"].as_array().unwrap().len();
    assert!((1..12).contains(&finished), "{finished}");
    // Killed while it goes on.
    let resume: Vec<String> = ["agents", "resume", &run].map(str::to_owned).to_vec();
    let n = asked.load(Ordering::SeqCst);
    let mut child = started(&resume, &asked, n + 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let document = json(&["resume", &run, "--concurrent", "12"], 0);
    assert_eq!((&document["finished"], &document["samples"]), (&json!(12), &json!(12)));
    // Each sample has one turn; those cut off are asked again, the others are not.
    let n = asked.load(Ordering::SeqCst);
    assert!((12..=15).contains(&n), "{n}");
    assert_eq!(json(&["replay", &run], 0)["equal"], 12);
}

#[test]
fn bad_input_is_refused_in_one_sentence() {
    let kitchen = Kitchen::new();
    let script = kitchen.arg("baker.toml");
    let refuse = |args: &[&str], says: &str| {
        let out = kitchen.arg("refused");
        let said = refused(&[&["agents", "run", "--out", &out], args].concat(), "");
        assert!(said.contains(says), "{args:?}: {said}");
        assert!(!Path::new(&out).join("journal.jsonl").exists());
    };
    let scenario = kitchen.arg("kitchen.json");
    let good = ["--scenario", scenario.as_str(), "--script", script.as_str()];
    refuse(&["--script", &script], "scenarios: expected at least one, found none");
    refuse(&["--scenario", &scenario], "expected an agent, found none");
    refuse(&["--scenario", &scenario, "--name", "x"], "--name is of one agent");
    refuse(
        &["--scenario", "kitchn", "--script", &script],
        "the name of a scenario, found \"kitchn\"",
    );
    refuse(&[&good[..], &["--persona", "non"]].concat(), "is none meant?");
    refuse(&[&good[..], &["--epochs", "0"]].concat(), "epochs: expected at least 1, found 0");
    refuse(&[&good[..], &["--concurrent", "0"]].concat(), "concurrent: expected at least 1");
    refuse(&[&good[..], &["--turns", "0"]].concat(), "limits.turns: expected at least 1");
    refuse(&[&good[..], &["--samples", "0"]].concat(), "samples of kitchen: expected at least one");
    for (name, text, says) in [
        (
            "broken.json",
            "{\n  \"name\": \"x\",\n  \"sample\": []\n}".to_owned(),
            "broken.json: line 3",
        ),
        ("type.json", SCENARIO.replace("\"Bake a pie.\"", "7"), "expected a string"),
        ("rule.json", SCENARIO.replace("says_target", "eval"), "unknown variant `eval`"),
        (
            "tool.json",
            SCENARIO.replace(r#"{ "calls": "oven" }"#, r#"{ "calls": "ovn" }"#),
            "is oven meant?",
        ),
    ] {
        fs::write(kitchen.at(name), text).unwrap();
        refuse(&["--scenario", &kitchen.arg(name), "--script", &script], says);
    }
    fs::write(kitchen.at("bad.toml"), "[[parts]]\nreplies = [{ txt = \"\" }]\n").unwrap();
    let bad = kitchen.arg("bad.toml");
    refuse(&["--scenario", &scenario, "--script", &bad], "bad.toml: line 2: unknown field `txt`");
    refuse(
        &["--scenario", &scenario, "--url", "ftp://x", "--model", "m"],
        "endpoint.base_url: expected an http or https URL",
    );
    // A folder that holds a run is left alone.
    kitchen.baked("run");
    let run = kitchen.arg("run");
    let before = fs::read(kitchen.at("run/journal.jsonl")).unwrap();
    let said = refused(&[&["agents", "run", "--out", &run], &good[..]].concat(), "");
    assert!(said.contains("holds a run already"), "{said}");
    assert_eq!(fs::read(kitchen.at("run/journal.jsonl")).unwrap(), before);
    for verb in ["resume", "rescore"] {
        let said = refused(&["agents", verb, &kitchen.arg("none")], "");
        assert!(said.contains("holds no run of agents"), "{said}");
    }
    // A journal of another version, and something else.
    let text = String::from_utf8(before).unwrap();
    fs::write(kitchen.at("later.jsonl"), text.replacen("\"version\":1", "\"version\":2", 1))
        .unwrap();
    let said = refused(&["agents", "replay", &kitchen.arg("later.jsonl")], "");
    assert!(said.contains("found version 2"), "{said}");
    let said = refused(&["agents", "import", &kitchen.arg("baker.toml")], "");
    assert!(said.contains("expected JSON"), "{said}");
    let said = refused(&["agents", "compare", &run, "--agents", "baker", "bakr"], "");
    assert!(said.contains("is baker meant?"), "{said}");
}

#[test]
fn a_corrupt_tail_is_told_of_and_kept() {
    let kitchen = Kitchen::new();
    kitchen.baked("run");
    let path = kitchen.at("run/journal.jsonl");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() * 2 / 3;
    bytes[middle] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let run = kitchen.arg("run");
    let listed = agents(&["list", &run]);
    assert_eq!(listed.code, Some(0));
    assert!(listed.err.contains("bytes from there on do not count"), "{}", listed.err);
    json(&["resume", &run], 0);
    assert!(kitchen.at("run/journal.corrupt-1").exists());
    assert_eq!(json(&["replay", &run], 0)["samples"], 4);
}
