#![doc = include_str!("../README.md")]

mod blocking;
mod digest;
mod error;
pub mod layer;
mod message;
mod model;
#[cfg(feature = "openai")]
mod openai;
pub mod recorded;
mod request;
mod response;
mod scripted;
#[cfg(feature = "openai")]
mod stack;
mod text;

pub use blocking::Blocking;
pub use digest::{Digest, FORMAT_VERSION};
pub use error::{Error, NotRecorded, Retryable, Scope};
pub use layer::{
    CacheConfig, CacheStats, Cached, Counted, RateConfig, RateLimited, Retry, RetryConfig, Timeout,
    Totals, UsageCounter,
};
pub use message::{Message, Tool, ToolCall, ToolChoice};
pub use model::{Answer, ChatModel};
#[cfg(feature = "openai")]
pub use openai::{MaxTokensField, OpenAi, OpenAiConfig};
pub use recorded::{Recorder, Recording, RecordingWriter, Replay, Requests};
pub use request::{Request, Sampling};
pub use response::{Response, StopReason, Usage};
pub use scripted::Scripted;
#[cfg(feature = "openai")]
pub use stack::StackConfig;
