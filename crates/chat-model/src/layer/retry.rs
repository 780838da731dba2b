//! Trying again, later and later.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Answer, ChatModel, Error, Request, Retryable, error::config};

/// When and how often to try again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// Attempts in all, the first included; at least 1.
    pub max_attempts: u32,
    /// Wait after the first failure, in seconds; at least 0.
    pub first_delay_s: f64,
    /// Each wait is so many times the one before; at least 1.
    pub factor: f64,
    /// No wait of ours is longer, in seconds.
    pub max_delay_s: f64,
    /// How much of a wait is left to chance, 0 to 1: a wait of d lasts d (1 − jitter) to d. Callers
    /// that failed together then do not come back together.
    pub jitter: f64,
    /// An endpoint that asks for a longer wait, in seconds, is given up.
    pub max_retry_after_s: f64,
}

impl Default for RetryConfig {
    /// Six attempts within half a minute: 0.5, 1, 2, 4 and 8 seconds apart, or half of that.
    /// Endpoints may ask for waits of up to two minutes, since limits are per minute.
    fn default() -> Self {
        Self {
            max_attempts: 6,
            first_delay_s: 0.5,
            factor: 2.0,
            max_delay_s: 60.0,
            jitter: 0.5,
            max_retry_after_s: 120.0,
        }
    }
}

/// The longest time in a configuration: a year.
pub(crate) const MAX_S: f64 = 366.0 * 86_400.0;

impl RetryConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<(), Error> {
        if self.max_attempts == 0 {
            return Err(config("retry.max_attempts", "at least 1", 0));
        }
        for (field, value) in [
            ("retry.first_delay_s", self.first_delay_s),
            ("retry.max_delay_s", self.max_delay_s),
            ("retry.max_retry_after_s", self.max_retry_after_s),
        ] {
            if !(0.0..=MAX_S).contains(&value) {
                return Err(config(field, "0 s to a year", value));
            }
        }
        if !(1.0..=1e6).contains(&self.factor) {
            return Err(config("retry.factor", "1 to 1e6", self.factor));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(config("retry.jitter", "0 to 1", self.jitter));
        }
        Ok(())
    }

    /// Wait after `failures` attempts, the last of which ended with `error`; none to give up.
    ///
    /// ```text
    /// d = min(max_delay, first_delay · factor^(failures − 1))
    /// wait = d (1 − jitter · u)                            u uniform in [0, 1)
    /// wait = retry_after + d jitter · u                    where the endpoint asks for a wait
    /// ```
    fn delay(&self, error: &Error, failures: u32, u: f64) -> Option<Duration> {
        if failures >= self.max_attempts {
            return None;
        }
        let power = self.factor.powf(f64::from(failures - 1));
        let d = (self.first_delay_s * power).min(self.max_delay_s);
        let wait_s = match error.retryable() {
            Retryable::No => return None,
            Retryable::Yes => d * (1.0 - self.jitter * u),
            Retryable::After(wait) if wait.as_secs_f64() > self.max_retry_after_s => return None,
            Retryable::After(wait) => wait.as_secs_f64() + d * self.jitter * u,
        };
        Some(Duration::from_secs_f64(wait_s))
    }
}

/// Tries again where [`Error::retryable`] says that it may help.
///
/// Waits are exponential with jitter, or what the endpoint asks for. What cannot be mended is
/// reported as it is; what was tried in vain as [`Error::GaveUp`].
#[derive(Debug, Clone)]
pub struct Retry<M> {
    inner: M,
    config: RetryConfig,
}

impl<M: ChatModel> Retry<M> {
    /// Repeats requests to `inner`.
    ///
    /// # Errors
    /// As [`RetryConfig::validate`].
    pub fn new(inner: M, config: RetryConfig) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self { inner, config })
    }
}

impl<M: ChatModel> ChatModel for Retry<M> {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn endpoint(&self) -> &str {
        self.inner.endpoint()
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            let mut failures = 0;
            loop {
                let error = match self.inner.answer(request).await {
                    Ok(response) => return Ok(response),
                    Err(error) => error,
                };
                failures += 1;
                let Some(wait) = self.config.delay(&error, failures, rand::random()) else {
                    let in_vain = error.retryable() != Retryable::No;
                    return Err(if in_vain {
                        Error::GaveUp { attempts: failures, last: Box::new(error) }
                    } else {
                        error
                    });
                };
                tracing::warn!(
                    attempt = failures,
                    wait_s = wait.as_secs_f64(),
                    %error,
                    "trying again"
                );
                tokio::time::sleep(wait).await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(retry_after_s: Option<f64>) -> Error {
        Error::Status {
            endpoint: "e".to_owned(),
            status: 503,
            code: None,
            message: String::new(),
            retry_after_s,
        }
    }

    #[test]
    fn waits_double_up_to_a_limit() {
        let config = RetryConfig { max_attempts: 9, max_delay_s: 3.0, ..RetryConfig::default() };
        let waits = |u| -> Vec<f64> {
            (1..9).map(|n| config.delay(&status(None), n, u).unwrap().as_secs_f64()).collect()
        };
        assert_eq!(waits(0.0), [0.5, 1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0]);
        assert_eq!(waits(1.0), [0.25, 0.5, 1.0, 1.5, 1.5, 1.5, 1.5, 1.5]);
        assert_eq!(config.delay(&status(None), 9, 0.0), None);
    }

    #[test]
    fn endpoints_may_ask_for_a_wait_but_not_for_any() {
        let config = RetryConfig::default();
        let wait = |s, u| config.delay(&status(Some(s)), 2, u).map(|d| d.as_secs_f64());
        assert_eq!(wait(7.0, 0.0), Some(7.0));
        assert_eq!(wait(7.0, 1.0), Some(7.5));
        assert_eq!(wait(120.5, 0.0), None);
    }

    #[test]
    fn ranges_are_checked() {
        let fine = RetryConfig::default;
        assert_eq!(fine().validate(), Ok(()));
        for bad in [
            RetryConfig { max_attempts: 0, ..fine() },
            RetryConfig { first_delay_s: -1.0, ..fine() },
            RetryConfig { factor: 0.5, ..fine() },
            RetryConfig { max_delay_s: f64::NAN, ..fine() },
            RetryConfig { jitter: 1.5, ..fine() },
            RetryConfig { max_retry_after_s: f64::INFINITY, ..fine() },
        ] {
            assert!(matches!(bad.validate(), Err(Error::Config { .. })), "{bad:?}");
        }
    }
}
