//! From a request to tokens and settings of the generation.

use chat_model::{Error as ChatError, Message as Turn, Request};
use serde_json::{Map, Value, json};

use super::LocalChatConfig;
use crate::{
    CausalLm,
    chat::{ChatTemplate, Extras, Message, Prompt},
    generate::{GenerateConfig, Sampling, StepModel as _, Truncation},
    tokenizer::Tokenizer,
};

/// What is generated for a request.
#[derive(Debug)]
pub(super) struct Plan {
    /// The conversation.
    pub(super) prompt: Vec<u32>,
    /// What rows computed together must have in common; the batch size is left open.
    pub(super) config: GenerateConfig,
    /// Texts that end the answer.
    pub(super) stop: Vec<String>,
}

/// What an endpoint of this crate knows beyond the common fields.
#[derive(Debug, Default)]
struct Extra {
    top_k: Option<usize>,
    min_p: Option<f64>,
    repetition_penalty: Option<f64>,
    template: Map<String, Value>,
}

impl Plan {
    /// Renders, tokenizes and checks.
    ///
    /// # Errors
    /// [`ChatError::Request`] naming what this model cannot do.
    pub(super) fn new(
        request: &Request,
        lm: &CausalLm,
        tokenizer: &Tokenizer,
        template: &ChatTemplate,
        config: &LocalChatConfig,
    ) -> Result<Self, ChatError> {
        if !request.tools.is_empty() {
            let found = format!("{} tools", request.tools.len());
            return Err(wrong("tools", "none: a local model calls no tools", &found));
        }
        let extra = Extra::of(&request.sampling.extra)?;
        let messages: Vec<Message> = request.messages.iter().map(message).collect();
        let extras = Extras { variables: extra.template.clone(), ..Extras::default() };
        let refused = |error: crate::Error| {
            wrong("messages", "a conversation that the model can read", &error.to_string())
        };
        let text = template.render_with(&messages, Prompt::Open, &extras).map_err(refused)?;
        let prompt = tokenizer.encode(&text).map_err(refused)?;
        let context = lm.max_context();
        let asked = request.sampling.max_tokens.map_or(1, |most| most as usize);
        if prompt.len() + asked > context || prompt.is_empty() {
            let expected = format!("1 to {} tokens", context.saturating_sub(asked));
            return Err(wrong("messages", &expected, &format!("{} tokens", prompt.len())));
        }
        let most = match request.sampling.max_tokens {
            Some(most) => most as usize,
            None => (config.max_tokens as usize).min(context - prompt.len()),
        };
        let config = GenerateConfig {
            max_new_tokens: most,
            sampling: sampling(request, config, &extra),
            repetition_penalty: extra.repetition_penalty.unwrap_or(1.0),
            stop_tokens: lm.config().eos.clone(),
            log_probs: false,
            batch_size: 1,
        };
        let refused =
            |error: crate::Error| wrong("sampling", "values in range", &error.to_string());
        config.validate().map_err(refused)?;
        Ok(Self { prompt, config, stop: request.sampling.stop.clone() })
    }
}

fn sampling(request: &Request, config: &LocalChatConfig, extra: &Extra) -> Sampling {
    let temperature = request.sampling.temperature.unwrap_or(config.temperature);
    if temperature <= 0.0 {
        return Sampling::Greedy;
    }
    let (top_k, top_p, min_p) = (extra.top_k, request.sampling.top_p, extra.min_p);
    Sampling::Random(Truncation { temperature, top_k, top_p, min_p })
}

impl Extra {
    fn of(fields: &Map<String, Value>) -> Result<Self, ChatError> {
        let mut extra = Self::default();
        for (name, value) in fields {
            let bad = |expected: &str| {
                wrong(&format!("sampling.extra.{name}"), expected, &value.to_string())
            };
            match name.as_str() {
                "top_k" => {
                    let count = value.as_u64().and_then(|k| usize::try_from(k).ok());
                    extra.top_k = Some(count.ok_or_else(|| bad("a whole number"))?);
                }
                "min_p" => extra.min_p = Some(value.as_f64().ok_or_else(|| bad("a number"))?),
                "repetition_penalty" => {
                    extra.repetition_penalty = Some(value.as_f64().ok_or_else(|| bad("a number"))?);
                }
                "chat_template_kwargs" => {
                    let object = value.as_object().ok_or_else(|| bad("an object"))?;
                    extra.template.clone_from(object);
                }
                _ => {
                    return Err(bad(
                        "top_k, min_p, repetition_penalty or chat_template_kwargs, the only ones \
                         that a local model knows",
                    ));
                }
            }
        }
        Ok(extra)
    }
}

/// A turn as templates know it.
fn message(turn: &Turn) -> Message {
    match turn {
        Turn::System { text } => Message::new("system", text),
        Turn::User { text } => Message::user(text),
        Turn::Tool { call_id, text } => {
            Message::new("tool", text).with("tool_call_id", call_id.as_str())
        }
        Turn::Assistant { text, tool_calls, reasoning } => {
            let mut message = Message::assistant(text);
            if let Some(reasoning) = reasoning {
                message = message.with("reasoning_content", reasoning.as_str());
            }
            if tool_calls.is_empty() {
                return message;
            }
            let calls = tool_calls.iter().map(|call| {
                // Arguments that are no object stay the text that the model wrote.
                let arguments = call
                    .parse_arguments()
                    .map_or_else(|_| Value::String(call.arguments.clone()), Value::Object);
                json!({
                    "id": call.id, "type": "function",
                    "function": { "name": call.name, "arguments": arguments },
                })
            });
            message.with("tool_calls", calls.collect::<Vec<_>>())
        }
    }
}

fn wrong(field: &str, expected: &str, found: &str) -> ChatError {
    let (field, expected) = (field.to_owned(), expected.to_owned());
    ChatError::Request { field, expected, found: found.to_owned() }
}
