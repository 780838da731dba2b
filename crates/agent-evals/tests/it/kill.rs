//! Runs that are killed, and journals that end anywhere.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use agent_evals::{Again, Agent, Index, Key, Observer, Plan, Progress, Score, Stopper};
use chat_model::{Answer, ChatModel, Request};
use rl_core::seed::Seed;

use crate::{
    common::{Counting, counter, plan},
    journal::results,
};

/// Tells the child which journal to write.
const JOURNAL: &str = "FORTHRIGHT_TEST_JOURNAL";
const KILLS: u64 = 12;
const CUTS: u64 = 200;

/// A model that takes a moment, so that a kill meets samples in all states.
struct Unhurried(chat_model::Scripted);

impl ChatModel for Unhurried {
    fn model(&self) -> &str {
        self.0.model()
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            // By what it is asked, so that samples do not go in step.
            let seed = Seed::new(request.messages.len() as u64).derive(&request.lane, 0);
            tokio::time::sleep(Duration::from_micros(500 + seed.value() % 3000)).await;
            self.0.answer(request).await
        })
    }
}

/// Goals of which the agent, who counts to 3, reaches some.
fn goals() -> Vec<u64> {
    (0..40).map(|i| 1 + i % 5).collect()
}

fn unhurried() -> Plan {
    Plan { seed: 5, ..plan(Counting::to(&goals()), Agent::new(Unhurried(counter(3)))) }
}

fn quick(concurrent: usize) -> Plan {
    Plan {
        seed: 5,
        concurrent: concurrent.try_into().unwrap(),
        ..plan(Counting::to(&goals()[..12]), Agent::new(counter(3)))
    }
}

/// Prints the key of each sample that is reported finished.
struct Reports;

impl Observer for Reports {
    #[expect(clippy::print_stdout, reason = "the parent reads it")]
    fn progress(&self, _: &Progress, key: &Key, scores: Option<&BTreeMap<String, Score>>) {
        if scores.is_some() {
            println!("finished {key}");
        }
    }
}

/// The process that is killed; does nothing unless it is told a journal.
#[tokio::test]
async fn child() {
    let Some(path) = std::env::var_os(JOURNAL) else { return };
    let path = Path::new(&path);
    let (plan, observer) = (unhurried(), Some(Arc::new(Reports) as Arc<dyn Observer>));
    if path.exists() {
        plan.resume(path, Again::Unfinished, observer, Stopper::default()).await.unwrap();
    } else {
        plan.run(path, observer, Stopper::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_killed_run_keeps_what_it_reported() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.jsonl");
    unhurried().run(&whole, None, Stopper::default()).await.unwrap();
    let expected = results(&whole);
    assert_eq!(expected.len(), 40);
    let mut interrupted = 0;
    for kill in 0..KILLS {
        let path = folder.path().join(format!("killed-{kill}.jsonl"));
        let mut reported = Vec::new();
        // Killed twice, the second time while it goes on.
        for again in 0..2 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "kill::child", "--nocapture"])
                .env(JOURNAL, &path)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let wait = Seed::new(kill).derive("kill", again).value() % 60;
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let reader =
                std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
            // From the first line of the journal on.
            while !path.exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(wait));
            child.kill().unwrap();
            child.wait().unwrap();
            let lines = reader.join().unwrap();
            reported
                .extend(lines.iter().filter_map(|l| Some(l.split_once("finished ")?.1.to_owned())));
        }
        let kept = if fs::read(&path).unwrap().contains(&b'\n') {
            results(&path)
        } else {
            BTreeMap::new()
        };
        interrupted += usize::from(kept.len() < 40);
        for key in &reported {
            assert!(kept.keys().any(|k| k.to_string() == *key), "{key} was reported and is lost");
        }
        let distinct: std::collections::BTreeSet<&String> = reported.iter().collect();
        assert_eq!(distinct.len(), reported.len(), "a sample was reported twice");
        assert!(kept.iter().all(|(key, result)| expected[key] == *result));
        unhurried().resume(&path, Again::Unfinished, None, Stopper::default()).await.unwrap();
        assert_eq!(results(&path), expected);
    }
    assert!(interrupted > 0, "every run was done before it was killed");
}

#[tokio::test]
async fn a_journal_that_ends_anywhere_goes_on_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.jsonl");
    quick(5).run(&whole, None, Stopper::default()).await.unwrap();
    let (bytes, expected) = (fs::read(&whole).unwrap(), results(&whole));
    let path = folder.path().join("cut.jsonl");
    for i in 0..CUTS {
        let cut = Seed::new(i).derive("cut", 0).value() as usize % (bytes.len() + 1);
        fs::write(&path, &bytes[..cut]).unwrap();
        let whole_lines = bytes[..cut].split_inclusive(|b| *b == b'\n');
        let finishes = whole_lines
            .filter(|l| l.ends_with(b"\n") && l.windows(10).any(|w| w == b"{\"finish\":"))
            .count();
        if bytes[..cut].contains(&b'\n') {
            let kept = results(&path);
            assert_eq!(kept.len(), finishes, "cut at {cut}");
            assert!(kept.iter().all(|(key, result)| expected[key] == *result), "cut at {cut}");
        }
        // However many run at a time.
        let plan = quick([1, 3, 12][i as usize % 3]);
        let done = plan.resume(&path, Again::Unfinished, None, Stopper::default()).await.unwrap();
        assert_eq!(done.before as usize, finishes, "cut at {cut}");
        assert_eq!(results(&path), expected, "cut at {cut}");
        // What was finished is not run again.
        let index = Index::read(&path).unwrap();
        let finished = index.attempts.iter().filter(|a| a.finish.is_some()).count();
        assert_eq!(finished, expected.len(), "cut at {cut}");
    }
}
