//! Endpoints that do what endpoints do. Real sockets, so real time, but little of it.

use std::{sync::Arc, time::Duration};

use chat_model::{
    CacheConfig, ChatModel as _, Error, OpenAi, OpenAiConfig, RateConfig, Request, RetryConfig,
    Retryable, Scope, StackConfig, UsageCounter,
};
use serde_json::json;

use crate::server::{Deed, Server, http, json, saying};

/// Cargo sets it for every test; its value stands in for a key.
const VARIABLE: &str = "CARGO_MANIFEST_DIR";
const KEY: &str = env!("CARGO_MANIFEST_DIR");

fn config(server: &Server) -> OpenAiConfig {
    OpenAiConfig {
        base_url: server.base_url.clone(),
        model: "m".to_owned(),
        ..OpenAiConfig::default()
    }
}

fn quick(endpoint: OpenAiConfig) -> StackConfig {
    let retry = RetryConfig {
        max_attempts: 4,
        first_delay_s: 0.001,
        max_delay_s: 0.002,
        ..RetryConfig::default()
    };
    StackConfig { endpoint, retry, ..StackConfig::default() }
}

/// How an endpoint that does this answers.
async fn outcome_of(deed: Deed) -> (Error, String) {
    let server = Server::start([deed]).await;
    let model = OpenAi::new(config(&server)).unwrap();
    let error = model.answer(&Request::from_user("u")).await.unwrap_err();
    assert_eq!(server.seen().len(), 1, "the bare endpoint tries once");
    let place = format!("{}/chat/completions", server.base_url);
    let message = error.to_string();
    let message = message.strip_prefix(&place).unwrap_or_else(|| panic!("{message}")).to_owned();
    (error, message)
}

