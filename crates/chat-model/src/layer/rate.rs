//! No more at a time than an endpoint takes.

use std::{
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, time::Instant};

use super::{bucket::Bucket, retry::MAX_S};
use crate::{Answer, ChatModel, Error, Message, Request, Response, Retryable, error::config};

/// How much is asked at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RateConfig {
    /// Requests on their way at a time; at least 1.
    pub max_concurrent: usize,
    /// Requests a minute, if limited; above 0.
    pub requests_per_minute: Option<f64>,
    /// Tokens a minute, requests and answers together, if limited; above 0.
    ///
    /// What a request will take is estimated when it is sent and corrected when its answer tells.
    pub tokens_per_minute: Option<f64>,
    /// So many seconds' worth of either limit may be used at once after a quiet time; above 0.
    pub burst_s: f64,
    /// Tokens assumed for the answer to a request that sets no `max_tokens`.
    pub assumed_answer_tokens: u32,
    /// An endpoint that asks for a wait is left alone for at most so long, in seconds.
    pub max_pause_s: f64,
    /// What a 429 makes of all three limits: this share of them; above 0, at most 1.
    pub slow_down: f64,
    /// What an answer gives back of what was lost: this share of the whole limits; 0 to 1.
    pub recover: f64,
    /// Share of the limits below which nothing slows them; above 0, at most 1.
    pub min_pace: f64,
}

impl Default for RateConfig {
    /// 32 at a time and no limit a minute; half of it after a 429, and back after fifty answers.
    fn default() -> Self {
        Self {
            max_concurrent: 32,
            requests_per_minute: None,
            tokens_per_minute: None,
            burst_s: 1.0,
            assumed_answer_tokens: 256,
            max_pause_s: 120.0,
            slow_down: 0.5,
            recover: 0.01,
            min_pace: 1.0 / 64.0,
        }
    }
}

impl RateConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<(), Error> {
        if self.max_concurrent == 0 {
            return Err(config("rate.max_concurrent", "at least 1", 0));
        }
        for (field, value) in [
            ("rate.requests_per_minute", self.requests_per_minute),
            ("rate.tokens_per_minute", self.tokens_per_minute),
        ] {
            // The lower end is one a week: a wait that can still be computed.
            if let Some(value) = value.filter(|v| !(1e-4..=1e15).contains(v)) {
                return Err(config(field, "1e-4 to 1e15, or none", value));
            }
        }
        if !(1e-3..=MAX_S).contains(&self.burst_s) {
            return Err(config("rate.burst_s", "0.001 s to a year", self.burst_s));
        }
        if !(0.0..=MAX_S).contains(&self.max_pause_s) {
            return Err(config("rate.max_pause_s", "0 s to a year", self.max_pause_s));
        }
        if !(0.0..=1.0).contains(&self.recover) {
            return Err(config("rate.recover", "0 to 1", self.recover));
        }
        for (field, value) in [("rate.slow_down", self.slow_down), ("rate.min_pace", self.min_pace)]
        {
            if !(1e-3..=1.0).contains(&value) {
                return Err(config(field, "0.001 to 1", value));
            }
        }
        Ok(())
    }
}

/// Keeps requests within limits, in the order in which they came.
///
/// Requests and tokens are drawn from two buckets that fill evenly and hold `burst_s` of their
/// limit. A bucket may go below empty for one request larger than it, and is then waited for. So in
/// any time t no more is sent than limit · (t + `burst_s`), and one request.
///
/// On a 429 the pace of all limits falls to `slow_down` of itself, once for all requests that were
/// on their way then, and rises again with every answer; if the endpoint asks for a wait, nobody
/// sends anything meanwhile, for `max_pause_s` at most.
#[derive(Debug)]
pub struct RateLimited<M> {
    inner: M,
    config: RateConfig,
    /// Held by the request that is next; the lock queues the others fairly.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Tells the request that is next to look again.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    on_their_way: usize,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    /// Share of the limits in force.
    pace: f64,
    slowed_at: Option<Instant>,
    closed_until: Option<Instant>,
}

/// Why a request may not be sent now.
enum Wait {
    Until(Instant),
    ForAPlace,
}

impl State {
    /// Takes a place and draws on the buckets, or says what to wait for.
    fn admit(&mut self, config: &RateConfig, tokens: f64, now: Instant) -> Result<(), Wait> {
        if let Some(until) = self.closed_until.filter(|t| *t > now) {
            return Err(Wait::Until(until));
        }
        let places = ((config.max_concurrent as f64 * self.pace) as usize).max(1);
        if self.on_their_way >= places {
            return Err(Wait::ForAPlace);
        }
        let pace = self.pace;
        let mut wait = Duration::ZERO;
        for (bucket, amount) in self.buckets(tokens) {
            bucket.fill(now, pace);
            wait = wait.max(bucket.wait(amount, pace));
        }
        if !wait.is_zero() {
            return Err(Wait::Until(now + wait));
        }
        for (bucket, amount) in self.buckets(tokens) {
            bucket.draw(amount);
        }
        self.on_their_way += 1;
        Ok(())
    }

    fn buckets(&mut self, tokens: f64) -> impl Iterator<Item = (&mut Bucket, f64)> {
        let requests = self.requests.as_mut().map(|b| (b, 1.0));
        requests.into_iter().chain(self.tokens.as_mut().map(|b| (b, tokens)))
    }
}

