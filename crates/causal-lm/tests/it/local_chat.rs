//! A local model behind the interface of all that answers conversations.

use std::{num::NonZeroUsize, ops::ControlFlow};

use causal_lm::{
    Pretrained,
    chat::{ChatTemplate, SpecialTokens},
    generate::{Flow, GenerateConfig, Request as Row, Sampling, Truncation, generate},
    local_chat::{LocalChat, LocalChatConfig},
    tokenizer::Tokenizer,
};
use chat_model::{
    Blocking, ChatModel as _, Error, Message, Request, Response, Sampling as Words, StopReason,
    Tool,
};
use serde_json::{Map, Value, json};
use tch::Kind;

use crate::common::tiny;

/// After the 95 printable characters.
const END: u32 = 95;

const TEMPLATE: &str = "{% for m in messages %}{{ m.role[0] }}:{{ m.content }}{% endfor %}\
                        {% if add_generation_prompt %}{{ mark or '>' }}{% endif %}";

fn tokenizer() -> Tokenizer {
    let vocab: Map<String, Value> =
        (' '..='~').enumerate().map(|(id, c)| (c.to_string(), json!(id))).collect();
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": [{
            "id": END, "content": "<end>", "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
        }],
        "decoder": { "type": "Fuse" },
        "model": { "type": "BPE", "vocab": vocab, "merges": [] },
    });
    Tokenizer::from_bytes(tokenizer.to_string().as_bytes(), "tiny").unwrap()
}

fn pretrained() -> Pretrained {
    tch::set_num_threads(1);
    let template = ChatTemplate::parse(TEMPLATE, SpecialTokens::default(), "tiny").unwrap();
    Pretrained {
        lm: tiny("llama", Kind::Float),
        tokenizer: tokenizer(),
        chat_template: Some(template),
    }
}

fn chat(config: LocalChatConfig) -> Blocking<LocalChat> {
    Blocking::new(LocalChat::new("tiny", pretrained(), config).unwrap()).unwrap()
}

fn ask(text: &str, sampling: Words) -> Request {
    Request { sampling, ..Request::from_user(text) }
}

fn words(max_tokens: u32, temperature: f64, seed: Option<u64>) -> Words {
    let (max_tokens, temperature) = (Some(max_tokens), Some(temperature));
    Words { max_tokens, temperature, seed, ..Words::default() }
}

/// What the generation loop makes of the rendered conversation.
fn expected(prompt: &str, sampling: Sampling, most: usize, seed: u64) -> String {
    let model = pretrained();
    let rows = [Row { prompt: model.tokenizer.encode(prompt).unwrap(), seed }];
    let config = GenerateConfig { max_new_tokens: most, sampling, ..GenerateConfig::default() };
    let made = generate(&model.lm.packed(), &rows, &config, &mut |_| Flow::Continue).unwrap();
    model.tokenizer.decode_text(&made[0].ids).unwrap()
}

#[test]
fn answers_are_what_the_model_says_of_the_rendered_conversation() {
    let model = chat(LocalChatConfig::default());
    let said = model.answer(&ask("Hello", words(12, 0.0, None))).unwrap();
    assert_eq!(said.text, expected("u:Hello>", Sampling::Greedy, 12, 0));
    assert_eq!((said.stop, said.model.as_str()), (StopReason::Length, "tiny"));
    let usage = said.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (8, 12));

    let mut request = ask("Hello", words(12, 0.8, Some(3)));
    request.sampling.top_p = Some(0.9);
    request.sampling.extra = json!({ "top_k": 20, "chat_template_kwargs": { "mark": "=" } })
        .as_object()
        .unwrap()
        .clone();
    request.messages.insert(0, Message::system("Be brief."));
    let truncation =
        Truncation { temperature: 0.8, top_k: Some(20), top_p: Some(0.9), min_p: None };
    let said = model.answer(&request).unwrap();
    let wanted = expected("s:Be brief.u:Hello=", Sampling::Random(truncation), 12, 3);
    assert_eq!(said.text, wanted);
}

#[test]
fn stop_texts_end_the_answer_and_are_not_part_of_it() {
    let model = chat(LocalChatConfig::default());
    let free = model.answer(&ask("Hello", words(24, 0.0, None))).unwrap().text;
    let stop: String = free.chars().skip(5).take(2).collect();
    let mut request = ask("Hello", words(24, 0.0, None));
    request.sampling.stop = vec![stop.clone()];
    let said = model.answer(&request).unwrap();
    assert_eq!(said.text, free[..free.find(&stop).unwrap()]);
    assert_eq!(said.stop, StopReason::EndOfTurn);
    assert!(said.usage.unwrap().completion_tokens < 24);
}

