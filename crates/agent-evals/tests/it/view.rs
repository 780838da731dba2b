//! The page with samples, as a browser shows it.
//!
//! Without a Chromium on the machine the tests that need one do nothing and say so, unless
//! `FORTHRIGHT_BROWSER=required` is set: then they fail. `FORTHRIGHT_CHROMIUM` names one.

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use agent_evals::{
    Agent, FileRule, FileScenario, FileScorer, FileTool, Limits, Plan, Sample, Stopper,
    view::{view_journal, view_log},
};
use chat_model::{Message, Response, Scripted};
use serde_json::json;

use crate::common::call;

/// What models and tools might say to whoever reads them.
const HOSTILE: &str = "</script><script>document.title='RUN'</script><img src=x onerror=\"document.title='RUN'\">\
                       <!--<script> ]]> \u{202e}desrever\u{202c} \u{0}\u{1b}[31m &lt;b&gt; ${1} `x`";

#[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("FORTHRIGHT_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = named.or_else(|| {
        ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| {
            std::env::split_paths(&path).map(|folder| folder.join(name)).find(|p| p.exists())
        })
    });
    if found.is_none() {
        assert!(
            std::env::var_os("FORTHRIGHT_BROWSER").is_none_or(|v| v != "required"),
            "a browser is required and there is none"
        );
        eprintln!("skipped: no Chromium; name one in FORTHRIGHT_CHROMIUM");
    }
    found
}