impl<M: ChatModel> RateLimited<M> {
    /// Limits requests to `inner`.
    ///
    /// # Errors
    /// As [`RateConfig::validate`].
    pub fn new(inner: M, config: RateConfig) -> Result<Self, Error> {
        config.validate()?;
        let now = Instant::now();
        let bucket = |limit: Option<f64>| limit.map(|l| Bucket::new(l, config.burst_s, now));
        let state = State {
            on_their_way: 0,
            requests: bucket(config.requests_per_minute),
            tokens: bucket(config.tokens_per_minute),
            pace: 1.0,
            slowed_at: None,
            closed_until: None,
        };
        let (turn, state) = (tokio::sync::Mutex::new(()), Mutex::new(state));
        Ok(Self { inner, config, turn, state, changed: Notify::new() })
    }

    /// Share of the limits in force: 1 unless the endpoint has answered 429.
    pub fn pace(&self) -> f64 {
        self.state().pace
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request of so many tokens may be sent.
    async fn admit(&self, tokens: f64) -> Place<'_, M> {
        let _turn = self.turn.lock().await;
        loop {
            let mut changed = pin!(self.changed.notified());
            // Listening starts before looking, so that no change between the two is missed.
            changed.as_mut().enable();
            let now = Instant::now();
            let looked = self.state().admit(&self.config, tokens, now);
            match looked {
                Ok(()) => return Place { limits: self, sent_at: now, tokens },
                Err(Wait::ForAPlace) => changed.await,
                Err(Wait::Until(time)) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(time) => {}
                        () = changed => {}
                    }
                }
            }
        }
    }
}

/// A request's place among those on their way; given back when dropped.
struct Place<'a, M: ChatModel> {
    limits: &'a RateLimited<M>,
    sent_at: Instant,
    /// What was drawn for it.
    tokens: f64,
}

impl<M: ChatModel> Place<'_, M> {
    /// Learns from how the request ended.
    fn learn(&self, outcome: &Result<Response, Error>) {
        let config = &self.limits.config;
        let mut state = self.limits.state();
        match outcome {
            Ok(response) => {
                state.pace = (state.pace + config.recover).min(1.0);
                if let (Some(bucket), Some(usage)) = (&mut state.tokens, response.usage) {
                    let used = (usage.prompt_tokens + usage.completion_tokens) as f64;
                    bucket.draw(used - self.tokens);
                }
            }
            Err(error) if error.is_rate_limit() => {
                let now = Instant::now();
                // What was sent before the last slowing tells nothing about the pace since.
                if state.slowed_at.is_none_or(|t| self.sent_at > t) {
                    let pace = state.pace;
                    state.buckets(0.0).for_each(|(bucket, _)| bucket.fill(now, pace));
                    state.pace = (pace * config.slow_down).max(config.min_pace.min(pace));
                    state.slowed_at = Some(now);
                    tracing::warn!(pace = state.pace, "asked too much, slowing down");
                }
                if let Retryable::After(wait) = error.retryable() {
                    let until = now + wait.min(Duration::from_secs_f64(config.max_pause_s));
                    state.closed_until = state.closed_until.max(Some(until));
                }
            }
            Err(_) => {}
        }
    }
}

impl<M: ChatModel> Drop for Place<'_, M> {
    fn drop(&mut self) {
        self.limits.state().on_their_way -= 1;
        self.limits.changed.notify_one();
    }
}

impl<M: ChatModel> ChatModel for RateLimited<M> {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn endpoint(&self) -> &str {
        self.inner.endpoint()
    }

    fn answer<'a>(&'a self, request: &'a Request) -> Answer<'a> {
        Box::pin(async move {
            let tokens = estimated_tokens(request, self.config.assumed_answer_tokens);
            let place = self.admit(tokens).await;
            let outcome = self.inner.answer(request).await;
            place.learn(&outcome);
            outcome
        })
    }
}

/// Tokens that a request may take: a quarter of its bytes and what it allows the answer.
fn estimated_tokens(request: &Request, assumed_answer_tokens: u32) -> f64 {
    let messages: usize = request.messages.iter().map(|m| 16 + m.text().len() + of_calls(m)).sum();
    let tools: usize =
        request.tools.iter().map(|t| t.description.len() + t.parameters.to_string().len()).sum();
    let answer = request.sampling.max_tokens.unwrap_or(assumed_answer_tokens);
    (messages + tools) as f64 / 4.0 + f64::from(answer)
}

/// Bytes of the calls in a turn.
fn of_calls(message: &Message) -> usize {
    let Message::Assistant { tool_calls, .. } = message else { return 0 };
    tool_calls.iter().map(|c| c.name.len() + c.arguments.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        let fine = RateConfig::default;
        assert_eq!(fine().validate(), Ok(()));
        for bad in [
            RateConfig { max_concurrent: 0, ..fine() },
            RateConfig { requests_per_minute: Some(0.0), ..fine() },
            RateConfig { tokens_per_minute: Some(f64::NAN), ..fine() },
            RateConfig { burst_s: 0.0, ..fine() },
            RateConfig { max_pause_s: -1.0, ..fine() },
            RateConfig { slow_down: 0.0, ..fine() },
            RateConfig { recover: -0.1, ..fine() },
            RateConfig { min_pace: 1.1, ..fine() },
        ] {
            assert!(matches!(bad.validate(), Err(Error::Config { .. })), "{bad:?}");
        }
    }
}