#[test]
fn requests_that_come_together_are_answered_as_if_alone() {
    let request = |i: usize| match i % 3 {
        0 => ask(&format!("Say {i}"), words(10, 0.0, None)),
        1 => ask(&format!("Say {i}"), words(10, 1.0, Some(i as u64))),
        // The same again and again, without a seed: each time another answer.
        _ => ask("Again", words(10, 1.0, None)),
    };
    let requests: Vec<Request> = (0..12).map(request).collect();
    let said = |batch: usize| -> Vec<String> {
        let model = chat(LocalChatConfig { batch, seed: 5, ..LocalChatConfig::default() });
        let mut said = vec![String::new(); requests.len()];
        let concurrent = NonZeroUsize::new(batch).unwrap();
        model
            .answer_all(&requests, concurrent, |i, outcome| {
                said[i] = outcome.unwrap().text;
                ControlFlow::Continue(())
            })
            .unwrap();
        said
    };
    let (alone, mut together) = (said(1), said(12));
    assert_eq!(alone[..2], together[..2]);
    // Which of equal requests comes first is not said.
    let again = |said: &[String]| {
        let mut said: Vec<String> = said.iter().skip(2).step_by(3).cloned().collect();
        said.sort();
        said
    };
    assert_eq!(again(&alone), again(&together));
    let mut distinct = again(&alone);
    distinct.dedup();
    assert_eq!(distinct.len(), 4, "{distinct:?}");
    together.truncate(10);
    assert_eq!(alone[9], together[9]);
}

#[test]
fn what_cannot_be_answered_is_said_and_does_no_harm() {
    let model = chat(LocalChatConfig::default());
    let field = |request: &Request| match model.answer(request).unwrap_err() {
        Error::Request { field, .. } => field,
        other => panic!("{other}"),
    };
    let fine = || ask("Hello", words(4, 0.0, None));
    let mut tools = fine();
    tools.tools =
        vec![Tool { name: "look".into(), description: String::new(), parameters: json!({}) }];
    assert_eq!(field(&tools), "tools");
    let with = |name: &str, value: Value| {
        let mut request = fine();
        request.sampling.extra.insert(name.into(), value);
        request
    };
    assert_eq!(field(&with("best_of", json!(2))), "sampling.extra.best_of");
    assert_eq!(field(&with("top_k", json!(-1))), "sampling.extra.top_k");
    assert_eq!(field(&with("repetition_penalty", json!(0.0))), "sampling");
    assert_eq!(field(&ask(&"x".repeat(300), words(4, 0.0, None))), "messages");
    assert_eq!(field(&ask("Hello", words(255, 0.0, None))), "messages");
    assert_eq!(model.answer(&fine()).unwrap().text.len(), 4);
}

#[test]
fn a_limit_that_is_not_asked_for_gives_way_to_the_context() {
    let model = chat(LocalChatConfig::default());
    let mut request = ask(&"x".repeat(250), words(1, 0.0, None));
    request.sampling.max_tokens = None;
    // A context of 256 holds "u:", 250 characters, ">" and three more.
    let said = model.answer(&request).unwrap();
    assert_eq!((said.usage.unwrap().completion_tokens, said.stop), (3, StopReason::Length));
}

#[test]
fn an_answer_that_is_dropped_holds_up_nobody() {
    let model = LocalChat::new("tiny", pretrained(), LocalChatConfig::default()).unwrap();
    let long = ask("Hello", words(200, 1.0, Some(1)));
    let short = ask("Hello", words(2, 0.0, None));
    let said: Result<Response, Error> = tokio_test(async {
        let mut dropped = model.answer(&long);
        // Polled once, so that it is on its way.
        let _ = std::future::poll_fn(|context| {
            std::task::Poll::Ready(dropped.as_mut().poll(context).is_pending())
        })
        .await;
        drop(dropped);
        model.answer(&short).await
    });
    assert_eq!(said.unwrap().text.len(), 2);
}

fn tokio_test<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn settings_are_checked() {
    for config in [
        LocalChatConfig { max_tokens: 0, ..LocalChatConfig::default() },
        LocalChatConfig { temperature: f64::NAN, ..LocalChatConfig::default() },
        LocalChatConfig { batch: 0, ..LocalChatConfig::default() },
    ] {
        assert!(LocalChat::new("tiny", pretrained(), config).is_err());
    }
    let mute = Pretrained { chat_template: None, ..pretrained() };
    let error = LocalChat::new("tiny", mute, LocalChatConfig::default()).unwrap_err();
    assert!(error.to_string().starts_with("chat template of tiny: expected one"), "{error}");
}
