//! Nothing is lost, and nothing counts twice.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use agent_evals::journal::Tail;
use agent_evals::{
    Again, Agent, Error, Finished, FinishedIter, FunctionScorer, Index, Key, Observer, Plan,
    Progress, Score, Stopper, Verdict, rescore,
};
use chat_model::{Message, Response, Scripted};

use crate::common::{Counting, call, counter, plan};

fn small() -> Plan {
    Plan { seed: 3, ..plan(Counting::to(&[1, 2, 3]), Agent::new(counter(2))) }
}

/// All that a run came to, times aside.
pub(crate) fn results(path: &Path) -> BTreeMap<Key, (Vec<Message>, BTreeMap<String, Score>)> {
    let mut out = BTreeMap::new();
    for finished in FinishedIter::open(path).unwrap() {
        let Finished { start, trace, finish, .. } = finished.unwrap();
        let before = out.insert(start.key, (trace.conversation(), finish.scores));
        assert!(before.is_none(), "a sample counts twice");
    }
    out
}

#[tokio::test]
async fn a_kill_at_any_byte_loses_no_finished_sample() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.jsonl");
    small().run(&whole, None, Stopper::default()).await.unwrap();
    let (bytes, expected) = (fs::read(&whole).unwrap(), results(&whole));
    assert_eq!(expected.len(), 3);
    let header = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    // Where the finish of each sample ends.
    let mut ends = Vec::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        at += line.len();
        if line.windows(10).any(|w| w == b"{\"finish\":") {
            ends.push(at);
        }
    }
    for cut in 0..=bytes.len() {
        let path = folder.path().join("cut.jsonl");
        fs::write(&path, &bytes[..cut]).unwrap();
        if cut < header {
            // Nothing had begun.
            assert!(matches!(Index::read(&path), Err(Error::Journal { line: Some(1), .. })));
            continue;
        }
        let kept = results(&path);
        assert_eq!(kept.len(), ends.iter().filter(|end| **end <= cut).count(), "cut at {cut}");
        assert!(kept.iter().all(|(key, result)| expected[key] == *result));
        // Going on is slow; every byte of the middle and every seventh elsewhere will do.
        if cut % 7 == 0 || cut + 400 > bytes.len() {
            let done =
                small().resume(&path, Again::Unfinished, None, Stopper::default()).await.unwrap();
            assert_eq!(done.before as usize, kept.len());
            assert_eq!(results(&path), expected, "cut at {cut}");
        }
    }
}

#[tokio::test]
async fn what_the_model_said_is_not_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = |asked: &Arc<AtomicUsize>| {
        let asked = Arc::clone(asked);
        let model = Scripted::function("m", move |request, _| {
            asked.fetch_add(1, Ordering::Relaxed);
            let results =
                request.messages.iter().filter(|m| matches!(m, Message::Tool { .. })).count();
            Ok(if results < 4 {
                Response::from_calls("m", vec![call("c", "add", r#"{"by":1}"#)])
            } else {
                Response::from_text("m", "Done.")
            })
        });
        plan(Counting::to(&[4]), Agent::new(model))
    };
    counted(&asked).run(&path, None, Stopper::default()).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 5);
    let expected = results(&path);
    // Killed after two turns: header, start, beginning, and two lines for each turn.
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    fs::write(&path, lines[..7].concat()).unwrap();
    counted(&asked).resume(&path, Again::Unfinished, None, Stopper::default()).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 5 + 3);
    assert_eq!(results(&path), expected);
    assert_eq!(Index::read(&path).unwrap().attempts.len(), 1);
    for finished in FinishedIter::open(&path).unwrap() {
        let finished = finished.unwrap();
        assert_eq!(finished.replay().await.unwrap(), finished.trace.events);
    }
    // Surroundings that are not the same again: the sample starts over.
    fs::write(&path, lines[..7].concat()).unwrap();
    let mut other = counted(&asked);
    other.scenarios = vec![Arc::new(Counting { offset: 10, ..Counting::to(&[4]) })];
    other.resume(&path, Again::Unfinished, None, Stopper::default()).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 8 + 5);
    assert_eq!(Index::read(&path).unwrap().attempts.len(), 2);
    assert_eq!(results(&path).len(), 1);
}

#[tokio::test]
async fn a_corrupt_tail_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    small().run(&path, None, Stopper::default()).await.unwrap();
    let expected = results(&path);
    let mut bytes = fs::read(&path).unwrap();
    // A bit that flips in the middle takes what is behind it along.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let index = Index::read(&path).unwrap();
    let Tail::Corrupt { line, bytes: tail, .. } = index.tail else { panic!("{:?}", index.tail) };
    assert!(line > 1 && tail as usize > bytes.len() / 3);
    small().resume(&path, Again::Unfinished, None, Stopper::default()).await.unwrap();
    assert_eq!(results(&path), expected);
    let aside = fs::read(folder.path().join("journal.corrupt-1")).unwrap();
    assert_eq!(aside, bytes[bytes.len() - tail as usize..]);
}

