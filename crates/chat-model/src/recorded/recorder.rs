//! Writing a recording.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Line, Outcome, Recording};
use crate::{Answer, ChatModel, Error, FORMAT_VERSION, Request, Response, error::io};

/// How much of a request is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Requests {
    /// All of it, for whoever reads the recording.
    #[default]
    Whole,
    /// Its digest alone. Replays as well; a long conversation is then not written once a turn.
    Digests,
}

/// A recording being written, by any number of recorders.
#[derive(Debug)]
pub struct RecordingWriter {
    path: PathBuf,
    requests: Requests,
    end: Mutex<End>,
}

#[derive(Debug)]
struct End {
    file: File,
    /// Bytes of whole lines; what is behind them is the start of a line that failed.
    whole_bytes: u64,
}

impl RecordingWriter {
    /// Opens a file to add to, made if it is absent.
    ///
    /// What is in it is checked; a line at its end that was cut off is removed.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Recording`] if it is something else, or being written by another
    /// process.
    pub fn open(path: &Path, requests: Requests) -> Result<Self, Error> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(io("write", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Recording {
                    recording: path.display().to_string(),
                    line: None,
                    expected: "one writer".to_owned(),
                    found: "another process that writes it".to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io("lock", path)(error)),
        }
        let whole_bytes = Recording::read(path)?.whole_bytes();
        file.set_len(whole_bytes).map_err(io("write", path))?;
        file.seek(SeekFrom::End(0)).map_err(io("write", path))?;
        let end = Mutex::new(End { file, whole_bytes });
        Ok(Self { path: path.to_owned(), requests, end })
    }

    fn push(&self, model: &str, request: &Request, outcome: Outcome) -> Result<(), Error> {
        let line = Line {
            version: FORMAT_VERSION,
            model: model.to_owned(),
            digest: request.digest(model),
            request: (self.requests == Requests::Whole).then(|| request.clone()),
            outcome,
        };
        let failed = |error: std::io::Error| io("write", &self.path)(error);
        let mut text = serde_json::to_vec(&line).map_err(|e| failed(e.into()))?;
        text.push(b'\n');
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = end.file.write_all(&text) {
            // The next line must not continue half of this one.
            let whole_bytes = end.whole_bytes;
            let _ = end.file.set_len(whole_bytes);
            let _ = end.file.seek(SeekFrom::Start(whole_bytes));
            return Err(failed(error));
        }
        end.whole_bytes += text.len() as u64;
        Ok(())
    }
}

/// Records every outcome of a model: answers, and failures of the model or its endpoint.
///
/// Requests that were never sent, because they are wrong or were cancelled, are not recorded.
/// An answer that cannot be recorded is an error, since the recording would be silently incomplete.
#[derive(Debug, Clone)]
pub struct Recorder<M> {
    inner: M,
    writer: Arc<RecordingWriter>,
}

impl<M: ChatModel> Recorder<M> {
    /// Records `inner`.
    pub fn new(inner: M, writer: Arc<RecordingWriter>) -> Self {
        Self { inner, writer }
    }
}

impl<M: ChatModel> ChatModel for Recorder<M> {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn endpoint(&self) -> &str {
        self.inner.endpoint()
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            let result: Result<Response, Error> = self.inner.answer(request).await;
            if result.as_ref().err().is_none_or(Error::is_outcome) {
                self.writer.push(self.inner.model(), request, result.clone().into())?;
            }
            result
        })
    }
}
