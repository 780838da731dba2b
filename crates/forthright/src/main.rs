//! forthright
fn main() {}
