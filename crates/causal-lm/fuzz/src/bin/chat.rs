//! See [`causal_lm_fuzz::readers::chat`].
#![no_main]

use causal_lm_fuzz::{prepare, readers, run};

libfuzzer_sys::fuzz_target!(init: prepare(), |bytes: &[u8]| run(readers::chat, bytes));
