//! A model that says what it was told to say.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{Answer, ChatModel, Error, Request, Response};

type Reply = dyn Fn(&Request, usize) -> Result<Response, Error> + Send + Sync;

/// Answers from a list or by a function.
///
/// # Examples
/// ```
/// use chat_model::{Blocking, Request, Response, Scripted};
///
/// let judge = Blocking::new(Scripted::texts("judge", ["A", "B"]))?;
/// assert_eq!(judge.answer(&Request::from_user("Which is better?"))?.text, "A");
///
/// let echo = Blocking::new(Scripted::function("echo", |request, _| {
///     Ok(Response::from_text("echo", request.messages[0].text()))
/// }))?;
/// assert_eq!(echo.answer(&Request::from_user("Hello"))?.text, "Hello");
/// # Ok::<(), chat_model::Error>(())
/// ```
pub struct Scripted {
    name: String,
    asked: AtomicUsize,
    reply: Box<Reply>,
}

impl Scripted {
    /// Answers each request by a function of it and of how many were asked before.
    pub fn function(
        name: impl Into<String>,
        reply: impl Fn(&Request, usize) -> Result<Response, Error> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), asked: AtomicUsize::new(0), reply: Box::new(reply) }
    }

    /// Gives these outcomes in turn, then [`Error::ScriptEnded`].
    pub fn sequence(
        name: impl Into<String>,
        outcomes: impl IntoIterator<Item = Result<Response, Error>>,
    ) -> Self {
        let name = name.into();
        let outcomes: Vec<_> = outcomes.into_iter().collect();
        let model = name.clone();
        Self::function(name, move |_, asked| {
            outcomes.get(asked).cloned().unwrap_or_else(|| {
                Err(Error::ScriptEnded { model: model.clone(), replies: outcomes.len() })
            })
        })
    }

    /// Says these texts in turn, then [`Error::ScriptEnded`].
    pub fn texts<T: Into<String>>(
        name: impl Into<String>,
        texts: impl IntoIterator<Item = T>,
    ) -> Self {
        let name = name.into();
        let responses: Vec<_> =
            texts.into_iter().map(|text| Ok(Response::from_text(name.clone(), text))).collect();
        Self::sequence(name, responses)
    }

    /// How many requests were asked so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl ChatModel for Scripted {
    fn model(&self) -> &str {
        &self.name
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            request.validate()?;
            (self.reply)(request, self.asked.fetch_add(1, Ordering::Relaxed))
        })
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted")
            .field("name", &self.name)
            .field("asked", &self.asked())
            .finish_non_exhaustive()
    }
}