#[tokio::test]
async fn another_plan_or_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    small().run(&path, None, Stopper::default()).await.unwrap();
    let other = Plan { seed: 4, ..small() };
    let error = other.resume(&path, Again::Unfinished, None, Stopper::default()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.ends_with("line 1: expected seed `4`, as this run has it, found `3`"), "{error}");
    let error = small().run(&path, None, Stopper::default()).await.unwrap_err().to_string();
    assert!(error.starts_with("cannot create"), "{error}");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"version\":1", "\"version\":9", 1)).unwrap();
    let error = Index::read(&path).unwrap_err().to_string();
    assert!(error.ends_with("of version 1, found version 9"), "{error}");
    fs::write(&path, "hello\n").unwrap();
    assert!(Index::read(&path).is_err());
}

#[tokio::test]
async fn unscored_samples_are_run_again_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let failing = || {
        let model = Scripted::function("m", |request, _| {
            if request.messages[1].text().contains('2') {
                return Err(chat_model::Error::Model { model: "m".into(), reason: "no".into() });
            }
            Ok(Response::from_text("m", "Done."))
        });
        Plan { seed: 3, ..plan(Counting::to(&[1, 2, 3]), Agent::new(model)) }
    };
    let done = failing().run(&path, None, Stopper::default()).await.unwrap();
    assert_eq!((done.finished, done.errors, done.unscored), (3, 1, 0));
    let mut better = failing();
    better.agents = vec![Agent::new(Scripted::texts("m", ["Done."; 9]))];
    let again = |again| {
        let plan = better.clone();
        let path = path.clone();
        async move { plan.resume(&path, again, None, Stopper::default()).await.unwrap() }
    };
    assert_eq!(again(Again::Unfinished).await.before, 3);
    let done = again(Again::Errors).await;
    assert_eq!((done.before, done.finished, done.errors), (2, 3, 0));
    let results = results(&path);
    assert_eq!(results.len(), 3);
    assert!(results.values().all(|(_, s)| s["reached"].verdict == Verdict::Scored(0.0)));
}

#[tokio::test]
async fn other_scorers_judge_offline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    small().run(&path, None, Stopper::default()).await.unwrap();
    let mut told = Vec::new();
    let calls = || {
        Arc::new(FunctionScorer::new("calls", |trace| Score::number(trace.calls().count() as f64)))
            as Arc<dyn agent_evals::Scorer>
    };
    let nan = || {
        Arc::new(FunctionScorer::new("nan", |_| Score::from(Verdict::Scored(f64::NAN))))
            as Arc<dyn agent_evals::Scorer>
    };
    rescore(
        &path,
        |_| vec![calls(), nan()],
        |finished, scores| {
            told.push((finished.start.key.sample.clone(), scores));
            Ok::<(), Error>(())
        },
    )
    .await
    .unwrap();
    assert_eq!(told.len(), 3);
    for (_, scores) in told {
        assert_eq!(scores["calls"].verdict, Verdict::Scored(2.0));
        assert!(matches!(scores["nan"].verdict, Verdict::Error(_)));
    }
}

#[tokio::test]
async fn a_touched_recording_does_not_replay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    small().run(&path, None, Stopper::default()).await.unwrap();
    let finished = FinishedIter::open(&path).unwrap().next().unwrap().unwrap();
    finished.replay().await.unwrap();
    let mut touched = finished.clone();
    touched.start.agent.max_calls += 1;
    touched.replay().await.unwrap();
    for i in 0..finished.trace.events.len() {
        let mut touched = finished.clone();
        touched.trace.events.remove(i);
        assert!(touched.replay().await.is_err(), "without event {i}");
    }
    let mut touched = finished.clone();
    touched.start.limits.turns = Some(1);
    let error = touched.replay().await.unwrap_err().to_string();
    assert!(error.starts_with("event "), "{error}");
}

/// Stops a run after its first sample.
struct StopsEarly(Stopper);

impl Observer for StopsEarly {
    fn progress(&self, progress: &Progress, _: &Key, scores: Option<&BTreeMap<String, Score>>) {
        assert!(progress.running <= 1);
        if scores.is_some() {
            self.0.stop();
        }
    }
}

#[tokio::test]
async fn a_stopped_run_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let one_by_one = || Plan { concurrent: std::num::NonZeroUsize::MIN, ..small() };
    let stopper = Stopper::default();
    let observer = Arc::new(StopsEarly(stopper.clone()));
    let done = one_by_one().run(&path, Some(observer), stopper).await.unwrap();
    assert_eq!((done.finished, done.samples), (1, 3));
    let done = one_by_one().resume(&path, Again::Unfinished, None, Stopper::default()).await;
    assert_eq!(done.unwrap().finished, 3);
    assert_eq!(results(&path).len(), 3);
}
