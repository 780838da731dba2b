//! What measuring costs beside the model's own work.

use criterion::{Criterion, criterion_group, criterion_main};

mod edits;
mod metrics;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_secs(1))
        .measurement_time(std::time::Duration::from_secs(3));
    targets = metrics::scores, metrics::summaries, edits::texts
}
criterion_main!(benches);
