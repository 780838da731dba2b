//! An endpoint with all layers around it, from one configuration.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    ChatModel, Error, OpenAi, OpenAiConfig, Scope, UsageCounter,
    error::config as wrong,
    layer::{CacheConfig, Cached, Counted, RateConfig, RateLimited, Retry, RetryConfig, Timeout},
};

/// An endpoint, and how carefully to treat it.
///
/// # Examples
/// ```
/// use chat_model::StackConfig;
///
/// let config: StackConfig = toml::from_str(r#"
///     total_timeout_s = 1800.0
///     [endpoint]
///     base_url = "http://127.0.0.1:8080/v1"
///     model = "judge"
///     [rate]
///     max_concurrent = 8
///     requests_per_minute = 300.0
///     [cache]
///     folder = "judge-cache"
/// "#).unwrap();
/// config.validate()?;
/// # Ok::<(), chat_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct StackConfig {
    /// Where the model is; its `timeout_s` limits one attempt.
    pub endpoint: OpenAiConfig,
    /// When to try again.
    pub retry: RetryConfig,
    /// How much to ask at a time.
    pub rate: RateConfig,
    /// Time for one answer with all attempts, waits and queueing, in seconds; above 0, at most a
    /// year.
    pub total_timeout_s: f64,
    /// Where to keep answers, if they are kept.
    pub cache: Option<CacheConfig>,
}

impl Default for StackConfig {
    /// An hour for an answer, and no cache.
    fn default() -> Self {
        Self {
            endpoint: OpenAiConfig::default(),
            retry: RetryConfig::default(),
            rate: RateConfig::default(),
            total_timeout_s: 3600.0,
            cache: None,
        }
    }
}

impl StackConfig {
    /// Checks all ranges.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<(), Error> {
        self.endpoint.validate()?;
        self.retry.validate()?;
        self.rate.validate()?;
        if !(self.total_timeout_s > 0.0 && self.total_timeout_s <= 366.0 * 86_400.0) {
            return Err(wrong(
                "total_timeout_s",
                "above 0 s, at most a year",
                self.total_timeout_s,
            ));
        }
        self.cache.as_ref().map_or(Ok(()), CacheConfig::validate)
    }

    /// Prepares the endpoint and puts the layers around it, in the order of [`layer`](crate::layer).
    ///
    /// The counter gets what is really spent, every attempt counted.
    ///
    /// # Errors
    /// As [`OpenAi::new`] and [`Cached::open`].
    pub fn connect(&self, counter: Arc<UsageCounter>) -> Result<Arc<dyn ChatModel>, Error> {
        self.validate()?;
        let counted = Counted::new(OpenAi::new(self.endpoint.clone())?, counter);
        let retried =
            Retry::new(RateLimited::new(counted, self.rate.clone())?, self.retry.clone())?;
        let limit = Duration::from_secs_f64(self.total_timeout_s);
        let limited = Timeout::new(retried, limit, Scope::Total);
        Ok(match &self.cache {
            Some(cache) => Arc::new(Cached::open(limited, cache)?),
            None => Arc::new(limited),
        })
    }
}
