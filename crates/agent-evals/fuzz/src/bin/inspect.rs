//! See [`agent_evals_fuzz::readers::inspect`].
#![no_main]

use agent_evals_fuzz::{prepare, readers, run};

libfuzzer_sys::fuzz_target!(init: prepare(), |bytes: &[u8]| run(readers::inspect, bytes));
