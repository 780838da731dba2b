//! No answer takes forever.

use std::time::Duration;

use crate::{Answer, ChatModel, Error, Request, Response, Scope};

/// Gives up on an answer after some time.
#[derive(Debug, Clone)]
pub struct Timeout<M> {
    inner: M,
    limit: Duration,
    scope: Scope,
}

impl<M: ChatModel> Timeout<M> {
    /// Limits each answer of `inner`.
    ///
    /// `scope` says what is limited: one attempt, which [`Retry`](super::Retry) then repeats, or
    /// everything, after which nothing is tried.
    pub fn new(inner: M, limit: Duration, scope: Scope) -> Self {
        Self { inner, limit, scope }
    }
}

impl<M: ChatModel> ChatModel for Timeout<M> {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn endpoint(&self) -> &str {
        self.inner.endpoint()
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        let answer = self.inner.answer(request);
        Box::pin(within(self.limit, self.scope, self.inner.endpoint(), answer))
    }
}

/// The outcome of `answer`, or [`Error::Timeout`].
pub(crate) async fn within(
    limit: Duration,
    scope: Scope,
    endpoint: &str,
    answer: impl Future<Output = Result<Response, Error>>,
) -> Result<Response, Error> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        Err(Error::Timeout { endpoint: endpoint.to_owned(), scope, limit_s: limit.as_secs_f64() })
    })
}
