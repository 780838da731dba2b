//! The trait that everything here implements or wraps.

use std::{pin::Pin, sync::Arc};

use crate::{Error, Request, Response};

/// An answer on its way. Dropping it cancels the request and leaves nothing behind.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send + 'a>>;

/// Something that answers a conversation with text or tool calls.
///
/// An implementation checks the request once with [`Request::validate`]; layers pass it on as it
/// is. A local model, whose work would block the executor, does it on a thread of its own and
/// awaits the result.
///
/// # Examples
/// ```
/// use chat_model::{Answer, ChatModel, Error, Request, Response};
///
/// /// Answers with the number of words it was told last.
/// struct Counts;
///
/// impl ChatModel for Counts {
///     fn model(&self) -> &str {
///         "counts"
///     }
///
///     fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
///         Box::pin(async move {
///             request.validate()?;
///             let last = request.messages.last().map_or("", |m| m.text());
///             Ok(Response::from_text("counts", last.split_whitespace().count().to_string()))
///         })
///     }
/// }
///
/// let model = chat_model::Blocking::new(Counts)?;
/// assert_eq!(model.answer(&Request::from_user("how many words"))?.text, "3");
/// # Ok::<(), Error>(())
/// ```
pub trait ChatModel: Send + Sync {
    /// Name of the model as it is asked for. Recordings and caches keep answers apart by it.
    fn model(&self) -> &str;

    /// Where the model is, for messages; without secrets.
    fn endpoint(&self) -> &str {
        self.model()
    }

    /// Answers the conversation.
    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a>;
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<M: ChatModel + ?Sized> ChatModel for $pointer {
            fn model(&self) -> &str {
                (**self).model()
            }

            fn endpoint(&self) -> &str {
                (**self).endpoint()
            }

            fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
                (**self).answer(request)
            }
        }
    )*};
}

forward!(&M, Box<M>, Arc<M>);
