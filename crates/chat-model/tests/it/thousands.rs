//! Thousands of agents at a time.

use std::{sync::Arc, time::Duration};

use chat_model::{
    ChatModel, Counted, Message, RateConfig, RateLimited, Recorder, RecordingWriter, Replay,
    Request, Requests, Response, Retry, RetryConfig, Scope, Scripted, Timeout, UsageCounter,
};
use tokio::task::JoinSet;

use crate::common::{costing, status};

const AGENTS: usize = 3000;
const TURNS: usize = 4;

/// What every agent heard, by agent.
async fn run(model: Arc<dyn ChatModel>) -> Vec<String> {
    let mut tasks = JoinSet::new();
    for agent in 0..AGENTS {
        let model = Arc::clone(&model);
        tasks.spawn(async move {
            let mut request = Request { lane: agent.to_string(), ..Request::from_user("go on") };
            let mut heard = String::new();
            for _ in 0..TURNS {
                let response = model.answer(&request).await.unwrap();
                heard.push_str(&response.text);
                request.messages.extend([response.to_message(), Message::user("go on")]);
            }
            (agent, heard)
        });
    }
    let mut heard = tasks.join_all().await;
    heard.sort_unstable();
    heard.into_iter().map(|(_, text)| text).collect()
}

/// Every seventh attempt fails, by turns with a 429 and a 500; every other has its own number.
fn unreliable() -> Scripted {
    Scripted::function("m", |_, n| match n % 14 {
        6 => Err(status(429, None)),
        13 => Err(status(500, None)),
        _ => Ok(Response { text: format!("{n};"), ..costing(10, 2) }),
    })
}

#[tokio::test(start_paused = true)]
async fn live_and_replayed_they_hear_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.jsonl");
    let counter = Arc::new(UsageCounter::default());
    let counted = Counted::new(unreliable(), Arc::clone(&counter));
    let limited = RateLimited::new(counted, RateConfig::default()).unwrap();
    let retried =
        Retry::new(limited, RetryConfig { max_attempts: 20, ..RetryConfig::default() }).unwrap();
    let bounded = Timeout::new(retried, Duration::from_hours(1), Scope::Total);
    let writer = Arc::new(RecordingWriter::open(&path, Requests::Digests).unwrap());
    let live = run(Arc::new(Recorder::new(bounded, writer))).await;

    let totals = counter.totals();
    let answers = (AGENTS * TURNS) as u64;
    assert_eq!((totals.answers, totals.prompt_tokens), (answers, 10 * answers));
    assert!(totals.failures >= answers / 7, "{totals:?}");
    let mut numbers: Vec<&str> =
        live.iter().flat_map(|heard| heard.split_terminator(';')).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), AGENTS * TURNS);

    assert_eq!(run(Arc::new(Replay::open(&path, "m").unwrap())).await, live);
}
