//! Paraphrases by a chat model.

use std::{num::NonZeroUsize, ops::ControlFlow};

use chat_model::{Blocking, ChatModel, Request, Response, Sampling, StopReason};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use super::{Edited, Failure, Paraphrase};
use crate::{Error, error::check};

/// How a chat model is asked for a paraphrase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChatParaphraseConfig {
    /// What stands before the chain, which alone follows it.
    pub instruction: String,
    /// Temperature, at least 0. Default: 0, so that the same chain has the same paraphrase.
    pub temperature: f64,
    /// At most so many tokens of a reply; a reply cut off there is refused.
    pub max_tokens: u32,
    /// Requests on their way at a time, at least 1.
    pub concurrent: usize,
}

impl Default for ChatParaphraseConfig {
    fn default() -> Self {
        Self {
            instruction:
                "Say the text below in other words. Keep what it says step by step and in \
                          the same order, and keep its length, its numbers and its names. Add \
                          nothing, conclude nothing, and reply with the new text alone."
                    .to_owned(),
            temperature: 0.0,
            max_tokens: 2048,
            concurrent: 8,
        }
    }
}

/// Asks a chat model to put chains in other words, each in a conversation of its own.
///
/// Chains that are the same are asked for once. A seed is sent along where it fits (63 bits), for
/// endpoints that take one.
#[derive(Debug)]
pub struct ChatParaphrase<M> {
    model: Blocking<M>,
    config: ChatParaphraseConfig,
    concurrent: NonZeroUsize,
}

impl<M: ChatModel> ChatParaphrase<M> {
    /// Wraps a model, such as a `Box<dyn ChatModel>`.
    ///
    /// # Errors
    /// [`Error::Setting`]; [`Error::Scorer`] if the system gives no thread for conversations.
    pub fn new(model: M, config: ChatParaphraseConfig) -> Result<Self, Error> {
        let temperature = config.temperature;
        let ok = temperature.is_finite() && temperature >= 0.0;
        check("temperature", ok, "a finite number, at least 0", temperature)?;
        check("max_tokens", config.max_tokens > 0, "at least 1", config.max_tokens)?;
        check("instruction", !config.instruction.trim().is_empty(), "a text", "an empty one")?;
        let Some(concurrent) = NonZeroUsize::new(config.concurrent) else {
            return Err(Error::Setting {
                name: "concurrent",
                expected: "at least 1".to_owned(),
                found: "0".to_owned(),
            });
        };
        let name = model.model().to_owned();
        let model = Blocking::new(model)
            .map_err(|error| Error::Scorer { scorer: name, reason: error.to_string() })?;
        Ok(Self { model, config, concurrent })
    }

    /// The model within.
    pub fn model(&self) -> &M {
        self.model.inner()
    }

    fn request(&self, chain: &str, seed: Seed) -> Request {
        let ChatParaphraseConfig { instruction, temperature, max_tokens, .. } = &self.config;
        Request {
            sampling: Sampling {
                temperature: Some(*temperature),
                max_tokens: Some(*max_tokens),
                seed: Some(seed.value() >> 1),
                ..Sampling::default()
            },
            ..Request::from_user(format!("{instruction}\n\n<text>\n{chain}\n</text>"))
        }
    }
}

impl<M: ChatModel> Paraphrase for ChatParaphrase<M> {
    fn name(&self) -> &str {
        self.model.inner().model()
    }

    fn paraphrase(&self, chains: &[&str], seed: Seed) -> Vec<Edited> {
        let mut different: Vec<&str> = chains.to_vec();
        different.sort_unstable();
        different.dedup();
        different.retain(|chain| !chain.trim().is_empty());
        let seed = seed.derive("chat", 0);
        let requests: Vec<Request> = different.iter().map(|c| self.request(c, seed)).collect();
        let failed = |reason: String| Err(Failure::Model { reason });
        let mut replies = vec![failed("it did not reply".to_owned()); requests.len()];
        let asked = self.model.answer_all(&requests, self.concurrent, |i, outcome| {
            replies[i] =
                outcome.map_err(|e| Failure::Model { reason: e.to_string() }).and_then(read);
            ControlFlow::Continue(())
        });
        if let Err(error) = asked {
            return vec![failed(error.to_string()); chains.len()];
        }
        let reply = |chain: &&str| match different.binary_search(chain) {
            Ok(at) => replies[at].clone(),
            Err(_) => Err(Failure::Unchanged),
        };
        chains.iter().map(reply).collect()
    }
}

