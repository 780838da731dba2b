//! rl-core
