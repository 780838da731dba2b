//! Reading a journal, and what is made of it.

use std::fs;

use agent_evals::{
    FinishedIter, Index,
    inspect::{LogFormat, export as export_logs},
    view::view_journal,
};
use criterion::{BatchSize, Criterion, Throughput};

use crate::work::{run, runtime};

const SAMPLES: usize = 100;

pub(crate) fn read(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    run(&runtime(), SAMPLES, &journal);
    let mut group = c.benchmark_group("journal/read");
    group.throughput(Throughput::Bytes(fs::metadata(&journal).unwrap().len()));
    group.bench_function("index", |b| b.iter(|| Index::read(&journal).unwrap()));
    group.bench_function("finished", |b| {
        b.iter(|| assert_eq!(FinishedIter::open(&journal).unwrap().count(), SAMPLES));
    });
}

pub(crate) fn export(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    run(&runtime(), SAMPLES, &journal);
    let mut group = c.benchmark_group("journal/write");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    let page = folder.path().join("view.html");
    group.bench_function("page", |b| b.iter(|| view_journal(&journal, &page).unwrap()));
    for (name, format) in [("eval", LogFormat::Eval), ("json", LogFormat::Json)] {
        let mut n = 0;
        group.bench_function(name, |b| {
            b.iter_batched(
                || {
                    n += 1;
                    folder.path().join(format!("{name}-{n}"))
                },
                |out| export_logs(&journal, &out, format).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
}
