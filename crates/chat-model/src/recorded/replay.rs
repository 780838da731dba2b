//! Answering from a recording.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::Recording;
use crate::{Answer, ChatModel, Digest, Error, NotRecorded, Request, digest::of_messages};

/// A model that answers as a recorded one did.
///
/// The n-th time that a request is asked it gets its n-th recorded outcome, failures included. A
/// request that was not recorded, or not so often, is [`Error::NotRecorded`].
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use chat_model::{Blocking, Recorder, RecordingWriter, Replay, Request, Requests, Scripted};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("talk.jsonl");
/// let writer = Arc::new(RecordingWriter::open(&path, Requests::Whole)?);
/// let live = Blocking::new(Recorder::new(Scripted::texts("m", ["one", "two"]), writer))?;
/// let request = Request::from_user("Count");
/// live.answer(&request)?;
/// live.answer(&request)?;
///
/// let replay = Blocking::new(Replay::open(&path, "m")?)?;
/// assert_eq!(replay.answer(&request)?.text, "one");
/// assert_eq!(replay.answer(&request)?.text, "two");
/// assert!(replay.answer(&request).is_err());
/// # Ok::<(), chat_model::Error>(())
/// ```
#[derive(Debug)]
pub struct Replay {
    recording: Arc<Recording>,
    model: String,
    asked: Mutex<HashMap<Digest, usize>>,
}

impl Replay {
    /// Reads a recording and stands for one of the models in it.
    ///
    /// # Errors
    /// As [`Recording::read`] and [`Replay::new`].
    pub fn open(path: &Path, model: &str) -> Result<Self, Error> {
        Self::new(Arc::new(Recording::read(path)?), model)
    }

    /// Stands for one of the models in a recording, from its beginning.
    ///
    /// # Errors
    /// [`Error::Recording`] if the model is not in it.
    pub fn new(recording: Arc<Recording>, model: &str) -> Result<Self, Error> {
        if !recording.models().any(|m| m == model) {
            let there: Vec<&str> = recording.models().collect();
            return Err(Error::Recording {
                recording: recording.path().to_owned(),
                line: None,
                expected: format!("answers of {model}"),
                found: if there.is_empty() {
                    "none at all".to_owned()
                } else {
                    format!("those of {}", there.join(", "))
                },
            });
        }
        Ok(Self { recording, model: model.to_owned(), asked: Mutex::default() })
    }

    fn missing(&self, request: &Request, digest: Digest, asked: usize) -> Error {
        let recorded = self.recording.outcomes(digest).len();
        let hint = if recorded > 0 {
            "is it asked more often than before, or by several agents in one lane?"
        } else if self.recording.has_conversation(of_messages(&request.messages)) {
            "the same conversation is there with other tools, sampling, lane or model"
        } else {
            "no such conversation is there: have prompts, tools' results or seeds changed?"
        };
        Error::NotRecorded(Box::new(NotRecorded {
            recording: self.recording.path().to_owned(),
            model: self.model.clone(),
            lane: request.lane.clone(),
            digest: digest.to_string(),
            asked,
            recorded,
            hint: hint.to_owned(),
        }))
    }
}

impl ChatModel for Replay {
    fn model(&self) -> &str {
        &self.model
    }

    fn endpoint(&self) -> &str {
        self.recording.path()
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            request.validate()?;
            let digest = request.digest(&self.model);
            let nth = {
                let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                let asked = asked.entry(digest).or_insert(0);
                *asked += 1;
                *asked
            };
            match self.recording.outcomes(digest).get(nth - 1) {
                Some(outcome) => outcome.clone().into(),
                None => Err(self.missing(request, digest, nth)),
            }
        })
    }
}
