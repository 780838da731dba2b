//! What can go wrong, each as one sentence, and whether trying again may help.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which of two time-outs passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One attempt; another may be quicker.
    Attempt,
    /// All attempts with the waits between them; nothing follows.
    Total,
}

/// Errors of this crate.
///
/// They are plain data, so that a recording can hold them and replay them. No message contains a
/// key: what an endpoint says is shown with the key and secret headers blanked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Error {
    /// A setting out of its range.
    #[error("{field}: expected {expected}, found {found}")]
    Config {
        /// The setting.
        field: String,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A request that no model could answer.
    #[error("request: {field}: expected {expected}, found {found}")]
    Request {
        /// Place in the request.
        field: String,
        /// What would be right there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The environment variable that should hold a key or a header does not.
    #[error("environment variable {variable}: expected {expected}, found {found}")]
    Environment {
        /// Its name.
        variable: String,
        /// What it should hold.
        expected: String,
        /// What is wrong, without its value.
        found: String,
    },
    /// No connection could be made.
    #[error("{endpoint}: cannot connect: {reason}; is a server running there?")]
    Connect {
        /// Where.
        endpoint: String,
        /// The system's answer.
        reason: String,
    },
    /// The connection was lost before an answer began.
    #[error("{endpoint}: the connection was lost before an answer came: {reason}")]
    Dropped {
        /// Where.
        endpoint: String,
        /// What was seen.
        reason: String,
    },
    /// The endpoint refused.
    #[error("{endpoint}: expected status 200, found {status}{}: {message}", in_brackets(code.as_deref()))]
    Status {
        /// Where.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// The endpoint's own code or type of error, if it names one.
        code: Option<String>,
        /// What the endpoint says about it.
        message: String,
        /// Seconds after which it asks to be tried again.
        retry_after_s: Option<f64>,
    },
    /// The body ended early.
    #[error("{endpoint}: the body was cut off after {received_bytes} bytes: {reason}")]
    CutOff {
        /// Where.
        endpoint: String,
        /// How much of it came.
        received_bytes: u64,
        /// What was seen.
        reason: String,
    },
    /// The body is larger than is read.
    #[error("{endpoint}: expected a body of at most {limit_bytes} bytes, found a longer one")]
    TooLarge {
        /// Where.
        endpoint: String,
        /// `max_body_bytes`.
        limit_bytes: u64,
    },
    /// The answer is not JSON by its own account.
    #[error(
        "{endpoint}: expected content type application/json, found {found} ({body}); \
         is the base URL right? it often ends in /v1"
    )]
    ContentType {
        /// Where.
        endpoint: String,
        /// What the header says.
        found: String,
        /// How the body begins.
        body: String,
    },
    /// The answer is not what the interface says.
    #[error("{endpoint}: {field}: expected {expected}, found {found}")]
    Malformed {
        /// Where.
        endpoint: String,
        /// Place in the answer.
        field: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// It took too long.
    #[error("{endpoint}: expected an answer within {limit_s} s{}, found none", of_scope(*scope))]
    Timeout {
        /// Where.
        endpoint: String,
        /// Of one attempt or of all.
        scope: Scope,
        /// The limit.
        limit_s: f64,
    },
    /// Every attempt failed, or the endpoint asks for a longer wait than is allowed.
    #[error("gave up after {attempts} attempts; the last: {last}")]
    GaveUp {
        /// How many were made.
        attempts: u32,
        /// What the last one said.
        last: Box<Error>,
    },
    /// A model that is no endpoint failed.
    #[error("{model}: {reason}")]
    Model {
        /// Its name.
        model: String,
        /// Why.
        reason: String,
    },
    /// A scripted model has nothing left to say.
    #[error("{model}: expected at most {replies} requests, as many as there are replies")]
    ScriptEnded {
        /// Its name.
        model: String,
        /// Length of the script.
        replies: usize,
    },
    /// A request that the recording does not hold, or not so often.
    #[error(transparent)]
    NotRecorded(Box<NotRecorded>),
    /// A recording that cannot be used.
    #[error("{recording}{}: expected {expected}, found {found}", at_line(*line))]
    Recording {
        /// The file.
        recording: String,
        /// Line, counted from 1, if one line is to blame.
        line: Option<u64>,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {path}: {reason}")]
    Io {
        /// What was tried.
        action: String,
        /// The file or folder.
        path: String,
        /// The system's answer.
        reason: String,
    },
    /// A synchronous call from asynchronous code, where it would block everything else.
    #[error(
        "expected a caller outside asynchronous code, found one in it; await the model instead"
    )]
    Blocking,
}

/// Whether trying again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retryable {
    /// It would fail again.
    No,
    /// After a wait of the caller's choice.
    Yes,
    /// Not before this time.
    After(Duration),
}

/// A request that a recording does not hold, or not so often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error(
    "{recording}: expected request {digest:.12} of lane {lane:?} to {model} at least {asked} times, \
     found it {recorded} times; {hint}"
)]
pub struct NotRecorded {
    /// The file.
    pub recording: String,
    /// The model that was asked.
    pub model: String,
    /// Lane of the request.
    pub lane: String,
    /// Digest of the request.
    pub digest: String,
    /// How often it was asked for, this time included.
    pub asked: usize,
    /// How often it was recorded.
    pub recorded: usize,
    /// What may be the matter.
    pub hint: String,
}

