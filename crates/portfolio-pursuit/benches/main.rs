//! What the market, exact solutions and quotes cost, in customers.

use criterion::{Criterion, criterion_group, criterion_main};

mod market;
mod quoting;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_secs(1))
        .measurement_time(std::time::Duration::from_secs(3));
    targets = market::visitors, market::choices, market::epochs, quoting::exact, quoting::quotes
}
criterion_main!(benches);