#[tokio::test]
async fn a_good_answer() {
    let server = Server::start([saying("Hello")]).await;
    let model = OpenAi::new(config(&server)).unwrap();
    let response = model.answer(&Request::from_user("Hi")).await.unwrap();
    assert_eq!((response.text.as_str(), response.model.as_str()), ("Hello", "m-2026"));
    assert_eq!(response.usage.unwrap().completion_tokens, 3);
    let [seen] = server.seen().try_into().unwrap();
    assert!(seen.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", seen.head);
    assert!(!seen.head.to_ascii_lowercase().contains("authorization:"), "{}", seen.head);
    let expected = json!({ "model": "m", "messages": [{ "role": "user", "content": "Hi" }] });
    assert_eq!(seen.body, expected);
}

#[tokio::test]
async fn keys_and_headers_are_sent_and_never_shown() {
    let refusal = json!({ "error": { "message": format!("key {KEY} is unknown"), "code": KEY } });
    let server = Server::start([Deed::Send(json("401 Unauthorized", &refusal))]).await;
    let mut config = config(&server);
    config.key_env = Some(VARIABLE.to_owned());
    config.headers.insert("x-team".to_owned(), "blue".to_owned());
    config.header_env.insert("api-key".to_owned(), VARIABLE.to_owned());
    let model = OpenAi::new(config).unwrap();
    let error = model.answer(&Request::from_user("u")).await.unwrap_err();
    let [seen] = server.seen().try_into().unwrap();
    for header in
        [&format!("authorization: Bearer {KEY}"), "x-team: blue", &format!("api-key: {KEY}")]
    {
        assert!(seen.head.contains(header), "{}", seen.head);
    }
    for shown in [error.to_string(), format!("{error:?}"), format!("{model:?}")] {
        assert!(!shown.contains(KEY), "{shown}");
    }
    assert!(error.to_string().ends_with("found 401 ([key]): `key [key] is unknown`"), "{error}");
    assert_eq!(error.retryable(), Retryable::No);
}

#[test]
fn a_missing_key_is_named() {
    let config = OpenAiConfig {
        model: "m".to_owned(),
        key_env: Some("FORTHRIGHT_NO_SUCH_KEY".to_owned()),
        ..OpenAiConfig::default()
    };
    assert_eq!(
        OpenAi::new(config).unwrap_err().to_string(),
        "environment variable FORTHRIGHT_NO_SUCH_KEY: expected the key of the endpoint, found no \
         such variable"
    );
}

#[tokio::test]
async fn refusals_say_when_to_come_back() {
    let body = json!({ "error": { "message": "slow down", "type": "requests", "code": null } });
    let headers = [("content-type", "application/json"), ("retry-after", "3")];
    let told = http("429 Too Many Requests", &headers, &body.to_string());
    let (error, message) = outcome_of(Deed::Send(told)).await;
    assert_eq!(message, ": expected status 200, found 429 (requests): `slow down`");
    assert_eq!(error.retryable(), Retryable::After(Duration::from_secs(3)));
    let untold = json("429 Too Many Requests", &body);
    let (error, _) = outcome_of(Deed::Send(untold)).await;
    assert_eq!(error.retryable(), Retryable::Yes);
    assert!(error.is_rate_limit());
}

#[tokio::test]
async fn refusals_need_no_manners() {
    let html =
        http("502 Bad Gateway", &[("content-type", "text/html")], "<h1>upstream\r\nfailed</h1>");
    let (error, message) = outcome_of(Deed::Send(html)).await;
    assert_eq!(message, ": expected status 200, found 502: `<h1>upstream  failed</h1>`");
    assert_eq!(error.retryable(), Retryable::Yes);
    let (_, message) = outcome_of(Deed::Send(http("500 Oops", &[], ""))).await;
    assert_eq!(message, ": expected status 200, found 500: `Internal Server Error`");
    // The body of a refusal may be cut off or endless, and it is still that refusal.
    let mut cut = http("503 Busy", &[], "some of it");
    cut.truncate(cut.len() - 3);
    let (_, message) = outcome_of(Deed::Send(cut)).await;
    assert_eq!(message, ": expected status 200, found 503: `Service Unavailable`");
    let endless = b"HTTP/1.1 403 No\r\n\r\nwhy?why?why?".to_vec();
    let (error, _) = outcome_of(Deed::Flood(endless)).await;
    assert!(matches!(error, Error::Status { status: 403, .. }), "{error}");
    let moved = http("302 Found", &[("location", "http://127.0.0.1:1/")], "");
    let (error, _) = outcome_of(Deed::Send(moved)).await;
    assert!(matches!(error, Error::Status { status: 302, .. }), "{error}");
}

#[tokio::test]
async fn bodies_that_end_early() {
    let Deed::Send(mut whole) = saying("Hello") else { panic!() };
    let head = whole.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    whole.truncate(head + 20);
    let (error, message) = outcome_of(Deed::Send(whole.clone())).await;
    assert!(matches!(error, Error::CutOff { received_bytes: 20, .. }), "{error:?}");
    assert!(message.starts_with(": the body was cut off after 20 bytes: "), "{message}");
    assert_eq!(error.retryable(), Retryable::Yes);
    // Ended in the middle of the headers.
    whole.truncate(30);
    let (error, _) = outcome_of(Deed::Send(whole)).await;
    assert!(matches!(error, Error::Dropped { .. }), "{error:?}");
    let (error, message) = outcome_of(Deed::HangUp).await;
    assert!(matches!(error, Error::Dropped { .. }), "{error:?}");
    assert!(message.starts_with(": the connection was lost before an answer came: "), "{message}");
    assert_eq!(error.retryable(), Retryable::Yes);
    let (error, _) = outcome_of(Deed::Send(b"SSH-2.0-something\r\n".to_vec())).await;
    assert!(matches!(error, Error::Dropped { .. }), "{error:?}");
}

#[tokio::test]
async fn bodies_that_make_no_sense() {
    let malformed = http("200 OK", &[("content-type", "application/json")], "{\"choices\": [{\"me");
    let (error, message) = outcome_of(Deed::Send(malformed)).await;
    assert!(
        message.starts_with(": body: expected JSON, found `{\"choices\": [{\"me (EOF"),
        "{message}"
    );
    assert_eq!(error.retryable(), Retryable::Yes);
    let (error, message) = outcome_of(Deed::Send(json("200 OK", &json!({ "choices": [] })))).await;
    assert_eq!(message, ": choices: expected at least one, found `[]`");
    assert_eq!(error.retryable(), Retryable::Yes);
    let page = http("200 OK", &[("content-type", "text/html")], "<title>Welcome</title>");
    let (error, message) = outcome_of(Deed::Send(page)).await;
    assert_eq!(
        message,
        ": expected content type application/json, found `text/html` (`<title>Welcome</title>`); is \
         the base URL right? it often ends in /v1"
    );
    assert_eq!(error.retryable(), Retryable::No);
    let (error, _) = outcome_of(Deed::Send(http("200 OK", &[], "{}"))).await;
    assert!(matches!(error, Error::ContentType { .. }), "{error:?}");
    let late = json!({ "error": { "code": 429, "message": "upstream is busy" } });
    let (error, _) = outcome_of(Deed::Send(json("200 OK", &late))).await;
    assert!(error.is_rate_limit(), "{error:?}");
}

#[tokio::test]
async fn bodies_that_never_end() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".to_vec();
    let server = Server::start([
        Deed::Flood([head, vec![b' '; 60_000]].concat()),
        Deed::Stall(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000001\r\n\r\n"
                .to_vec(),
        ),
    ])
    .await;
    let config = OpenAiConfig { max_body_bytes: 1_000_000, ..config(&server) };
    let model = OpenAi::new(config).unwrap();
    for _ in 0..2 {
        let error = model.answer(&Request::from_user("u")).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit_bytes: 1_000_000, .. }), "{error:?}");
        assert_eq!(error.retryable(), Retryable::No);
    }
}

