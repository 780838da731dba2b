//! What the harness itself costs: the loop, the journal, what is made of it.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use criterion::{Criterion, criterion_group, criterion_main};

mod journal;
mod turns;
mod work;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(3));
    targets = turns::run, turns::replay, journal::read, journal::export
}
criterion_main!(benches);
