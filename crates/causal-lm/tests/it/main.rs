//! Behavior of the crate as its users see it, one module a theme.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cache;
mod common;
mod families;
mod files;
mod finetune;
mod gguf;
mod lora;
mod peft;
mod smollm2;
