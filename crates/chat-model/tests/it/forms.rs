//! Written forms, over all requests there may be.

use chat_model::{Error, Message, Request, Sampling, Tool, ToolCall, ToolChoice};
use proptest::prelude::*;
use serde_json::{Value, json};

fn text() -> impl Strategy<Value = String> {
    // Every character, quotes, controls and newlines included.
    prop::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

fn message() -> impl Strategy<Value = Message> {
    let call =
        (text(), text(), text()).prop_map(|(id, name, arguments)| ToolCall { id, name, arguments });
    prop_oneof![
        text().prop_map(Message::system),
        text().prop_map(Message::user),
        (text(), text()).prop_map(|(id, text)| Message::tool(id, text)),
        (text(), prop::collection::vec(call, 0..3), prop::option::of(text())).prop_map(
            |(text, tool_calls, reasoning)| Message::Assistant { text, tool_calls, reasoning }
        ),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn request() -> impl Strategy<Value = Request> {
    let sampling = (
        prop::option::of(any::<u32>()),
        prop::option::of(prop::num::f64::NORMAL),
        prop::option::of(prop::num::f64::NORMAL),
        prop::option::of(any::<u64>()),
        prop::collection::vec(text(), 0..2),
        value(),
    )
        .prop_map(|(max_tokens, temperature, top_p, seed, stop, extra)| Sampling {
            max_tokens,
            temperature,
            top_p,
            seed,
            stop,
            extra: json!({ "x": extra }).as_object().cloned().unwrap_or_default(),
        });
    let tool = (text(), text(), value()).prop_map(|(name, description, parameters)| Tool {
        name,
        description,
        parameters,
    });
    let choice = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        text().prop_map(ToolChoice::Named),
    ];
    let messages = prop::collection::vec(message(), 0..5);
    (messages, prop::collection::vec(tool, 0..2), choice, sampling, text()).prop_map(
        |(messages, tools, tool_choice, sampling, lane)| Request {
            messages,
            tools,
            tool_choice,
            sampling,
            lane,
        },
    )
}

proptest! {
    /// What is written reads back the same, under the same digest.
    #[test]
    fn requests_read_back_as_they_were(request in request()) {
        let text = serde_json::to_string(&request).unwrap();
        let back: Request = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&back, &request);
        prop_assert_eq!(back.digest("m"), request.digest("m"));
        prop_assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }

    /// Any request is judged, and by a field of its own.
    #[test]
    fn any_request_is_judged(request in request()) {
        let judged = request.validate();
        let by_field = matches!(judged, Ok(()) | Err(Error::Request { .. }));
        prop_assert!(by_field, "{judged:?}");
        prop_assert!(!request.messages.is_empty() || judged.is_err());
    }
}
