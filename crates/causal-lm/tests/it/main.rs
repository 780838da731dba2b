//! Behavior of the crate as its users see it, one module a theme.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cache;
mod chat;
mod classifier;
mod common;
mod families;
mod files;
mod finetune;
mod foreign;
mod gguf;
mod hostile;
#[cfg(feature = "chat-model")]
mod local_chat;
mod lora;
mod peft;
#[expect(unreachable_pub, reason = "the fuzz targets, a crate of their own, share this file")]
mod readers;
mod smollm2;
mod tokenizer;
