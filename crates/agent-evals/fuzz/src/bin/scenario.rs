//! See [`agent_evals_fuzz::readers::scenario`].
#![no_main]

use agent_evals_fuzz::{prepare, readers, run};

libfuzzer_sys::fuzz_target!(init: prepare(), |bytes: &[u8]| run(readers::scenario, bytes));
