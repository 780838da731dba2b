//! `forthright cot compare`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use cot_metrics::{
    Measured, Transcript,
    metrics::{Metric, cohen_d, report},
};
use serde_json::{Value, json};

use super::{
    recorded::{measured, note_flags, records, scores, transcripts},
    tally::settings,
};
use crate::terminal::print;

/// Two sets of recorded answers side by side, and the examples that moved most
///
/// Reads records as `cot diagnose` does. Cohen's d is positive where the second set scores lower. With
/// transcripts of both, the chains of the examples that moved most are shown one under the other.
#[derive(Args)]
pub(crate) struct Compare {
    /// Records of the first; - is standard input
    #[arg(long)]
    baseline: PathBuf,
    /// Records of the second
    #[arg(long)]
    other: PathBuf,
    /// Transcripts of the first
    #[arg(long, requires = "other_transcripts")]
    baseline_transcripts: Option<PathBuf>,
    /// Transcripts of the second
    #[arg(long, requires = "baseline_transcripts")]
    other_transcripts: Option<PathBuf>,
    /// Examples to show of each metric
    #[arg(long, default_value_t = 3)]
    top: usize,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// An example whose score moved.
struct Moved {
    id: String,
    scores: [f64; 2],
}

impl Compare {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let sets = [records(&self.baseline)?, records(&self.other)?];
        let examples = sets.each_ref().map(|set| scores(&set.records));
        let reports =
            [report(&sets[0].records, &settings())?, report(&sets[1].records, &settings())?];
        // Regularized scores by id, of each set.
        let columns = |k: usize| {
            examples.each_ref().map(|examples| -> BTreeMap<&str, f64> {
                let score = |e: &cot_metrics::metrics::ExampleScores| {
                    e.scores[k].as_ref().ok().map(|scores| scores.regularized)
                };
                examples.iter().filter_map(|e| Some((e.id.as_str(), score(e)?))).collect()
            })
        };
        let compared: Vec<(Metric, Measured, Vec<Moved>)> = Metric::ALL
            .into_iter()
            .enumerate()
            .map(|(k, metric)| {
                let columns = columns(k);
                let [a, b] = columns.each_ref().map(|c| c.values().copied().collect::<Vec<f64>>());
                (metric, cohen_d(&a, &b, &settings()), moved(&columns, self.top))
            })
            .collect();
        let texts = match (&self.baseline_transcripts, &self.other_transcripts) {
            (Some(first), Some(second)) => Some([by_id(first)?, by_id(second)?]),
            _ => None,
        };
        if self.json {
            let metrics: serde_json::Map<String, Value> = compared
                .iter()
                .map(|(metric, d, moved)| {
                    let moved: Vec<Value> = moved.iter().map(|m| m.json(texts.as_ref())).collect();
                    (metric.name().to_owned(), json!({ "d": d, "moved": moved }))
                })
                .collect();
            let flags = sets.each_ref().map(|set| &set.flags);
            return print(json!({
                "version": 1, "reports": reports, "metrics": metrics, "left_out": flags,
            }));
        }
        let accuracies = reports.each_ref().map(|report| measured(&report.accuracy));
        let mut table = crate::terminal::table(["", "first", "second", "d"]);
        let [first, second] = accuracies;
        table.add_row(["accuracy", &first, &second, ""]);
        for (k, (metric, d, _)) in compared.iter().enumerate() {
            let [first, second] =
                reports.each_ref().map(|report| measured(&report.metrics[k].regularized.mean));
            table.add_row([metric.name(), &first, &second, &measured(d)]);
        }
        print(table)?;
        for (metric, _, moved) in &compared {
            for moved in moved {
                moved.say(*metric, texts.as_ref())?;
            }
        }
        Ok(())
    }
}

/// Examples of both sets, those that moved farthest first.
fn moved(columns: &[BTreeMap<&str, f64>; 2], top: usize) -> Vec<Moved> {
    let both = |(id, &first): (&&str, &f64)| {
        columns[1].get(id).map(|&second| Moved { id: (*id).to_owned(), scores: [first, second] })
    };
    let mut moved: Vec<Moved> = columns[0].iter().filter_map(both).collect();
    moved.sort_by(|a, b| b.distance().total_cmp(&a.distance()));
    moved.truncate(top);
    moved
}

type Texts = [BTreeMap<String, Transcript>; 2];

fn by_id(path: &Path) -> anyhow::Result<BTreeMap<String, Transcript>> {
    let set = transcripts(path)?;
    note_flags(&path.display().to_string(), &set.flags);
    Ok(set.transcripts.into_iter().map(|t| (t.id.clone(), t)).collect())
}

impl Moved {
    fn distance(&self) -> f64 {
        (self.scores[1] - self.scores[0]).abs()
    }

    fn json(&self, texts: Option<&Texts>) -> Value {
        let texts = texts.map(|texts| texts.each_ref().map(|texts| texts.get(&self.id)));
        json!({ "id": self.id, "scores": self.scores, "transcripts": texts })
    }

    fn say(&self, metric: Metric, texts: Option<&Texts>) -> anyhow::Result<()> {
        let [first, second] = self.scores;
        print(format_args!("\n{metric} of {}: {first:.2} to {second:.2}", self.id))?;
        for (name, texts) in ["first", "second"].iter().zip(texts.into_iter().flatten()) {
            if let Some(Transcript { chain, answer, .. }) = texts.get(&self.id) {
                print(format_args!(
                    "  {name}: {} => {answer}",
                    chain.trim().replace('\n', "\n    ")
                ))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_moved_farthest_come_first() {
        let first = [("a", 0.5), ("b", 0.5), ("c", 0.0), ("d", 0.9)].into();
        let second = [("a", 0.6), ("b", -0.5), ("c", 0.3), ("e", 0.9)].into();
        let found = moved(&[first, second], 2);
        let ids: Vec<&str> = found.iter().map(|moved| moved.id.as_str()).collect();
        assert_eq!(ids, ["b", "c"]);
    }
}
