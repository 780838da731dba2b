#![doc = include_str!("../README.md")]

mod bytes;
pub mod cache;
pub mod chat;
pub mod classifier;
pub mod config;
mod error;
pub mod finetune;
pub mod generate;
pub mod gguf;
pub mod head_loss;
pub mod heads;
mod kernel;
#[cfg(feature = "chat-model")]
pub mod local_chat;
pub mod lora;
pub mod model;
mod pretrained;
pub mod score;
pub mod tokenizer;
pub mod trainable;
mod unique;
pub mod weights;

pub use error::Error;
pub use model::CausalLm;
pub use pretrained::{LoadOptions, Pretrained};
