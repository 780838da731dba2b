//! A local model that answers conversations, as [`chat_model::ChatModel`] wants it.

mod plan;
mod worker;

use std::{sync::mpsc, thread};

use chat_model::{Answer, ChatModel, Error as ChatError, Request, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::{Error, Pretrained};
use worker::Worker;

/// How a local model answers where a request does not say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalChatConfig {
    /// Longest answer in tokens, at least 1; less where the context leaves less room.
    pub max_tokens: u32,
    /// What logits are divided by, at least 0; 0 takes the likeliest token.
    pub temperature: f64,
    /// Requests without a seed get one derived from this.
    pub seed: u64,
    /// Requests answered together, at least 1.
    pub batch: usize,
}

impl Default for LocalChatConfig {
    /// At most 512 tokens, drawn as the model predicts them; 16 requests at a time.
    fn default() -> Self {
        Self { max_tokens: 512, temperature: 1.0, seed: 0, batch: 16 }
    }
}

impl LocalChatConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<(), Error> {
        let bad = |name: &str, expected: &str, found: String| {
            Err(Error::Setting { name: name.into(), expected: expected.into(), found })
        };
        if self.max_tokens == 0 {
            return bad("max_tokens", "at least 1", "0".into());
        }
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return bad("temperature", "a number, not below 0", self.temperature.to_string());
        }
        if self.batch == 0 {
            return bad("batch", "at least 1", "0".into());
        }
        Ok(())
    }
}

/// A model with its tokenizer and chat template that answers conversations on a thread of its own.
///
/// Requests that wait together and ask for the same sampling and length are answered together. The
/// tokens of an answer depend on its own request and seed alone, up to rounding. A request without
/// a seed gets one derived from the configured seed, its content and how often it was asked before,
/// so that the order in which requests come changes nothing.
///
/// Of [`Sampling::extra`](chat_model::Sampling::extra) it knows `top_k`, `min_p`,
/// `repetition_penalty` and `chat_template_kwargs`, variables of the template such as
/// `enable_thinking`. It calls no tools; conversations that hold calls and results are rendered as
/// the template has them. Thoughts stay in the text, as the model wrote them.
///
/// Dropping an answer that is on its way ends its row at the next token.
///
/// # Examples
/// ```no_run
/// use causal_lm::{LoadOptions, Pretrained, local_chat::{LocalChat, LocalChatConfig}};
/// use chat_model::{Blocking, Request};
///
/// let model = Pretrained::load("SmolLM2-135M-Instruct".as_ref(), &LoadOptions::default())?;
/// let model = LocalChat::new("SmolLM2", model, LocalChatConfig::default())?;
/// let answer = Blocking::new(model)?.answer(&Request::from_user("What is 2 + 2?"))?;
/// println!("{}", answer.text);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LocalChat {
    name: String,
    /// None only while being dropped.
    jobs: Option<mpsc::Sender<Job>>,
    worker: Option<thread::JoinHandle<()>>,
}

/// A request and where its answer goes.
struct Job {
    request: Request,
    reply: oneshot::Sender<Result<Response, ChatError>>,
}

impl LocalChat {
    /// Starts the thread; `name` is what recordings and messages call the model.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of its range or a model without chat template;
    /// [`Error::Io`] if the system gives no thread.
    pub fn new(
        name: impl Into<String>,
        model: Pretrained,
        config: LocalChatConfig,
    ) -> Result<Self, Error> {
        config.validate()?;
        let name = name.into();
        let Some(template) = model.chat_template else {
            return Err(Error::Setting {
                name: format!("chat template of {name}"),
                expected: "one: without it there are no conversations".into(),
                found: "none".into(),
            });
        };
        let (jobs, queue) = mpsc::channel();
        let lm = model.lm.packed();
        let worker = Worker::new(name.clone(), lm, model.tokenizer, template, config);
        let worker = thread::Builder::new()
            .name("local-chat".into())
            .spawn(move || worker.run(&queue))
            .map_err(Error::io("start", "a thread for conversations".as_ref()))?;
        Ok(Self { name, jobs: Some(jobs), worker: Some(worker) })
    }

    fn ended(&self) -> ChatError {
        ChatError::Model { model: self.name.clone(), reason: "its thread has ended".into() }
    }
}

impl ChatModel for LocalChat {
    fn model(&self) -> &str {
        &self.name
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            request.validate()?;
            let (reply, answer) = oneshot::channel();
            let job = Job { request: request.clone(), reply };
            if self.jobs.as_ref().is_none_or(|jobs| jobs.send(job).is_err()) {
                return Err(self.ended());
            }
            answer.await.map_err(|_| self.ended())?
        })
    }
}

impl Drop for LocalChat {
    /// Waits for the token that is being computed, if any: whoever asked for it is gone.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(worker) = self.worker.take() {
            // A panic of the thread was said when it happened.
            let _ = worker.join();
        }
    }
}
