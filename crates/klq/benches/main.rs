//! What the oracles cost.

use criterion::{Criterion, criterion_group, criterion_main};

mod oracle;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_secs(1))
        .measurement_time(std::time::Duration::from_secs(3));
    targets = oracle::exact, oracle::scan, oracle::training
}
criterion_main!(benches);
