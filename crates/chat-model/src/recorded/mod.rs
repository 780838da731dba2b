//! Conversations that were held once and can be held again without a model.
//!
//! A recording is a file of JSON Lines, in UTF-8. Each line is one answer:
//!
//! ```text
//! {"version": 1, "model": "…", "digest": "…", "request": {…}, "outcome": {"response": {…}}}
//! {"version": 1, "model": "…", "digest": "…", "request": {…}, "outcome": {"error": {…}}}
//! ```
//!
//! - `digest` is [`Request::digest`](crate::Request::digest) for `model`; a reader computes it again
//!   and refuses a line where it differs. `request` may be absent, to save space, and is then not
//!   checked.
//! - Lines of the same digest are the occurrences of one request, in their order in the file.
//!   The order of lines of different digests means nothing. Recordings may be concatenated.
//! - A last line without an end was cut off when its writer died; it is left out with a warning.
//!   Anything else that is not such a line is an error that names the line.

mod recorder;
mod recording;
mod replay;

use serde::{Deserialize, Serialize};

pub use recorder::{Recorder, RecordingWriter, Requests};
pub use recording::Recording;
pub use replay::Replay;

use crate::{Digest, Error, Request, Response};

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    version: u32,
    model: String,
    digest: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<Request>,
    outcome: Outcome,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Response(Box<Response>),
    Error(Error),
}

impl From<Result<Response, Error>> for Outcome {
    fn from(result: Result<Response, Error>) -> Self {
        match result {
            Ok(response) => Self::Response(Box::new(response)),
            Err(error) => Self::Error(error),
        }
    }
}

impl From<Outcome> for Result<Response, Error> {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Response(response) => Ok(*response),
            Outcome::Error(error) => Err(error),
        }
    }
}
