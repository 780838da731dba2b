//! Transcripts and recorded log-probabilities from files, with what was left out of them.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::Context as _;
use cot_metrics::{
    Measured, Record,
    metrics::{ExampleScores, MetricReport, Report},
    transcripts::{Flag, RecordSet, TranscriptSet, read_records, read_transcripts},
};

use super::{tally::settings, track::spelled};
use crate::terminal::{note, print};

/// Flags shown one by one; `--json` holds all.
const SHOWN: usize = 20;

/// Transcripts of a file; what was left out is noted line by line.
pub(super) fn transcripts(path: &Path) -> anyhow::Result<TranscriptSet> {
    let (name, reader) = open(path)?;
    Ok(read_transcripts(reader, name.as_ref())?)
}

/// Records of a file; what was left out is noted line by line.
pub(super) fn records(path: &Path) -> anyhow::Result<RecordSet> {
    let (name, reader) = open(path)?;
    let set = read_records(reader, name.as_ref())?;
    note_flags(&name, &set.flags);
    Ok(set)
}

fn open(path: &Path) -> anyhow::Result<(String, Box<dyn BufRead>)> {
    if path.as_os_str() == "-" {
        return Ok(("standard input".into(), Box::new(std::io::stdin().lock())));
    }
    let name = path.display().to_string();
    let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    Ok((name, Box::new(BufReader::new(file))))
}

/// Says on standard error what was left out of a file.
pub(super) fn note_flags(name: &str, flags: &[Flag]) {
    for flag in flags.iter().take(SHOWN) {
        note(format_args!("{name}: {flag}; left out"));
    }
    if flags.len() > SHOWN {
        note(format_args!("{name}: {} more left out", flags.len() - SHOWN));
    }
}

/// The scores of each record.
pub(super) fn scores(records: &[Record]) -> Vec<ExampleScores> {
    records.iter().map(|record| ExampleScores::of(record, &settings())).collect()
}

/// A report, metric by metric.
pub(super) fn show(report: &Report) -> anyhow::Result<()> {
    print(format_args!("{} answers; accuracy {}", report.n, measured(&report.accuracy)))?;
    for MetricReport { metric, raw, regularized, change, control } in &report.metrics {
        print(format_args!(
            "{metric:<17} {}; as published {}; change in probability {}; n {}, undefined {}",
            measured(&regularized.mean),
            measured(&raw.mean),
            measured(&change.mean),
            regularized.n(),
            regularized.without(),
        ))?;
        if let Some(control) = control {
            print(format_args!(
                "{:<17} {}; the prompt alone",
                "",
                measured(&control.regularized.mean)
            ))?;
        }
    }
    print(format_args!("hint taken over a right chain: {}", measured(&report.hint_taken)))
}

/// An estimate with its interval, or why there is none.
pub(super) fn measured(found: &Measured) -> String {
    match found {
        Measured::Estimate(estimate) => spelled(*estimate),
        Measured::Undefined { undefined, .. } => format!("undefined ({undefined})"),
    }
}