#[tokio::test]
async fn endpoints_that_take_forever() {
    let beginning = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{".to_vec();
    // One of which something comes all the time.
    let trickle = Deed::Trickle(beginning.clone(), Duration::from_millis(5));
    let server = Server::start([Deed::Stall(Vec::new()), Deed::Stall(beginning), trickle]).await;
    let model = OpenAi::new(OpenAiConfig { timeout_s: 0.2, ..config(&server) }).unwrap();
    for _ in 0..3 {
        let error = model.answer(&Request::from_user("u")).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { scope: Scope::Attempt, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn endpoints_that_are_not_there() {
    // Bound and dropped again: a port that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let base_url = format!("http://127.0.0.1:{port}/v1");
    let config = OpenAiConfig { base_url, model: "m".to_owned(), ..OpenAiConfig::default() };
    let error = OpenAi::new(config).unwrap().answer(&Request::from_user("u")).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert_eq!(error.retryable(), Retryable::Yes);
    let message = error.to_string();
    assert!(message.contains(": cannot connect: ") && message.contains("refused"), "{message}");
}

#[tokio::test]
async fn encryption_is_demanded_where_the_url_says_so() {
    // A server that answers in the clear.
    let server = Server::start([saying("Hello")]).await;
    let base_url = server.base_url.replace("http:", "https:");
    match OpenAi::new(OpenAiConfig { base_url, ..config(&server) }) {
        Ok(model) => {
            let error = model.answer(&Request::from_user("u")).await.unwrap_err();
            assert!(matches!(error, Error::Connect { .. }), "{error:?}");
        }
        // A machine without certificates.
        Err(error) => assert!(error.to_string().starts_with("endpoint: expected"), "{error}"),
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_wrong_request_is_not_sent() {
    let server = Server::start([saying("Hello")]).await;
    let model = OpenAi::new(config(&server)).unwrap();
    let error = model.answer(&Request::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "request: messages: expected at least one, found `none`");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_stack_gets_through_everything_that_passes() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{";
    let deeds = [
        Deed::HangUp,
        Deed::Send(head.to_vec()),
        Deed::Send(http("503 Busy", &[("retry-after-ms", "5")], "")),
        saying("at last"),
    ];
    let server = Server::start(deeds).await;
    let folder = tempfile::tempdir().unwrap();
    let cache = CacheConfig { folder: folder.path().to_owned(), ..CacheConfig::default() };
    let stack = StackConfig { cache: Some(cache), ..quick(config(&server)) };
    let counter = Arc::new(UsageCounter::default());
    let model = stack.connect(Arc::clone(&counter)).unwrap();
    for _ in 0..2 {
        assert_eq!(model.answer(&Request::from_user("u")).await.unwrap().text, "at last");
    }
    assert_eq!(server.seen().len(), 4);
    let totals = counter.totals();
    assert_eq!((totals.answers, totals.failures, totals.prompt_tokens), (1, 3, 7));
}

#[tokio::test]
async fn the_stack_gives_up_and_says_on_what() {
    let server = Server::start([Deed::Send(http("500 Oops", &[], "broken"))]).await;
    let model = quick(config(&server)).connect(Arc::default()).unwrap();
    let error = model.answer(&Request::from_user("u")).await.unwrap_err().to_string();
    let expected = format!(
        "gave up after 4 attempts; the last: {}/chat/completions: expected status 200, found 500: \
         `broken`",
        server.base_url
    );
    assert_eq!(error, expected);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_cancelled_request_is_hung_up() {
    let server = Server::start([Deed::Stall(Vec::new()), saying("next")]).await;
    let rate = RateConfig { max_concurrent: 1, ..RateConfig::default() };
    let model = StackConfig { rate, ..quick(config(&server)) }.connect(Arc::default()).unwrap();
    let request = Request::from_user("u");
    let cut = tokio::time::timeout(Duration::from_millis(200), model.answer(&request)).await;
    assert!(cut.is_err());
    // The only place is free again.
    assert_eq!(model.answer(&request).await.unwrap().text, "next");
}

#[test]
fn a_whole_configuration_reads_back() {
    let config = StackConfig { cache: Some(CacheConfig::default()), ..StackConfig::default() };
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<StackConfig>(&text).unwrap(), config);
    assert!(toml::from_str::<StackConfig>("[rate]\nrequests = 3\n").is_err());
    let error = config.validate().unwrap_err().to_string();
    assert_eq!(error, "endpoint.model: expected the name of a model, found none");
}