/// The text of a reply, without what the model thought and without the tags around ours.
fn read(response: Response) -> Edited {
    if let Some(refusal) = response.refusal.filter(|refusal| !refusal.is_empty()) {
        return Err(Failure::Model { reason: format!("it refuses: {refusal}") });
    }
    match response.stop {
        StopReason::Length => return Err(Failure::CutOff),
        StopReason::ContentFilter | StopReason::ToolCalls => {
            return Err(Failure::Model { reason: "it ended without a text".to_owned() });
        }
        _ => {}
    }
    let text = response.text.rsplit_once("</think>").map_or(&*response.text, |(_, rest)| rest);
    if text.contains("<think>") {
        return Err(Failure::CutOff);
    }
    let text = text.trim();
    let text = text.strip_prefix("<text>").unwrap_or(text);
    let text = text.strip_suffix("</text>").unwrap_or(text).trim_matches('\n');
    if text.trim().is_empty() {
        return Err(Failure::EmptyReply);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use chat_model::Scripted;

    use super::*;
    use crate::{
        Transcript,
        interventions::{ChainEdit as _, Paraphrased},
    };

    fn asked_by(
        reply: impl Fn(&str) -> Result<Response, chat_model::Error> + Send + Sync + 'static,
    ) -> ChatParaphrase<Box<dyn ChatModel>> {
        let model: Box<dyn ChatModel> = Box::new(Scripted::function("m", move |request, _| {
            let text = request.messages[0].text();
            let (_, rest) = text.split_once("<text>\n").unwrap();
            reply(rest.strip_suffix("\n</text>").unwrap())
        }));
        ChatParaphrase::new(model, ChatParaphraseConfig::default()).unwrap()
    }

    fn say(text: impl Into<String>) -> Result<Response, chat_model::Error> {
        Ok(Response::from_text("m", text))
    }

    #[test]
    fn every_chain_has_its_own() {
        let model = asked_by(|chain| say(format!("<text>\nnamely {chain}\n</text>")));
        let chains: Vec<String> = (0..40).map(|i| format!("chain {}", i % 30)).collect();
        let chains: Vec<&str> = chains.iter().map(String::as_str).collect();
        let replies = model.paraphrase(&chains, Seed::new(1));
        for (chain, reply) in chains.iter().zip(replies) {
            assert_eq!(reply.unwrap(), format!("namely {chain}"));
        }
    }

    #[test]
    fn question_and_answer_are_never_sent() {
        let seen = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let log = seen.clone();
        let model = Scripted::function("m", move |request, _| {
            log.lock().unwrap().push_str(&serde_json::to_string(request).unwrap());
            Ok(Response::from_text("m", "words of its own"))
        });
        let transcript = Transcript {
            id: "identifier".into(),
            question: "interrogation".into(),
            chain: "deliberation".into(),
            answer: "conclusion".into(),
            reference: Some("solution".into()),
            tokenizer: None,
        };
        let edit = ChatParaphrase::new(model, ChatParaphraseConfig::default()).unwrap();
        assert!(Paraphrased(edit).edit(&[transcript], Seed::new(1))[0].is_ok());
        let seen = seen.lock().unwrap();
        assert!(seen.contains("deliberation"));
        for word in ["identifier", "interrogation", "conclusion", "solution"] {
            assert!(!seen.contains(word), "{word}");
        }
    }

    #[test]
    fn replies_that_cannot_be_used_are_told_apart() {
        let model = asked_by(|chain| match chain {
            "nothing" => say("<think>hm</think>\n"),
            "thinks" => say("<think>hm"),
            "long" => Ok(Response { stop: StopReason::Length, ..say("begins")? }),
            "refused" => Ok(Response { refusal: Some("no".into()), ..say("")? }),
            "filtered" => Ok(Response { stop: StopReason::ContentFilter, ..say("x")? }),
            "thought" => say("<think>a</think> said "),
            _ => Err(chat_model::Error::Model { model: "m".into(), reason: "down".into() }),
        });
        let chains =
            ["nothing", "thinks", "long", "refused", "filtered", "thought", "other", " \n"];
        let replies = model.paraphrase(&chains, Seed::new(1));
        let model = |reason: &str| Err(Failure::Model { reason: reason.into() });
        assert_eq!(
            replies,
            [
                Err(Failure::EmptyReply),
                Err(Failure::CutOff),
                Err(Failure::CutOff),
                model("it refuses: no"),
                model("it ended without a text"),
                Ok("said".into()),
                model("m: down"),
                Err(Failure::Unchanged),
            ]
        );
    }

    #[test]
    fn settings_are_checked() {
        let settings: [fn(&mut ChatParaphraseConfig); 4] = [
            |c| c.temperature = -1.0,
            |c| c.max_tokens = 0,
            |c| c.concurrent = 0,
            |c| c.instruction.clear(),
        ];
        for set in settings {
            let mut config = ChatParaphraseConfig::default();
            set(&mut config);
            let model = Scripted::texts("m", ["x"]);
            assert!(matches!(ChatParaphrase::new(model, config), Err(Error::Setting { .. })));
        }
    }
}
