//! `forthright agents export` and `import`: logs of Inspect's.

use std::path::{Path, PathBuf};

use agent_evals::{
    Key,
    inspect::{InspectLog, LogFormat, export},
};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    journal,
    results::{Results, table},
};
use crate::terminal::{note, print};

/// Write a run as logs that Inspect reads
///
/// One log for each scenario and agent, of what has finished so far.
#[derive(Args)]
pub(crate) struct Export {
    /// The run's folder, or its journal
    run: PathBuf,
    /// Where to write them
    #[arg(long)]
    out: PathBuf,
    /// In which of Inspect's two forms
    #[arg(long, value_enum, default_value_t = Form::Eval)]
    format: Form,
    /// One JSON document with the files' names
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A zip archive
    Eval,
    /// One JSON text
    Json,
}

impl Export {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let format = match self.format {
            Form::Eval => LogFormat::Eval,
            Form::Json => LogFormat::Json,
        };
        let paths = export(&journal(&self.run), &self.out, format)?;
        if self.json {
            return print(json!({ "version": 1, "written": paths }));
        }
        if paths.is_empty() {
            note("no sample has finished: nothing is written");
        }
        paths.iter().try_for_each(|path| print(path.display()))
    }
}

/// Check a log of Inspect's, and say what is in it
///
/// `.eval` or `.json`. What Inspect itself would refuse is refused, with the place that is wrong.
#[derive(Args)]
pub(crate) struct Import {
    /// The log
    log: PathBuf,
    /// One JSON document with every sample: its conversation, scores and metadata
    #[arg(long)]
    json: bool,
}

impl Import {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let log = InspectLog::read(&self.log)?;
        let eval = &log.header["eval"];
        if self.json {
            let samples: Vec<Value> = log
                .samples
                .iter()
                .map(|s| {
                    json!({
                        "id": s.id, "epoch": s.epoch, "input": s.input, "target": s.target,
                        "conversation": s.conversation, "scores": s.scores,
                        "metadata": s.metadata, "error": s.error, "limit": s.limit,
                    })
                })
                .collect();
            return print(json!({
                "version": 1, "status": log.header["status"], "task": eval["task"],
                "model": eval["model"], "created": eval["created"], "samples": samples,
            }));
        }
        let text = |value: &Value| value.as_str().unwrap_or("–").to_owned();
        let failed = log.samples.iter().filter(|s| s.error.is_some()).count();
        print(format_args!(
            "{} by {}, {}: {} samples, {failed} of them failed",
            text(&eval["task"]),
            text(&eval["model"]),
            text(&log.header["status"]),
            log.samples.len(),
        ))?;
        print(table(&results(&log).cells()))
    }
}

/// The scores of a log, as those of a run.
fn results(log: &InspectLog) -> Results {
    let of = |key: &str| log.header["eval"][key].as_str().unwrap_or("–").to_owned();
    let mut results = Results::default();
    for sample in &log.samples {
        let persona = sample.metadata.get("persona").and_then(Value::as_str).unwrap_or("none");
        let key = Key {
            scenario: of("task"),
            agent: of("model"),
            persona: persona.to_owned(),
            sample: sample.id.clone(),
            epoch: sample.epoch,
        };
        let cluster = sample.metadata.get("cluster").and_then(Value::as_str);
        results.add(&key, cluster.unwrap_or(&sample.id), &sample.scores);
    }
    results
}

/// Whether a file is a log of Inspect's rather than a journal.
pub(super) fn is_log(path: &Path) -> bool {
    let ends = |end: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(end));
    ends("eval") || ends("json")
}
