#![doc = include_str!("../README.md")]

mod bytes;
pub mod cache;
pub mod chat;
pub mod config;
mod contain;
mod error;
pub mod finetune;
pub mod generate;
pub mod gguf;
pub mod head_loss;
pub mod heads;
mod kernel;
pub mod lora;
pub mod model;
mod pretrained;
pub mod score;
pub mod tokenizer;
mod unique;
pub mod weights;

pub use error::Error;
pub use model::CausalLm;
pub use pretrained::{LoadOptions, Pretrained};
