//! Endpoints that misbehave over HTTP: the run goes on, and no failure becomes a number.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use agent_evals::{
    Again, Agent, Ending, Finished, FinishedIter, LimitKind, Limits, Plan, Progress, Refusal,
    Stopper, ToolOutcome, Verdict,
};
use chat_model::{StackConfig, UsageCounter};
use serde_json::json;

use crate::{
    common::Counting,
    server::{Deed, Server, http, json as answer, saying},
};

/// A call of `add` with these arguments.
fn calling(arguments: &str) -> Deed {
    let call = json!({ "id": "c", "type": "function", "function": { "name": "add", "arguments": arguments } });
    Deed::Send(answer(
        "200 OK",
        &json!({
            "model": "m",
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": null, "tool_calls": [call] },
                "finish_reason": "tool_calls",
            }],
            "usage": { "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7 },
        }),
    ))
}

fn refusing(status: &str, headers: &[(&str, &str)]) -> Deed {
    let mut all = vec![("content-type", "application/json")];
    all.extend(headers);
    Deed::Send(http(status, &all, r#"{"error":{"message":"not now"}}"#))
}

/// Three samples to be counted to 1, one after the other.
fn run_against(server: &Server, attempts: u32) -> Plan {
    let mut stack = StackConfig::default();
    stack.endpoint.base_url.clone_from(&server.base_url);
    "m".clone_into(&mut stack.endpoint.model);
    stack.endpoint.timeout_s = 1.5;
    stack.retry.max_attempts = attempts;
    stack.retry.first_delay_s = 0.001;
    stack.rate.max_pause_s = 0.01;
    let model = stack.connect(Arc::new(UsageCounter::default())).unwrap();
    let agent = Agent { name: "m".to_owned(), model, config: agent_evals::AgentConfig::default() };
    let limits = Limits { turns: Some(6), ..Limits::default() };
    Plan {
        concurrent: NonZeroUsize::MIN,
        limits,
        ..Plan::new(Arc::new(Counting::to(&[1, 1, 1])), agent)
    }
}

async fn ran(plan: Plan) -> (Progress, Vec<Finished>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let progress = plan.run(&path, None, Stopper::default()).await.unwrap();
    let mut all: Vec<Finished> = FinishedIter::open(&path).unwrap().map(Result::unwrap).collect();
    all.sort_by_key(|f| f.start.key.clone());
    for one in &all {
        assert_eq!(one.replay().await.unwrap(), one.trace.events, "{}", one.start.key);
    }
    (progress, all)
}

fn verdicts(all: &[Finished]) -> Vec<&Verdict> {
    all.iter().map(|f| &f.finish.scores["reached"].verdict).collect()
}

/// What the first sample does before the fault, and what the third does after it.
fn around(fault: Vec<Deed>) -> Vec<Deed> {
    let good = || vec![calling(r#"{"by":1}"#), saying("Done.")];
    [good(), fault, good()].concat()
}

#[tokio::test]
async fn what_goes_away_by_itself_is_waited_for() {
    for (name, fault) in [
        ("429", refusing("429 Too Many Requests", &[])),
        ("429 with a time", refusing("429 Too Many Requests", &[("retry-after", "0")])),
        ("500", refusing("500 Internal Server Error", &[])),
        ("reset", Deed::HangUp),
        ("cut off", Deed::Send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{\"mo".to_vec())),
        ("no JSON", Deed::Send(http("200 OK", &[("content-type", "application/json")], "{\"choices\": [oops"))),
        ("stalled", Deed::Stall(b"HTTP/1.1 200 OK\r\n".to_vec())),
    ] {
        let deeds = around(vec![fault, calling(r#"{"by":1}"#), saying("Done.")]);
        let server = Server::start(deeds).await;
        let (progress, all) = ran(run_against(&server, 3)).await;
        assert_eq!((progress.finished, progress.errors), (3, 0), "{name}");
        assert_eq!(verdicts(&all), [&Verdict::Scored(1.0); 3], "{name}");
        assert_eq!(server.seen().len(), 7, "{name}");
    }
}

#[tokio::test]
async fn what_stays_is_an_error_of_its_sample_alone() {
    for (name, fault, says) in [
        ("429", refusing("429 Too Many Requests", &[]), "found 429"),
        // It asks for more patience than there is.
        (
            "429 for a day",
            refusing("429 Too Many Requests", &[("retry-after", "86400")]),
            "found 429",
        ),
        ("500", refusing("500 Internal Server Error", &[]), "found 500"),
        ("401", refusing("401 Unauthorized", &[]), "found 401"),
        ("reset", Deed::HangUp, "the connection was lost"),
        ("stalled", Deed::Stall(b"HTTP/1.1 200 OK\r\n".to_vec()), "within 1.5 s"),
        (
            "no JSON",
            Deed::Send(http("200 OK", &[("content-type", "application/json")], "[oops")),
            "expected",
        ),
        (
            "a page",
            Deed::Send(http("200 OK", &[("content-type", "text/html")], "<h1>hello</h1>")),
            "content type",
        ),
    ] {
        // One attempt: the fault is all that the second sample gets.
        let server = Server::start(around(vec![fault])).await;
        let (progress, all) = ran(run_against(&server, 1)).await;
        assert_eq!((progress.finished, progress.errors), (3, 1), "{name}");
        let verdicts = verdicts(&all);
        assert_eq!([verdicts[0], verdicts[2]], [&Verdict::Scored(1.0); 2], "{name}");
        let Verdict::Error(reason) = verdicts[1] else { panic!("{name}: {:?}", verdicts[1]) };
        assert!(reason.contains(says), "{name}: {reason}");
        assert!(matches!(all[1].trace.ending(), Some(Ending::Failed(_))), "{name}");
    }
}

#[tokio::test]
async fn a_slow_trickle_is_cut_off_in_time() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{".to_vec();
    let trickle = Deed::Trickle(head, Duration::from_millis(20));
    let server = Server::start(around(vec![trickle])).await;
    let started = Instant::now();
    let (progress, all) = ran(run_against(&server, 1)).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!((progress.finished, progress.errors), (3, 1));
    assert!(matches!(verdicts(&all)[1], Verdict::Error(_)));
}

#[tokio::test]
async fn wrong_arguments_are_told_to_the_model_who_may_do_better() {
    let wrong = ["{\"by\": \"one\"}", "{\"by\": 0}", "{\"by\": ", "[1]"];
    let deeds = wrong.map(calling).into_iter().chain([calling(r#"{"by":1}"#), saying("Done.")]);
    let server = Server::start(around(deeds.collect())).await;
    let (progress, all) = ran(run_against(&server, 1)).await;
    assert_eq!((progress.finished, progress.errors), (3, 0));
    assert_eq!(verdicts(&all), [&Verdict::Scored(1.0); 3]);
    let refused = all[1].trace.calls().filter(|(_, outcome)| {
        matches!(outcome, ToolOutcome::Refused { kind: Refusal::Arguments, .. })
    });
    assert_eq!(refused.count(), wrong.len());
    // The model was told.
    let told = server.seen()[3].body.to_string();
    assert!(told.contains("expected integer"), "{told}");
}

#[tokio::test]
async fn an_endless_loop_of_calls_ends_at_the_limit() {
    // The last deed is done again and again.
    let server = Server::start([calling(r#"{"by":1}"#)]).await;
    let (progress, all) = ran(run_against(&server, 1)).await;
    assert_eq!((progress.finished, progress.errors, progress.limited), (3, 0, 3));
    assert_eq!(verdicts(&all), [&Verdict::Scored(1.0); 3]);
    for one in &all {
        let Some(Ending::Limit(reached)) = one.trace.ending() else { panic!() };
        assert_eq!((reached.kind, one.finish.spent.turns), (LimitKind::Turns, 6));
    }
    assert_eq!(server.seen().len(), 18);
}

#[tokio::test]
async fn errors_alone_are_run_again_once_the_endpoint_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let ill = Server::start(around(vec![Deed::HangUp])).await;
    run_against(&ill, 1).run(&path, None, Stopper::default()).await.unwrap();
    let well = Server::start([calling(r#"{"by":1}"#), saying("Done.")]).await;
    let done = run_against(&well, 1).resume(&path, Again::Errors, None, Stopper::default()).await;
    let done = done.unwrap();
    assert_eq!((done.before, done.finished, done.errors), (2, 3, 0));
    assert_eq!(well.seen().len(), 2);
    let all: Vec<Finished> = FinishedIter::open(&path).unwrap().map(Result::unwrap).collect();
    let by_key: BTreeMap<_, _> = all.iter().map(|f| (&f.start.key, f)).collect();
    assert_eq!((all.len(), by_key.len()), (3, 3));
    assert_eq!(verdicts(&all), [&Verdict::Scored(1.0); 3]);
}
