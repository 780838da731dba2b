//! `forthright cot track`.

use std::path::PathBuf;

use clap::Args;
use comfy_table::Table;
use cot_metrics::metrics::Metric;
use rl_core::stats::Estimate;
use serde_json::{Value, json};

use super::{
    organism::RECORDS,
    tally::{Tally, cohen_d},
};
use crate::terminal::print;

/// How an organism's scores moved while it was trained, against a baseline
///
/// Reads the records that `cot train-organism` left along the way. With --baseline, Cohen's d of each
/// score against the last evaluation of another run is shown, positive where the organism's is lower;
/// otherwise against the run's own start.
#[derive(Args)]
pub(crate) struct Track {
    /// The folder of a run of train-organism
    #[arg(long)]
    run: PathBuf,
    /// The folder of the run of a baseline
    #[arg(long)]
    baseline: Option<PathBuf>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

impl Track {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let tallies = Tally::read_all(&self.run.join(RECORDS))?;
        let reference = match &self.baseline {
            Some(folder) => Tally::read_all(&folder.join(RECORDS))?.pop(),
            None => tallies.first().cloned(),
        };
        // There is one: an empty folder is an error.
        let Some(reference) = reference else { return Ok(()) };
        if self.json {
            let steps: Vec<Value> = tallies.iter().map(|t| object(t, &reference)).collect();
            return print(json!({ "version": 1, "steps": steps }));
        }
        let mut table = Table::new();
        let mut header = vec!["step".to_owned(), "right".into(), "without chain".into()];
        header.extend(Metric::ALL.iter().flat_map(|m| [m.name().to_owned(), "d".into()]));
        table.set_header(header);
        for tally in &tallies {
            let mut row = vec![
                tally.step.to_string(),
                format!("{:.3}", tally.accuracy()),
                format!("{:.3}", tally.unaided()),
            ];
            for metric in Metric::ALL {
                row.push(tally.mean(metric).map_or_else(|| "-".into(), spelled));
                let d = cohen_d(&reference, tally, metric);
                row.push(d.estimate().map_or_else(|| "undefined".into(), spelled));
            }
            table.add_row(row);
        }
        print(table)
    }
}

pub(crate) fn spelled(estimate: Estimate) -> String {
    let [low, high] = estimate.interval;
    format!("{:.2} [{low:.2}, {high:.2}]", estimate.value)
}

fn object(tally: &Tally, reference: &Tally) -> Value {
    let of = |metric: Metric| json!({ "mean": tally.mean(metric), "d": cohen_d(reference, tally, metric) });
    let scores: serde_json::Map<String, Value> =
        Metric::ALL.iter().map(|&metric| (metric.name().to_owned(), of(metric))).collect();
    json!({
        "step": tally.step, "problems": tally.problems, "accuracy": tally.accuracy(),
        "accuracy_without_chain": tally.unaided(), "unclosed": tally.unclosed,
        "without_answer": tally.without_answer, "scores": scores,
    })
}