impl Error {
    /// Whether the same request may succeed when sent again.
    ///
    /// Yes for statuses 408, 429 and 5xx, one attempt's time-out, a connection refused or lost, a
    /// body cut off or malformed. No for everything else; also not for a 429 that says that a quota
    /// is used up, which waiting does not refill.
    pub fn retryable(&self) -> Retryable {
        match self {
            Self::Status { status, code, retry_after_s, .. } => {
                let exhausted = code.as_deref() == Some("insufficient_quota");
                if exhausted || !matches!(status, 408 | 429 | 500..=599) {
                    return Retryable::No;
                }
                retry_after_s
                    .and_then(|s| Duration::try_from_secs_f64(s).ok())
                    .map_or(Retryable::Yes, Retryable::After)
            }
            Self::Connect { .. }
            | Self::Dropped { .. }
            | Self::CutOff { .. }
            | Self::Malformed { .. }
            | Self::Timeout { scope: Scope::Attempt, .. } => Retryable::Yes,
            _ => Retryable::No,
        }
    }

    /// Whether the endpoint says that it is asked too much.
    pub fn is_rate_limit(&self) -> bool {
        matches!(self, Self::Status { status: 429, .. }) && self.retryable() != Retryable::No
    }

    /// Whether this is an answer of the model's, as opposed to a mistake on this side.
    pub(crate) fn is_outcome(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. }
                | Self::Dropped { .. }
                | Self::Status { .. }
                | Self::CutOff { .. }
                | Self::TooLarge { .. }
                | Self::ContentType { .. }
                | Self::Malformed { .. }
                | Self::Timeout { .. }
                | Self::GaveUp { .. }
                | Self::Model { .. }
        )
    }
}

/// An [`Error::Config`].
pub(crate) fn config(field: &str, expected: &str, found: impl std::fmt::Display) -> Error {
    Error::Config {
        field: field.to_owned(),
        expected: expected.to_owned(),
        found: found.to_string(),
    }
}

/// Turns an error of the system's into an [`Error::Io`].
pub(crate) fn io(action: &str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::Io {
        action: action.to_owned(),
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

fn in_brackets(code: Option<&str>) -> String {
    code.map(|c| format!(" ({c})")).unwrap_or_default()
}

fn at_line(line: Option<u64>) -> String {
    line.map(|l| format!(": line {l}")).unwrap_or_default()
}

fn of_scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Attempt => "",
        Scope::Total => " in all",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, code: Option<&str>, retry_after_s: Option<f64>) -> Error {
        Error::Status {
            endpoint: "http://host/v1".to_owned(),
            status,
            code: code.map(str::to_owned),
            message: "no".to_owned(),
            retry_after_s,
        }
    }

    #[test]
    fn statuses_are_told_apart() {
        for yes in [408, 429, 500, 502, 503, 529] {
            assert_eq!(status(yes, None, None).retryable(), Retryable::Yes, "{yes}");
        }
        for no in [301, 400, 401, 403, 404, 409, 413, 422, 600] {
            assert_eq!(status(no, None, Some(1.0)).retryable(), Retryable::No, "{no}");
        }
        let after = status(503, None, Some(1.5)).retryable();
        assert_eq!(after, Retryable::After(Duration::from_millis(1500)));
        assert_eq!(status(429, Some("insufficient_quota"), None).retryable(), Retryable::No);
        assert_eq!(status(429, None, Some(f64::INFINITY)).retryable(), Retryable::Yes);
    }

    #[test]
    fn only_an_attempts_timeout_is_tried_again() {
        let timeout = |scope| Error::Timeout { endpoint: "e".to_owned(), scope, limit_s: 1.0 };
        assert_eq!(timeout(Scope::Attempt).retryable(), Retryable::Yes);
        assert_eq!(timeout(Scope::Total).retryable(), Retryable::No);
        let last = Box::new(timeout(Scope::Attempt));
        assert_eq!(Error::GaveUp { attempts: 3, last }.retryable(), Retryable::No);
    }

    #[test]
    fn messages_say_what_and_where() {
        assert_eq!(
            status(429, Some("rate_limit"), None).to_string(),
            "http://host/v1: expected status 200, found 429 (rate_limit): no"
        );
        let error = Error::Recording {
            recording: "r.jsonl".to_owned(),
            line: Some(3),
            expected: "version 1".to_owned(),
            found: "2".to_owned(),
        };
        assert_eq!(error.to_string(), "r.jsonl: line 3: expected version 1, found 2");
    }

    #[test]
    fn errors_survive_a_recording() {
        let error = Error::GaveUp { attempts: 2, last: Box::new(status(500, None, Some(0.25))) };
        let text = serde_json::to_string(&error).unwrap();
        assert_eq!(serde_json::from_str::<Error>(&text).unwrap(), error);
    }
}
