//! See [`causal_lm_fuzz::readers::config`].
#![no_main]

use causal_lm_fuzz::{prepare, readers, run};

libfuzzer_sys::fuzz_target!(init: prepare(), |bytes: &[u8]| run(readers::config, bytes));
