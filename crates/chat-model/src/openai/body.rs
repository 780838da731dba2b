//! A request in OpenAI's words.

use serde_json::{Map, Value, json};

use super::config::{MaxTokensField, OpenAiConfig};
use crate::{Message, Request, Sampling, Tool, ToolCall, ToolChoice};

/// The body to send.
pub(super) fn of(config: &OpenAiConfig, request: &Request) -> Vec<u8> {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(config.model));
    let messages = request.messages.iter().map(|m| message(config, m)).collect();
    body.insert("messages".to_owned(), Value::Array(messages));
    if !request.tools.is_empty() {
        body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
        body.insert("tool_choice".to_owned(), tool_choice(&request.tool_choice));
    }
    sampling(config, &request.sampling, &mut body);
    Value::Object(body).to_string().into_bytes()
}

fn message(config: &OpenAiConfig, message: &Message) -> Value {
    match message {
        Message::System { text } => json!({ "role": "system", "content": text }),
        Message::User { text } => json!({ "role": "user", "content": text }),
        Message::Tool { call_id, text } => {
            json!({ "role": "tool", "tool_call_id": call_id, "content": text })
        }
        Message::Assistant { text, tool_calls, reasoning } => {
            let mut said = Map::new();
            said.insert("role".to_owned(), json!("assistant"));
            // Beside calls some servers take no empty text, without them none takes null.
            let content = if text.is_empty() && !tool_calls.is_empty() { None } else { Some(text) };
            said.insert("content".to_owned(), json!(content));
            if !tool_calls.is_empty() {
                said.insert("tool_calls".to_owned(), tool_calls.iter().map(call).collect());
            }
            if let (Some(field), Some(reasoning)) = (&config.send_reasoning_as, reasoning) {
                said.insert(field.clone(), json!(reasoning));
            }
            Value::Object(said)
        }
    }
}

fn call(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": call.arguments },
    })
}

fn tool(tool: &Tool) -> Value {
    json!({
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    })
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => json!({ "type": "function", "function": { "name": name } }),
    }
}

fn sampling(config: &OpenAiConfig, sampling: &Sampling, body: &mut Map<String, Value>) {
    let limit = match config.max_tokens_field {
        MaxTokensField::MaxTokens => "max_tokens",
        MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
    };
    let stop = (!sampling.stop.is_empty()).then(|| json!(sampling.stop));
    for (field, value) in [
        (limit, sampling.max_tokens.map(Value::from)),
        ("temperature", sampling.temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        ("seed", sampling.seed.map(Value::from)),
        ("stop", stop),
    ] {
        if let Some(value) = value {
            body.insert(field.to_owned(), value);
        }
    }
    for (field, value) in &sampling.extra {
        body.insert(field.clone(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_in_its_place() {
        let call = ToolCall {
            id: "c1".to_owned(),
            name: "look".to_owned(),
            arguments: "{\"at\": 1}".to_owned(),
        };
        let request = Request {
            messages: vec![
                Message::system("s"),
                Message::user("u"),
                Message::Assistant {
                    text: String::new(),
                    tool_calls: vec![call],
                    reasoning: Some("r".to_owned()),
                },
                Message::tool("c1", "t"),
                Message::assistant(""),
            ],
            tools: vec![Tool {
                name: "look".to_owned(),
                description: "d".to_owned(),
                parameters: json!({ "type": "object" }),
            }],
            tool_choice: ToolChoice::Named("look".to_owned()),
            sampling: Sampling {
                max_tokens: Some(5),
                temperature: Some(0.5),
                top_p: Some(1.0),
                seed: Some(7),
                stop: vec!["END".to_owned()],
                extra: json!({ "logprobs": true }).as_object().unwrap().clone(),
            },
            lane: "never sent".to_owned(),
        };
        let mut config = OpenAiConfig { model: "m".to_owned(), ..OpenAiConfig::default() };
        let sent = |config: &OpenAiConfig| -> Value {
            serde_json::from_slice(&of(config, &request)).unwrap()
        };
        let mut expected = json!({
            "model": "m",
            "messages": [
                { "role": "system", "content": "s" },
                { "role": "user", "content": "u" },
                { "role": "assistant", "content": null, "tool_calls": [{
                    "id": "c1",
                    "type": "function",
                    "function": { "name": "look", "arguments": "{\"at\": 1}" },
                }] },
                { "role": "tool", "tool_call_id": "c1", "content": "t" },
                { "role": "assistant", "content": "" },
            ],
            "tools": [{ "type": "function", "function": {
                "name": "look",
                "description": "d",
                "parameters": { "type": "object" },
            } }],
            "tool_choice": { "type": "function", "function": { "name": "look" } },
            "max_tokens": 5,
            "temperature": 0.5,
            "top_p": 1.0,
            "seed": 7,
            "stop": ["END"],
            "logprobs": true,
        });
        assert_eq!(sent(&config), expected);
        config.send_reasoning_as = Some("reasoning_content".to_owned());
        config.max_tokens_field = MaxTokensField::MaxCompletionTokens;
        expected["messages"][2]["reasoning_content"] = json!("r");
        let limit = expected.as_object_mut().unwrap().remove("max_tokens").unwrap();
        expected["max_completion_tokens"] = limit;
        assert_eq!(sent(&config), expected);
    }

    #[test]
    fn what_is_not_asked_is_not_sent() {
        let config = OpenAiConfig { model: "m".to_owned(), ..OpenAiConfig::default() };
        let body = of(&config, &Request::from_user("u"));
        let expected = r#"{"model":"m","messages":[{"role":"user","content":"u"}]}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }
}
