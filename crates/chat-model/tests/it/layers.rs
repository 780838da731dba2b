//! Retries, time-outs and counting, in simulated time.

use std::{sync::Arc, time::Duration};

use chat_model::{
    ChatModel as _, Counted, Error, Request, Retry, RetryConfig, Scope, Scripted, Timeout, Totals,
    UsageCounter,
};
use tokio::time::Instant;

use crate::common::{Slow, costing, status};

/// Timers have a resolution of a millisecond.
const TICK: Duration = Duration::from_millis(2);

fn exact() -> RetryConfig {
    RetryConfig { jitter: 0.0, ..RetryConfig::default() }
}

fn connect() -> Error {
    Error::Connect { endpoint: "e".to_owned(), reason: "refused".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn failures_are_mended_after_growing_waits() {
    let outcomes =
        [Err(status(500, None)), Err(connect()), Err(status(429, None)), Ok(costing(1, 1))];
    let model = Retry::new(Scripted::sequence("m", outcomes), exact()).unwrap();
    let start = Instant::now();
    assert_eq!(model.answer(&Request::from_user("u")).await.unwrap().text, "yes");
    let waited = start.elapsed();
    let expected = Duration::from_millis(500 + 1000 + 2000);
    assert!(waited >= expected && waited < expected + 3 * TICK, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn jitter_shortens_waits_by_at_most_its_share() {
    let config = RetryConfig { max_attempts: 2, first_delay_s: 10.0, jitter: 0.3, ..exact() };
    let mut seen = Vec::new();
    for _ in 0..50 {
        let outcomes = [Err(status(503, None)), Ok(costing(1, 1))];
        let model = Retry::new(Scripted::sequence("m", outcomes), config.clone()).unwrap();
        let start = Instant::now();
        model.answer(&Request::from_user("u")).await.unwrap();
        seen.push(start.elapsed());
    }
    let (least, most) = (seen.iter().min().unwrap(), seen.iter().max().unwrap());
    assert!(*least >= Duration::from_secs(7) && *most < Duration::from_secs(10) + TICK);
    // Fifty uniform draws within a tenth of their range: less likely than 1e-46.
    assert!(*most > *least + Duration::from_millis(300), "{least:?} to {most:?}");
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_says_when_to_come_back() {
    let outcomes = [Err(status(429, Some(30.0))), Ok(costing(1, 1))];
    let model = Retry::new(Scripted::sequence("m", outcomes), exact()).unwrap();
    let start = Instant::now();
    model.answer(&Request::from_user("u")).await.unwrap();
    let waited = start.elapsed();
    assert!(waited >= Duration::from_secs(30) && waited < Duration::from_secs(30) + TICK);
}

#[tokio::test(start_paused = true)]
async fn too_long_a_wait_is_given_up_at_once() {
    let outcomes = [Err(status(429, Some(3600.0))), Ok(costing(1, 1))];
    let model = Retry::new(Scripted::sequence("m", outcomes), exact()).unwrap();
    let start = Instant::now();
    let error = model.answer(&Request::from_user("u")).await.unwrap_err();
    let last = Box::new(status(429, Some(3600.0)));
    assert_eq!(error, Error::GaveUp { attempts: 1, last });
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_and_bounded() {
    let scripted = Arc::new(Scripted::function("m", |_, _| Err(status(502, None))));
    let model =
        Retry::new(Arc::clone(&scripted), RetryConfig { max_attempts: 4, ..exact() }).unwrap();
    let error = model.answer(&Request::from_user("u")).await.unwrap_err();
    assert_eq!(error, Error::GaveUp { attempts: 4, last: Box::new(status(502, None)) });
    assert_eq!(scripted.asked(), 4);
    assert_eq!(
        error.to_string(),
        "gave up after 4 attempts; the last: http://host/v1: expected status 200, found 502: no"
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_mended_is_not_tried_again() {
    for error in [status(400, None), status(401, None), status(404, Some(1.0))] {
        let outcomes = [Err(status(500, None)), Err(error.clone()), Ok(costing(1, 1))];
        let scripted = Arc::new(Scripted::sequence("m", outcomes));
        let model = Retry::new(Arc::clone(&scripted), exact()).unwrap();
        assert_eq!(model.answer(&Request::from_user("u")).await, Err(error));
        assert_eq!(scripted.asked(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_cut_off_and_repeated() {
    let slow = Arc::new(Slow::new(Duration::from_mins(1)));
    let attempt = Timeout::new(Arc::clone(&slow), Duration::from_secs(5), Scope::Attempt);
    let retried = Retry::new(attempt, RetryConfig { max_attempts: 3, ..exact() }).unwrap();
    let start = Instant::now();
    let error = retried.answer(&Request::from_user("u")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "gave up after 3 attempts; the last: slow: expected an answer within 5 s, found none"
    );
    let expected = Duration::from_millis(3 * 5000 + 500 + 1000);
    assert!(start.elapsed() >= expected && start.elapsed() < expected + 5 * TICK);
    assert_eq!(slow.now(), 0);
}

#[tokio::test(start_paused = true)]
async fn all_attempts_together_have_a_limit() {
    let failing = Scripted::function("m", |_, _| Err(status(503, None)));
    let retried = Retry::new(failing, RetryConfig { max_attempts: 1000, ..exact() }).unwrap();
    let model = Timeout::new(retried, Duration::from_secs(100), Scope::Total);
    let start = Instant::now();
    let error = model.answer(&Request::from_user("u")).await.unwrap_err();
    assert_eq!(error.to_string(), "m: expected an answer within 100 s in all, found none");
    assert!(start.elapsed() < Duration::from_secs(100) + TICK);
}

#[tokio::test(start_paused = true)]
async fn everything_spent_is_counted() {
    let counter = Arc::new(UsageCounter::default());
    let mut unreported = costing(0, 0);
    unreported.usage = None;
    let mut thoughtful = costing(20, 9);
    thoughtful.usage.as_mut().unwrap().reasoning_tokens = Some(7);
    thoughtful.usage.as_mut().unwrap().cached_tokens = Some(16);
    let outcomes = [Err(status(500, None)), Ok(costing(10, 5)), Ok(unreported), Ok(thoughtful)];
    let counted = Counted::new(Scripted::sequence("m", outcomes), Arc::clone(&counter));
    let model = Retry::new(counted, exact()).unwrap();
    for _ in 0..3 {
        model.answer(&Request::from_user("u")).await.unwrap();
    }
    let expected = Totals {
        answers: 3,
        failures: 1,
        unreported: 1,
        prompt_tokens: 30,
        completion_tokens: 14,
        reasoning_tokens: 7,
        cached_tokens: 16,
    };
    assert_eq!(counter.totals(), expected);
}
