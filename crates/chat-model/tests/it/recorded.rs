//! Recording and replaying.

use std::{fs, path::Path, sync::Arc};

use chat_model::{
    ChatModel, Error, Message, Recorder, Recording, RecordingWriter, Replay, Request, Requests,
    Response, Sampling, Scripted, Tool, ToolCall,
};
use serde_json::json;

use crate::common::{costing, numbered, status};

fn recorder<M: ChatModel>(model: M, path: &Path) -> Recorder<M> {
    Recorder::new(model, Arc::new(RecordingWriter::open(path, Requests::Whole).unwrap()))
}

/// An agent that calls a tool until it is told to end.
async fn converse(model: &impl ChatModel, lane: &str) -> Vec<Message> {
    let mut request = Request {
        messages: vec![Message::system("Use tools."), Message::user("Count to three.")],
        tools: vec![Tool {
            name: "next".to_owned(),
            description: "Gives the number after `n`.".to_owned(),
            parameters: json!({ "type": "object", "properties": { "n": { "type": "integer" } } }),
        }],
        sampling: Sampling { temperature: Some(0.7), ..Sampling::default() },
        lane: lane.to_owned(),
        ..Request::default()
    };
    loop {
        let response = model.answer(&request).await.unwrap();
        request.messages.push(response.to_message());
        if response.tool_calls.is_empty() {
            return request.messages;
        }
        for call in &response.tool_calls {
            let n = call.parse_arguments().unwrap()["n"].as_i64().unwrap();
            request.messages.push(Message::tool(&call.id, (n + 1).to_string()));
        }
    }
}

/// Counts on from the last tool's result, with an accent of its own in every call.
fn counting() -> Scripted {
    Scripted::function("m", |request, asked| {
        let last = request.messages.last().unwrap();
        let n = last.text().parse::<i64>().unwrap_or(0);
        if n >= 3 {
            let mut response = costing(50, 3);
            response.text = format!("done, {asked}, “é” \u{1F600}\n");
            response.reasoning = Some("enough".to_owned());
            return Ok(response);
        }
        let call = ToolCall {
            id: format!("call {asked}"),
            name: "next".to_owned(),
            arguments: format!("{{ \"n\" : {n} }}"),
        };
        Ok(Response::from_calls("m", vec![call]))
    })
}

#[tokio::test]
async fn a_replay_is_the_same_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (live, again) = (folder.path().join("live.jsonl"), folder.path().join("again.jsonl"));
    let talk = converse(&recorder(counting(), &live), "a").await;
    assert_eq!(talk.len(), 9);
    let replayed = converse(&recorder(Replay::open(&live, "m").unwrap(), &again), "a").await;
    assert_eq!(replayed, talk);
    assert_eq!(fs::read(&again).unwrap(), fs::read(&live).unwrap());
    assert_eq!(Recording::read(&live).unwrap().len(), 4);
}

#[tokio::test]
async fn lanes_get_back_what_they_had_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.jsonl");
    let model = recorder(counting(), &path);
    let lanes: Vec<String> = (0..20).map(|n| format!("agent {n}")).collect();
    let talks: Vec<_> =
        futures_util::future::join_all(lanes.iter().map(|lane| converse(&model, lane))).await;
    let replay = Replay::open(&path, "m").unwrap();
    for (lane, talk) in lanes.iter().zip(&talks).rev() {
        assert_eq!(&converse(&replay, lane).await, talk);
    }
}

#[tokio::test]
async fn occurrences_come_in_order_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.jsonl");
    let outcomes = [
        Ok(Response::from_text("m", "one")),
        Err(status(429, Some(2.5))),
        Ok(Response::from_text("m", "three")),
    ];
    let live = recorder(Scripted::sequence("m", outcomes.clone()), &path);
    for outcome in &outcomes {
        assert_eq!(&live.answer(&numbered(0)).await, outcome);
    }
    let replay = Replay::open(&path, "m").unwrap();
    for outcome in &outcomes {
        assert_eq!(&replay.answer(&numbered(0)).await, outcome);
    }
    let error = replay.answer(&numbered(0)).await.unwrap_err();
    let Error::NotRecorded(missing) = &error else { panic!("{error}") };
    assert_eq!((missing.asked, missing.recorded), (4, 3));
    let digest = numbered(0).digest("m").to_string();
    let expected = format!(
        "{}: expected request {} of lane \"\" to m at least 4 times, found it 3 times; is it asked \
         more often than before, or by several agents in one lane?",
        path.display(),
        &digest[..12]
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn what_was_not_recorded_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.jsonl");
    let live = recorder(counting(), &path);
    live.answer(&numbered(0)).await.unwrap();
    let replay = Replay::open(&path, "m").unwrap();
    let hint = async |request: Request| match replay.answer(&request).await {
        Err(Error::NotRecorded(missing)) if missing.recorded == 0 => missing.hint,
        other => panic!("{other:?}"),
    };
    assert!(hint(numbered(1)).await.starts_with("no such conversation"));
    let sampling = Sampling { seed: Some(1), ..Sampling::default() };
    let altered = Request { sampling, ..numbered(0) };
    assert!(hint(altered).await.starts_with("the same conversation is there with other"));
    let error = Replay::open(&path, "n").unwrap_err().to_string();
    assert!(error.ends_with(": expected answers of n, found those of m"), "{error}");
}

