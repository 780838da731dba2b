//! Models around models. Each layer does one thing and passes the rest on.
//!
//! From outside in, they belong in this order:
//!
//! | layer | why there |
//! |---|---|
//! | [`Cached`] | an answer from the disk costs nothing below |
//! | [`Timeout`] of [`Scope::Total`](crate::Scope::Total) | bounds attempts and waits together |
//! | [`Retry`] | each attempt passes through what is below |
//! | [`RateLimited`] | paces every attempt, and holds no place while [`Retry`] waits |
//! | [`Counted`] | counts what is really spent |
//! | [`Timeout`] of [`Scope::Attempt`](crate::Scope::Attempt) | does not count time spent queueing |
//!
//! A [`Recorder`](crate::Recorder) goes outside all of them. Dropping an answer at any moment
//! cancels it: places, turns and locks are given back, files are whole or absent.

mod bucket;
mod cache;
mod count;
mod rate;
mod retry;
mod store;
mod timeout;

pub use cache::{CacheConfig, CacheStats, Cached};
pub use count::{Counted, Totals, UsageCounter};
pub use rate::{RateConfig, RateLimited};
pub use retry::{Retry, RetryConfig};
pub use timeout::Timeout;
#[cfg(feature = "openai")]
pub(crate) use timeout::within;
