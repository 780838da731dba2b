//! The client against a server that others wrote; `serve.py` beside this starts one.
//!
//! Not among the tests that run by themselves: `test = false` in the manifest.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{num::NonZeroUsize, ops::ControlFlow, sync::Arc};

use chat_model::{
    Blocking, ChatModel, Error, Message, OpenAi, OpenAiConfig, Recorder, RecordingWriter, Replay,
    Request, Requests, Response, Sampling, StackConfig, StopReason, Tool, ToolCall, ToolChoice,
    UsageCounter,
};
use serde_json::json;

/// Base URL of the server.
const SERVER: &str = "FORTHRIGHT_CHAT_SERVER";
/// Its key, if it wants one.
const KEY: &str = "FORTHRIGHT_CHAT_KEY";

fn config() -> OpenAiConfig {
    let variable = std::env::var(SERVER);
    OpenAiConfig {
        base_url: variable.unwrap_or_else(|_| panic!("{SERVER}: expected a base URL")),
        model: "default".to_owned(),
        key_env: std::env::var_os(KEY).map(|_| KEY.to_owned()),
        ..OpenAiConfig::default()
    }
}

fn connect() -> (Blocking<Arc<dyn ChatModel>>, Arc<UsageCounter>) {
    let counter = Arc::new(UsageCounter::default());
    let stack = StackConfig { endpoint: config(), ..StackConfig::default() };
    (Blocking::new(stack.connect(Arc::clone(&counter)).unwrap()).unwrap(), counter)
}

fn asked(text: &str, max_tokens: u32) -> Request {
    let sampling = Sampling {
        max_tokens: Some(max_tokens),
        temperature: Some(0.0),
        seed: Some(7),
        ..Sampling::default()
    };
    Request { sampling, ..Request::from_user(text) }
}

#[test]
fn text_limits_and_usage() {
    let (model, counter) = connect();
    let response = model.answer(&asked("Tell me a long story.", 6)).unwrap();
    assert!(!response.text.is_empty());
    assert_eq!(response.stop, StopReason::Length);
    let usage = response.usage.unwrap();
    assert_eq!(usage.completion_tokens, 6);
    assert!(usage.prompt_tokens > 5);
    assert_eq!(counter.totals().completion_tokens, 6);
    assert!(!response.model.is_empty());
    // A greedy answer comes again.
    assert_eq!(model.answer(&asked("Tell me a long story.", 6)).unwrap().text, response.text);
}

#[test]
fn a_stop_text_ends_the_answer() {
    let (model, _) = connect();
    let plain = model.answer(&asked("Tell me a long story.", 8)).unwrap().text;
    let stop = plain.split_whitespace().nth(2).unwrap().to_owned();
    let mut request = asked("Tell me a long story.", 8);
    request.sampling.stop = vec![stop.clone()];
    let response = model.answer(&request).unwrap();
    assert_eq!(response.stop, StopReason::EndOfTurn);
    assert!(!response.text.contains(&stop) && plain.starts_with(&response.text));
}

/// A user who asks for the weather, a call for it, its result, and what is made of that.
fn about(city: &str, call_id: &str) -> [Message; 4] {
    let call = ToolCall {
        id: call_id.to_owned(),
        name: "get_weather".to_owned(),
        arguments: json!({ "city": city }).to_string(),
    };
    [
        Message::user(format!("Weather in {city}")),
        Response::from_calls("default", vec![call]).to_message(),
        Message::tool(call_id, "Rain"),
        Message::assistant("Rain"),
    ]
}

#[test]
fn tools_are_called_and_their_results_taken() {
    let (model, _) = connect();
    let mut request = asked("", 40);
    // Three examples, since a very small model calls nothing without.
    let shown = [about("Rome", "a"), about("Paris", "b"), about("Rome", "c")];
    request.messages = shown.into_iter().flatten().collect();
    request.messages.push(Message::user("Weather in Paris"));
    request.tools = vec![Tool {
        name: "get_weather".to_owned(),
        description: "The weather in a city.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": { "city": { "type": "string", "enum": ["Paris", "Rome"] } },
            "required": ["city"],
        }),
    }];
    request.tool_choice = ToolChoice::Required;
    let response = model.answer(&request).unwrap();
    assert_eq!(response.stop, StopReason::ToolCalls);
    let [call] = &response.tool_calls[..] else { panic!("{response:?}") };
    assert_eq!(call.name, "get_weather");
    assert!(call.parse_arguments().unwrap()["city"].is_string());
    request.messages.push(response.to_message());
    request.messages.push(Message::tool(&call.id, "Sunny"));
    request.tool_choice = ToolChoice::None;
    request.sampling.max_tokens = Some(8);
    assert!(!model.answer(&request).unwrap().text.is_empty());
}

#[test]
fn many_at_a_time_recorded_and_replayed() {
    let (model, _) = connect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.jsonl");
    let writer = Arc::new(RecordingWriter::open(&path, Requests::Whole).unwrap());
    let live = Blocking::new(Recorder::new(model.inner().clone(), writer)).unwrap();
    let requests: Vec<Request> = (0..8)
        .map(|n| {
            let mut request = asked("Say any word.", 4);
            request.sampling.temperature = Some(1.0);
            request.sampling.seed = Some(n);
            request
        })
        .collect();
    let four = NonZeroUsize::new(4).unwrap();
    let mut said = vec![String::new(); requests.len()];
    live.answer_all(&requests, four, |n, outcome| {
        said[n] = outcome.unwrap().text;
        ControlFlow::Continue(())
    })
    .unwrap();
    let replay = Blocking::new(Replay::open(&path, "default").unwrap()).unwrap();
    for (request, said) in requests.iter().zip(&said) {
        assert_eq!(&replay.answer(request).unwrap().text, said);
    }
}

#[test]
fn refusals_are_typed() {
    if config().key_env.is_some() {
        let no_key = OpenAiConfig { key_env: None, ..config() };
        let bare = Blocking::new(OpenAi::new(no_key).unwrap()).unwrap();
        let error = bare.answer(&asked("Hello", 1)).unwrap_err();
        assert!(matches!(error, Error::Status { status: 401, .. }), "{error}");
    }
    let elsewhere = format!("{}/nowhere", config().base_url);
    let lost = OpenAi::new(OpenAiConfig { base_url: elsewhere, ..config() }).unwrap();
    let error = Blocking::new(lost).unwrap().answer(&asked("Hello", 1)).unwrap_err();
    assert!(matches!(error, Error::Status { status: 404, .. }), "{error}");
    let (model, _) = connect();
    let error = model.answer(&asked(&"word ".repeat(20_000), 1)).unwrap_err();
    assert!(matches!(error, Error::Status { status: 400, .. }), "{error}");
}