#[tokio::test]
async fn requests_that_were_never_sent_are_not_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.jsonl");
    let live = recorder(Scripted::texts("m", ["one"]), &path);
    live.answer(&Request::default()).await.unwrap_err();
    live.answer(&numbered(0)).await.unwrap();
    live.answer(&numbered(0)).await.unwrap_err();
    assert_eq!(Recording::read(&path).unwrap().len(), 1);
}

#[tokio::test]
async fn digests_alone_replay_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.jsonl");
    let writer = Arc::new(RecordingWriter::open(&path, Requests::Digests).unwrap());
    let talk = converse(&Recorder::new(counting(), writer), "a").await;
    assert!(!fs::read_to_string(&path).unwrap().contains("Count to three."));
    assert_eq!(converse(&Replay::open(&path, "m").unwrap(), "a").await, talk);
}

#[tokio::test]
async fn a_killed_writer_leaves_a_recording_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.jsonl");
    let live = recorder(Scripted::texts("m", ["one", "two"]), &path);
    live.answer(&numbered(0)).await.unwrap();
    live.answer(&numbered(1)).await.unwrap();
    drop(live);
    let whole = fs::read(&path).unwrap();
    let first = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
    for cut in first + 1..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(Recording::read(&path).unwrap().len(), 1);
    }
    let live = recorder(Scripted::texts("m", ["two"]), &path);
    live.answer(&numbered(1)).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), whole);
}

#[tokio::test]
async fn one_file_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.jsonl");
    let first = RecordingWriter::open(&path, Requests::Whole).unwrap();
    let error = RecordingWriter::open(&path, Requests::Whole).unwrap_err().to_string();
    assert!(
        error.ends_with("expected one writer, found another process that writes it"),
        "{error}"
    );
    drop(first);
    RecordingWriter::open(&path, Requests::Whole).unwrap();
}

#[tokio::test]
async fn foreign_files_are_refused_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.jsonl");
    let live = recorder(Scripted::texts("m", ["one"]), &path);
    live.answer(&numbered(0)).await.unwrap();
    drop(live);
    let good = fs::read_to_string(&path).unwrap();
    let refused = |second: &str| {
        fs::write(&path, format!("{good}{second}\n")).unwrap();
        let error = Recording::read(&path).unwrap_err().to_string();
        // Nothing is lost by trying to add to it.
        RecordingWriter::open(&path, Requests::Whole).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{good}{second}\n"));
        let start = format!("{}: line 2: expected ", path.display());
        error.strip_prefix(&start).unwrap_or_else(|| panic!("{error}")).to_owned()
    };
    let line = good.trim_end();
    assert_eq!(refused(&line.replace("\"version\":1", "\"version\":7")), "version 1, found 7");
    assert_eq!(refused(r#"{"version": 2, "new": true}"#), "version 1, found 2");
    assert!(refused("").starts_with("a recorded answer, found ``: EOF"));
    assert!(refused("{}").starts_with("a recorded answer, found `{}`: missing field"));
    assert!(refused(&"[".repeat(100_000)).starts_with("a recorded answer, found `[[["));
    assert!(refused("\u{0}\u{1}").starts_with("a recorded answer, found ``"));
    let altered = refused(&line.replace("request 0", "request 1"));
    let digest = numbered(1).digest("m").to_string();
    assert!(altered.starts_with(&format!("digest {}, that of its request", &digest[..12])));
    let error = Recording::read(&folder.path().join("none")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read "), "{error}");
}
