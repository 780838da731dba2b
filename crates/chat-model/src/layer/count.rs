//! What was spent.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};

use crate::{Answer, ChatModel, Error, Request, Response};

/// Sums over many answers, shared by any number of models.
#[derive(Debug, Default)]
pub struct UsageCounter {
    answers: AtomicU64,
    failures: AtomicU64,
    unreported: AtomicU64,
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    reasoning_tokens: AtomicU64,
    cached_tokens: AtomicU64,
}

/// What a [`UsageCounter`] holds at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Requests that were answered.
    pub answers: u64,
    /// Requests that failed; what they took is not known.
    pub failures: u64,
    /// Answers without usage: the tokens below lack theirs.
    pub unreported: u64,
    /// Tokens of requests.
    pub prompt_tokens: u64,
    /// Tokens of answers, thoughts included.
    pub completion_tokens: u64,
    /// Of the answers', those of thoughts.
    pub reasoning_tokens: u64,
    /// Of the requests', those that endpoints had ready.
    pub cached_tokens: u64,
}

impl UsageCounter {
    /// The sums so far. Taken while answers arrive, they may be of slightly different moments.
    pub fn totals(&self) -> Totals {
        let load = |sum: &AtomicU64| sum.load(Ordering::Relaxed);
        Totals {
            answers: load(&self.answers),
            failures: load(&self.failures),
            unreported: load(&self.unreported),
            prompt_tokens: load(&self.prompt_tokens),
            completion_tokens: load(&self.completion_tokens),
            reasoning_tokens: load(&self.reasoning_tokens),
            cached_tokens: load(&self.cached_tokens),
        }
    }

    fn add(&self, outcome: &Result<Response, Error>) {
        let add = |sum: &AtomicU64, n: u64| {
            sum.fetch_add(n, Ordering::Relaxed);
        };
        let Ok(response) = outcome else { return add(&self.failures, 1) };
        add(&self.answers, 1);
        let Some(usage) = response.usage else { return add(&self.unreported, 1) };
        add(&self.prompt_tokens, usage.prompt_tokens);
        add(&self.completion_tokens, usage.completion_tokens);
        add(&self.reasoning_tokens, usage.reasoning_tokens.unwrap_or(0));
        add(&self.cached_tokens, usage.cached_tokens.unwrap_or(0));
    }
}

/// Counts the tokens of every answer. Answers that are cancelled are not counted.
#[derive(Debug, Clone)]
pub struct Counted<M> {
    inner: M,
    counter: Arc<UsageCounter>,
}

impl<M: ChatModel> Counted<M> {
    /// Adds the usage of `inner` to a counter.
    pub fn new(inner: M, counter: Arc<UsageCounter>) -> Self {
        Self { inner, counter }
    }
}

impl<M: ChatModel> ChatModel for Counted<M> {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn endpoint(&self) -> &str {
        self.inner.endpoint()
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            let outcome = self.inner.answer(request).await;
            self.counter.add(&outcome);
            outcome
        })
    }
}
