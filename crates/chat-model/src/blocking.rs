//! Models for callers that are not asynchronous.

use std::{num::NonZeroUsize, ops::ControlFlow};

use futures_util::{StreamExt as _, stream};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::{ChatModel, Error, Request, Response};

/// A model that is called and waited for.
///
/// It brings the asynchronous runtime that the model needs: one thread, whatever the number of
/// requests on their way.
#[derive(Debug)]
pub struct Blocking<M> {
    model: M,
    /// None only while being dropped.
    runtime: Option<Runtime>,
}

impl<M: ChatModel> Blocking<M> {
    /// Wraps a model.
    ///
    /// # Errors
    /// [`Error::Io`] if the system gives no thread.
    pub fn new(model: M) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("chat-model")
            .enable_all()
            .build()
            .map_err(|error| Error::Io {
                action: "start".to_owned(),
                path: "a thread for conversations".to_owned(),
                reason: error.to_string(),
            })?;
        Ok(Self { model, runtime: Some(runtime) })
    }

    /// The model within.
    pub fn inner(&self) -> &M {
        &self.model
    }

    /// Answers one conversation.
    ///
    /// # Errors
    /// What the model reports; [`Error::Blocking`] when called from asynchronous code.
    pub fn answer(&self, request: &Request) -> Result<Response, Error> {
        self.block_on(self.model.answer(request))?
    }

    /// Answers many conversations, at most `concurrent` at a time, and hands each outcome to `each`
    /// with the request's index as soon as it is there, in whatever order they come.
    ///
    /// When `each` breaks, requests on their way are cancelled and no more are sent.
    ///
    /// # Errors
    /// [`Error::Blocking`] when called from asynchronous code. What the model reports is an outcome.
    ///
    /// # Examples
    /// ```
    /// use std::{num::NonZeroUsize, ops::ControlFlow};
    ///
    /// use chat_model::{Blocking, Request, Response, Scripted};
    ///
    /// let model = Blocking::new(Scripted::function("m", |request, _| {
    ///     Ok(Response::from_text("m", request.messages[0].text().to_uppercase()))
    /// }))?;
    /// let requests = ["a", "b", "c"].map(Request::from_user);
    /// let mut said = [const { String::new() }; 3];
    /// model.answer_all(&requests, NonZeroUsize::MIN, |i, outcome| {
    ///     said[i] = outcome.map_or_else(|error| error.to_string(), |response| response.text);
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(said, ["A", "B", "C"]);
    /// # Ok::<(), chat_model::Error>(())
    /// ```
    pub fn answer_all(
        &self,
        requests: &[Request],
        concurrent: NonZeroUsize,
        mut each: impl FnMut(usize, Result<Response, Error>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let one = |(i, request)| async move { (i, self.model.answer(request).await) };
        self.block_on(async {
            let mut outcomes = stream::iter(requests.iter().enumerate().map(one))
                .buffer_unordered(concurrent.get());
            while let Some((i, outcome)) = outcomes.next().await {
                if each(i, outcome).is_break() {
                    break;
                }
            }
        })
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        match &self.runtime {
            Some(runtime) if Handle::try_current().is_err() => Ok(runtime.block_on(future)),
            _ => Err(Error::Blocking),
        }
    }
}

impl<M> Drop for Blocking<M> {
    /// Waits for nothing, so that it may happen anywhere.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scripted;

    #[test]
    fn breaking_sends_no_more() {
        let model = Blocking::new(Scripted::texts("m", ["x"; 10])).unwrap();
        let requests = vec![Request::from_user("u"); 10];
        let mut seen = 0;
        model
            .answer_all(&requests, NonZeroUsize::MIN, |_, _| {
                seen += 1;
                if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        assert_eq!((seen, model.inner().asked()), (3, 3));
    }

    #[tokio::test]
    async fn asynchronous_callers_are_told() {
        let model = Blocking::new(Scripted::texts("m", ["x"])).unwrap();
        assert_eq!(model.answer(&Request::from_user("u")), Err(Error::Blocking));
        drop(model);
    }
}
