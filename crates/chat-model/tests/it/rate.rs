//! Limits on what is asked at a time, in simulated time.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chat_model::{Answer, ChatModel, RateConfig, RateLimited, Request, Sampling, Scripted};
use proptest::prelude::*;
use tokio::{task::JoinSet, time::Instant};

use crate::common::{Slow, costing, numbered, status};

type Log = Arc<Mutex<Vec<(Instant, String)>>>;

/// Answers at once, and notes when it was asked what.
fn logging(log: &Log, cost: (u64, u64)) -> Scripted {
    let log = Arc::clone(log);
    Scripted::function("m", move |request, _| {
        log.lock().unwrap().push((Instant::now(), request.messages[0].text().to_owned()));
        Ok(costing(cost.0, cost.1))
    })
}

/// Sends all requests at once and waits for all answers; all must be answered.
async fn ask_all<M: ChatModel + 'static>(model: &Arc<M>, requests: Vec<Request>) {
    let mut tasks = JoinSet::new();
    for request in requests {
        let model = Arc::clone(model);
        tasks.spawn(async move { model.answer(&request).await });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.unwrap().unwrap();
    }
}

/// The most that fell into any stretch of this length.
fn most_within(times: &[Instant], stretch: Duration) -> usize {
    let fall =
        |from: &Instant| times.iter().filter(|t| *t >= from && **t < *from + stretch).count();
    times.iter().map(fall).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn requests_a_minute_are_kept_in_any_minute() {
    let log = Log::default();
    let config = RateConfig { requests_per_minute: Some(120.0), ..RateConfig::default() };
    let model = Arc::new(RateLimited::new(logging(&log, (1, 1)), config).unwrap());
    let start = Instant::now();
    ask_all(&model, (0..600).map(numbered).collect()).await;
    let took = start.elapsed().as_secs_f64();
    // 600 requests less the burst of 2, at 2 a second.
    assert!((298.9..300.5).contains(&took), "{took}");
    let times: Vec<Instant> = log.lock().unwrap().iter().map(|(t, _)| *t).collect();
    let most = most_within(&times, Duration::from_mins(1));
    assert!((118..=123).contains(&most), "{most}");
}

#[tokio::test(start_paused = true)]
async fn the_first_to_come_is_the_first_to_go() {
    let log = Log::default();
    let config =
        RateConfig { requests_per_minute: Some(60.0), max_concurrent: 3, ..RateConfig::default() };
    let model = Arc::new(RateLimited::new(logging(&log, (1, 1)), config).unwrap());
    ask_all(&model, (0..50).map(numbered).collect()).await;
    let order: Vec<String> = log.lock().unwrap().iter().map(|(_, text)| text.clone()).collect();
    let expected: Vec<String> = (0..50).map(|n| format!("request {n}")).collect();
    assert_eq!(order, expected);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_charged_as_they_turn_out() {
    let log = Log::default();
    // 100 tokens a second. Each request claims about 1,000 and turns out to take 100.
    let config = RateConfig { tokens_per_minute: Some(6000.0), ..RateConfig::default() };
    let model = Arc::new(RateLimited::new(logging(&log, (60, 40)), config).unwrap());
    let sampling = Sampling { max_tokens: Some(1000), ..Sampling::default() };
    let start = Instant::now();
    for n in 0..100 {
        let request = Request { sampling: sampling.clone(), ..numbered(n) };
        model.answer(&request).await.unwrap();
    }
    let took = start.elapsed().as_secs_f64();
    // 10,000 tokens less a burst of 100 at 100 a second; by claims it would be ten times that.
    assert!((98.0..101.0).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_request_larger_than_the_bucket_goes_and_is_waited_for() {
    let log = Log::default();
    let config = RateConfig { tokens_per_minute: Some(600.0), ..RateConfig::default() };
    let model = RateLimited::new(logging(&log, (500, 500)), config).unwrap();
    let start = Instant::now();
    model.answer(&numbered(0)).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    model.answer(&numbered(1)).await.unwrap();
    // 1,000 tokens at 10 a second, until the bucket is full again.
    let took = start.elapsed().as_secs_f64();
    assert!((99.9..100.1).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn places_are_limited_and_given_back_by_the_cancelled() {
    let slow = Arc::new(Slow::new(Duration::from_secs(10)));
    let config = RateConfig { max_concurrent: 4, ..RateConfig::default() };
    let model = Arc::new(RateLimited::new(Arc::clone(&slow), config).unwrap());
    let mut tasks = JoinSet::new();
    for n in 0..40 {
        let model = Arc::clone(&model);
        tasks.spawn(async move { model.answer(&numbered(n)).await });
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(slow.now(), 4);
    // Those on their way, the one whose turn is next, and those behind it are all cancelled.
    tasks.shutdown().await;
    assert_eq!(slow.now(), 0);
    let start = Instant::now();
    ask_all(&model, (0..8).map(numbered).collect()).await;
    assert!(start.elapsed() < Duration::from_millis(20_010), "{:?}", start.elapsed());
    assert_eq!(slow.most(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_429_slows_everything_once_and_answers_undo_it() {
    // The first four answers, all on their way together, are 429.
    let scripted =
        Scripted::function(
            "m",
            |_, n| {
                if n < 4 { Err(status(429, None)) } else { Ok(costing(1, 1)) }
            },
        );
    let config = RateConfig { max_concurrent: 8, recover: 0.1, ..RateConfig::default() };
    let slow = Together(scripted);
    let model = RateLimited::new(slow, config).unwrap();
    let requests: Vec<Request> = (0..4).map(numbered).collect();
    let answers = futures_util::future::join_all(requests.iter().map(|r| model.answer(r))).await;
    assert!(answers.iter().all(Result::is_err));
    assert!(is_pace(&model, 0.5));
    for n in 0..10 {
        model.answer(&numbered(n)).await.unwrap();
        assert!(is_pace(&model, (0.6 + 0.1 * n as f64).min(1.0)));
    }
}

fn is_pace<M: ChatModel>(model: &RateLimited<M>, expected: f64) -> bool {
    (model.pace() - expected).abs() < 1e-12
}

/// Answers a second after being asked, so that requests are on their way together.
struct Together(Scripted);

impl ChatModel for Together {
    fn model(&self) -> &'static str {
        "together"
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.0.answer(request).await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn repeated_429s_slow_down_to_a_floor_and_fewer_go_together() {
    let config = RateConfig { max_concurrent: 8, min_pace: 0.25, ..RateConfig::default() };
    let refusing =
        Scripted::function(
            "m",
            |_, n| {
                if n < 5 { Err(status(429, None)) } else { Ok(costing(1, 1)) }
            },
        );
    let model = RateLimited::new(refusing, config.clone()).unwrap();
    for n in 0..5 {
        tokio::time::advance(Duration::from_millis(1)).await;
        model.answer(&numbered(n)).await.unwrap_err();
    }
    assert!(is_pace(&model, 0.25));

    let slow = Arc::new(Slow::new(Duration::from_secs(1)));
    let first = AtomicBool::new(true);
    let model = Arc::new(RateLimited::new(RefusesFirst(Arc::clone(&slow), first), config).unwrap());
    model.answer(&numbered(0)).await.unwrap_err();
    let mut tasks = JoinSet::new();
    for n in 0..16 {
        let model = Arc::clone(&model);
        tasks.spawn(async move { model.answer(&numbered(n)).await });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(slow.now(), 4);
}

struct RefusesFirst(Arc<Slow>, AtomicBool);

impl ChatModel for RefusesFirst {
    fn model(&self) -> &'static str {
        "refuses-first"
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        if self.1.swap(false, Ordering::SeqCst) {
            return Box::pin(async { Err(status(429, None)) });
        }
        self.0.answer(request)
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_endpoint_asks_for_a_wait_everybody_waits() {
    for (asked_s, expected_s) in [(20.0, 20), (1e7, 60)] {
        let log = Log::default();
        let config = RateConfig { max_pause_s: 60.0, ..RateConfig::default() };
        let first = AtomicBool::new(true);
        let asking = AsksForAWait { then: logging(&log, (1, 1)), asked_s, first };
        let model = Arc::new(RateLimited::new(asking, config).unwrap());
        let start = Instant::now();
        model.answer(&numbered(0)).await.unwrap_err();
        ask_all(&model, (1..10).map(numbered).collect()).await;
        let log = log.lock().unwrap();
        assert_eq!(log.len(), 9);
        let expected = Duration::from_secs(expected_s);
        for (time, _) in log.iter() {
            let waited = *time - start;
            assert!(waited >= expected && waited < expected + Duration::from_millis(10));
        }
    }
}

/// Asks for a wait the first time.
struct AsksForAWait {
    then: Scripted,
    asked_s: f64,
    first: AtomicBool,
}

impl ChatModel for AsksForAWait {
    fn model(&self) -> &'static str {
        "asks-for-a-wait"
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        if self.first.swap(false, Ordering::SeqCst) {
            return Box::pin(async { Err(status(429, Some(self.asked_s))) });
        }
        self.then.answer(request)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// In any time t, at most limit · (t + burst) requests and one, whenever they come.
    #[test]
    fn no_stretch_of_time_sees_more_than_its_share(
        per_minute in 6.0..6000.0_f64,
        burst_s in 0.1..20.0_f64,
        gaps_ms in prop::collection::vec(0_u64..400, 40..120),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        let times = runtime.block_on(async {
            let log = Log::default();
            let config = RateConfig {
                requests_per_minute: Some(per_minute), burst_s, ..RateConfig::default()
            };
            let model = Arc::new(RateLimited::new(logging(&log, (1, 1)), config).unwrap());
            let mut tasks = JoinSet::new();
            for (n, gap) in gaps_ms.iter().enumerate() {
                tokio::time::sleep(Duration::from_millis(*gap)).await;
                let model = Arc::clone(&model);
                tasks.spawn(async move { model.answer(&numbered(n)).await });
            }
            tasks.join_all().await;
            let times: Vec<Instant> = log.lock().unwrap().iter().map(|(t, _)| *t).collect();
            times
        });
        prop_assert_eq!(times.len(), gaps_ms.len());
        for (i, from) in times.iter().enumerate() {
            for (j, to) in times.iter().enumerate().skip(i) {
                let t = (*to - *from).as_secs_f64();
                let sent = (j - i + 1) as f64;
                prop_assert!(sent <= per_minute / 60.0 * (t + burst_s) + 1.0 + 1e-6, "{sent} in {t} s");
            }
        }
    }
}