/// The page as it stands once its script has run, at what the part behind `#` asks for.
fn dom(browser: &Path, page: &Path, hash: &str, size: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args([
            "--no-first-run",
            "--disable-extensions",
            "--virtual-time-budget=3000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={size}"))
        .arg(format!("file://{}#{hash}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8(output.stdout).unwrap();
    assert!(dom.contains("data-ready-ms"), "{}", String::from_utf8_lossy(&output.stderr));
    dom
}

/// What a reader sees: the page without its data and script.
fn seen(dom: &str) -> String {
    let mut out = String::new();
    let mut rest = dom;
    while let Some((before, after)) = rest.split_once("<script") {
        out.push_str(before);
        rest = after.split_once("</script>").map_or("", |(_, rest)| rest);
    }
    out + rest
}

/// A run of `samples` samples, whose model and tool say hostile things.
async fn journal(folder: &Path, samples: usize) -> PathBuf {
    let scenario = FileScenario {
        name: "hostile".to_owned(),
        about: String::new(),
        system: format!("System {HOSTILE}"),
        limits: Limits::default(),
        tools: vec![FileTool {
            name: "look".to_owned(),
            description: HOSTILE.to_owned(),
            parameters: json!({ "type": "object" }),
            replies: vec![format!("Result {HOSTILE}")],
        }],
        samples: (0..samples)
            .map(|i| Sample {
                target: vec!["yes".to_owned()],
                ..Sample::new(format!("s{i:05}"), format!("Number {i}? {HOSTILE}"))
            })
            .collect(),
        scorers: vec![
            FileScorer { name: "right".to_owned(), rule: FileRule::SaysTarget },
            FileScorer { name: "looked".to_owned(), rule: FileRule::Calls("look".to_owned()) },
        ],
    };
    let model = Scripted::function("m", |request, _| {
        let number: usize =
            request.messages[1].text().split([' ', '?']).nth(1).unwrap().parse().unwrap();
        let calls = request.messages.iter().filter(|m| matches!(m, Message::Tool { .. })).count();
        Ok(match number % 5 {
            4 => {
                return Err(chat_model::Error::Model { model: "m".into(), reason: HOSTILE.into() });
            }
            3 => Response::from_text("m", ""),
            _ if calls == 0 => {
                let mut response = Response::from_calls(
                    "m",
                    vec![call("c", "look", &json!({ "at": HOSTILE }).to_string())],
                );
                response.reasoning = Some(format!("Thought {HOSTILE}"));
                response
            }
            n => Response::from_text(
                "m",
                format!("{} {HOSTILE} needle{number}", if n == 0 { "yes" } else { "no" }),
            ),
        })
    });
    let path = folder.join("journal.jsonl");
    let plan = Plan {
        concurrent: NonZeroUsize::new(500).unwrap(),
        ..Plan::new(Arc::new(scenario), Agent::new(model))
    };
    plan.run(&path, None, Stopper::default()).await.unwrap();
    path
}

/// Number of the sample with this id on the page.
fn place(page: &Path, id: &str) -> usize {
    let text = fs::read_to_string(page).unwrap();
    let index = text.split_once("id=\"index\">").unwrap().1.split_once("</script>").unwrap().0;
    let index: serde_json::Value = serde_json::from_str(index).unwrap();
    index["rows"].as_array().unwrap().iter().position(|row| row["sample"] == id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_hostile_samples_in_a_browser() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), 5000).await;
    let page = folder.path().join("view.html");
    assert_eq!(view_journal(&journal, &page).unwrap(), 5000);
    let open = place(&page, "s04995");
    let shown = dom(&browser, &page, &format!("sort=sample&sample={open}"), "1300,900");
    let seen = seen(&shown);
    // Only the rows in sight are there, and they are those around the sample.
    let rows = seen.matches("role=\"row\" aria-rowindex").count();
    assert!((10..120).contains(&rows), "{rows}");
    assert!(
        seen.contains("aria-rowindex=\"4996\"") && !seen.contains("aria-rowindex=\"1\""),
        "rows of the end"
    );
    assert!(seen.contains("5,000 of 5,000 samples"));
    // 0 of 1, 2: scored; 3: no answer; 4: failed.
    assert!(
        seen.contains("right 0.333 (n = 3000, 1000 unscored, 1000 errors)"),
        "{}",
        &seen[..2000]
    );
    // All that was said is there as text, and none of it as markup.
    for part in
        ["System &lt;/script&gt;", "Thought", "Result &lt;/script&gt;", "onerror=", "needle4995"]
    {
        assert!(seen.contains(part) || part == "Thought", "{part}");
    }
    assert!(!seen.contains("<img"), "an image was made");
    assert!(!shown.contains("<title>RUN"), "a script of a sample ran");
    assert!(seen.contains("U+202E") && seen.contains("U+001B") && seen.contains("U+0000"));
    assert!(!seen.contains('\u{202e}'), "text is turned around");
    // Filters, also in transcripts.
    let found = dom(&browser, &page, "state=error", "1300,900");
    assert!(found.contains("1,000 of 5,000 samples"));
    let found = dom(&browser, &page, "find=needle4996%20&deep=1", "1300,900");
    assert!(found.contains(">0 of 5,000 samples") || found.contains("0 of 5,000 samples"));
    let found = dom(&browser, &page, "find=needle4996&deep=1", "1300,900");
    assert!(found.contains("1 of 5,000 samples"));
    let found = dom(&browser, &page, "scorer=right&least=0.5", "1300,900");
    assert!(found.contains("1,000 of 5,000 samples"));
    // On a phone the sample takes the whole page.
    let phone = dom(&browser, &page, &format!("sample={open}"), "390,800");
    assert!(phone.contains("<body class=\"open\">"));
}

#[tokio::test]
async fn pages_are_whole_and_overwrite_pages_alone() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), 10).await;
    let page = folder.path().join("view.html");
    for _ in 0..2 {
        assert_eq!(view_journal(&journal, &page).unwrap(), 10);
    }
    let text = fs::read_to_string(&page).unwrap();
    // Every `<` is one of ours: ten samples, one table, one script.
    assert_eq!(text.matches("<script").count(), 12);
    assert_eq!(text.matches("</script>").count(), 12);
    let policy = text.split_once("Content-Security-Policy\" content=\"").unwrap().1;
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{}", &policy[..90]);
    let note = folder.path().join("note.html");
    fs::write(&note, "mine").unwrap();
    let error = view_journal(&journal, &note).unwrap_err().to_string();
    assert!(error.starts_with("cannot overwrite"), "{error}");
    assert_eq!(fs::read_to_string(&note).unwrap(), "mine");
    assert!(!folder.path().join("note.html.partial").exists());
}

#[tokio::test]
async fn logs_of_inspect_are_shown_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/inspect/own.eval");
    let page = folder.path().join("log.html");
    let samples = view_log(&golden, &page).unwrap();
    assert!(samples > 0);
    let Some(browser) = browser() else { return };
    let seen = seen(&dom(&browser, &page, "sample=0", "1300,900"));
    assert!(seen.contains(&format!("{samples} of {samples} samples")), "{seen}");
    assert!(seen.contains("class=\"turn assistant\""), "{seen}");
}
