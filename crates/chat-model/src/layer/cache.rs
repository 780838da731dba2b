//! Answers that were given before.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use super::store::{Found, Store};
use crate::{
    Answer, ChatModel, Error, Request,
    error::{config, io},
};

/// Where answers are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// The folder; several processes may share it.
    pub folder: PathBuf,
    /// At most so many bytes of answers are kept; those longest unused go first.
    pub max_bytes: u64,
}

impl Default for CacheConfig {
    /// 1 GiB in `chat-cache` of the current folder: some hundred thousand answers.
    fn default() -> Self {
        Self { folder: PathBuf::from("chat-cache"), max_bytes: 1 << 30 }
    }
}

impl CacheConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<(), Error> {
        if self.folder.as_os_str().is_empty() {
            return Err(config("cache.folder", "a path", "none"));
        }
        Ok(())
    }
}

/// What a cache has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CacheStats {
    /// Answers from the folder.
    pub hits: u64,
    /// Answers that had to be asked for.
    pub misses: u64,
    /// Of the misses, those whose entry could not be used.
    pub corrupt: u64,
    /// Answers that could not be kept.
    pub unwritten: u64,
}

/// Asks once, and answers the same request from a folder ever after.
///
/// Requests are the same if [`Request::digest`] is, for one model name: two endpoints that serve
/// different models under one name need different folders. Note the lane: without it, all samples
/// of one request are the first one. Failures are not kept. An entry that cannot be read is a
/// warning and asked for again; one that cannot be written is a warning.
#[derive(Debug)]
pub struct Cached<M> {
    inner: M,
    store: Arc<Store>,
    hits: AtomicU64,
    misses: AtomicU64,
    corrupt: AtomicU64,
    unwritten: AtomicU64,
}

impl<M: ChatModel> Cached<M> {
    /// Keeps the answers of `inner`.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be made or listed.
    pub fn open(inner: M, config: &CacheConfig) -> Result<Self, Error> {
        config.validate()?;
        let store = Store::open(&config.folder, config.max_bytes)
            .map_err(io("open the cache", &config.folder))?;
        let zero = || AtomicU64::new(0);
        Ok(Self {
            inner,
            store: Arc::new(store),
            hits: zero(),
            misses: zero(),
            corrupt: zero(),
            unwritten: zero(),
        })
    }

    /// What was found and what was not.
    pub fn stats(&self) -> CacheStats {
        let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
        CacheStats {
            hits: load(&self.hits),
            misses: load(&self.misses),
            corrupt: load(&self.corrupt),
            unwritten: load(&self.unwritten),
        }
    }
}

impl<M: ChatModel> ChatModel for Cached<M> {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn endpoint(&self) -> &str {
        self.inner.endpoint()
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            let add = |n: &AtomicU64| {
                n.fetch_add(1, Ordering::Relaxed);
            };
            let digest = request.digest(self.inner.model());
            match off_thread(&self.store, move |store| store.read(digest)).await {
                Some(Found::Answer(response)) => {
                    add(&self.hits);
                    return Ok(*response);
                }
                Some(Found::Corrupt(why)) => {
                    add(&self.corrupt);
                    tracing::warn!(why, "asking again for what the cache does not give back");
                }
                Some(Found::Nothing) | None => {}
            }
            add(&self.misses);
            let response = self.inner.answer(request).await?;
            let kept = response.clone();
            match off_thread(&self.store, move |store| store.write(digest, &kept)).await {
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    add(&self.unwritten);
                    tracing::warn!(%error, "an answer could not be cached");
                }
                None => add(&self.unwritten),
            }
            Ok(response)
        })
    }
}

/// Works with files where waiting for them blocks nobody. None if the runtime is shutting down.
async fn off_thread<T: Send + 'static>(
    store: &Arc<Store>,
    work: impl FnOnce(&Store) -> T + Send + 'static,
) -> Option<T> {
    let store = Arc::clone(store);
    tokio::task::spawn_blocking(move || work(&store)).await.ok()
}
