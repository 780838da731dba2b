//! Models and answers that several themes use.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use chat_model::{Answer, ChatModel, Error, Request, Response, Scripted, Usage};

/// A refusal with this status.
pub(crate) fn status(status: u16, retry_after_s: Option<f64>) -> Error {
    Error::Status {
        endpoint: "http://host/v1".to_owned(),
        status,
        code: None,
        message: "no".to_owned(),
        retry_after_s,
    }
}

/// An answer that took so many tokens.
pub(crate) fn costing(prompt_tokens: u64, completion_tokens: u64) -> Response {
    let usage = Usage { prompt_tokens, completion_tokens, ..Usage::default() };
    Response { usage: Some(usage), ..Response::from_text("m", "yes") }
}

/// A request that differs from others in its text.
pub(crate) fn numbered(n: usize) -> Request {
    Request::from_user(format!("request {n}"))
}

/// Answers each request with its own text.
pub(crate) fn echo() -> Scripted {
    Scripted::function("m", |request, _| Ok(Response::from_text("m", request.messages[0].text())))
}

/// Takes its time, and knows how many requests are on their way.
pub(crate) struct Slow {
    pub(crate) takes: Duration,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Slow {
    pub(crate) fn new(takes: Duration) -> Self {
        Self { takes, now: AtomicUsize::new(0), most: AtomicUsize::new(0) }
    }

    /// Requests on their way.
    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    /// The most that ever were.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

/// Counts one down however the request ends.
struct OnItsWay<'a>(&'a Slow);

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl ChatModel for Slow {
    fn model(&self) -> &'static str {
        "slow"
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            let _guard = OnItsWay(self);
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(self.takes).await;
            Ok(Response::from_text("slow", request.messages[0].text()))
        })
    }
}
