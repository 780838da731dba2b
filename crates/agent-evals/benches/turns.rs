//! The agent's loop.

use agent_evals::{Finished, FinishedIter};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};

use crate::work::{TURNS, run as run_once, runtime};

/// Whole runs: loop, journal on the disk, scorer.
pub(crate) fn run(c: &mut Criterion) {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let mut group = c.benchmark_group("loop/run");
    for samples in [1, 100] {
        group.throughput(Throughput::Elements((samples * TURNS) as u64));
        let mut n = 0;
        group.bench_function(BenchmarkId::from_parameter(samples), |b| {
            b.iter_batched(
                || {
                    n += 1;
                    folder.path().join(format!("{samples}-{n}.jsonl"))
                },
                |journal| run_once(&runtime, samples, &journal),
                BatchSize::PerIteration,
            );
        });
    }
}

/// The loop on what was recorded: nothing but the loop.
pub(crate) fn replay(c: &mut Criterion) {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let journal = folder.path().join("journal.jsonl");
    run_once(&runtime, 100, &journal);
    let all: Vec<Finished> = FinishedIter::open(&journal).unwrap().map(Result::unwrap).collect();
    let mut group = c.benchmark_group("loop/replay");
    group.throughput(Throughput::Elements((all.len() * TURNS) as u64));
    group.bench_function(BenchmarkId::from_parameter(all.len()), |b| {
        b.iter(|| {
            for one in &all {
                runtime.block_on(one.replay()).unwrap();
            }
        });
    });
}
