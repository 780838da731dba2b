//! Edits in bytes of chains a second.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::hint::black_box;

use cot_metrics::{
    Transcript,
    codebook::Codebook,
    interventions::{ChainEdit, Donors, Filler, FillerKind, OffTopic, Paraphrased, Thesaurus},
    toys::Characters,
};
use criterion::{BenchmarkId, Criterion, Throughput};
use rl_core::seed::Seed;

pub(crate) fn texts(c: &mut Criterion) {
    let step = "So the range starts on a Monday, and 17 = 2 × 7 + 3 days later it is Thursday.\n";
    let chain = step.repeat(25);
    let transcripts: Vec<Transcript> = (0..16)
        .map(|i| Transcript {
            id: i.to_string(),
            chain: format!("{i}: {chain}"),
            answer: "Thursday".into(),
            ..Transcript::default()
        })
        .collect();
    let bytes = transcripts.iter().map(|t| t.chain.len() as u64).sum();
    let mut group = c.benchmark_group("edits");
    group.throughput(Throughput::Bytes(bytes));
    let book = Codebook::of_task("calendar").unwrap();
    group.bench_function(BenchmarkId::new("encode", bytes), |b| {
        b.iter(|| {
            transcripts.iter().map(|t| book.encode(black_box(&t.chain)).len()).sum::<usize>()
        });
    });
    let coded: Vec<String> = transcripts.iter().map(|t| book.encode(&t.chain)).collect();
    group.bench_function(BenchmarkId::new("decode", bytes), |b| {
        b.iter(|| coded.iter().map(|code| book.decode(black_box(code)).len()).sum::<usize>());
    });
    let edits: [(&str, Box<dyn ChainEdit>); 3] = [
        ("thesaurus", Box::new(Paraphrased(Thesaurus::default()))),
        ("filler", Box::new(Filler { tokenizer: Characters, kind: FillerKind::Mixed })),
        ("same_task", Box::new(OffTopic { tokenizer: Characters, donors: Donors::SameTask })),
    ];
    for (name, edit) in edits {
        group.bench_function(BenchmarkId::new(name, bytes), |b| {
            b.iter(|| edit.edit(black_box(&transcripts), Seed::new(1)));
        });
    }
}
