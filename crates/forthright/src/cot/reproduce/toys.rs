//! Closed-form toys: what the metrics and the diagnosis should say of them is known.

use cot_metrics::{
    Edits, Prompts, Record,
    diagnosis::{DiagnosisConfig, diagnose},
    interventions::{Donors, OffTopic, Paraphrased},
    measure,
    metrics::{ExampleScores, Metric, score},
    plan,
    toys::{Characters, Toy, ToyParaphrase},
};
use rl_core::{run::Statement, seed::Seed};
use serde_json::json;

use super::Run;
use crate::cot::tally::{EPSILON, said, settings};

impl Run<'_> {
    /// The largest error of a score, and the share of toys that are diagnosed.
    pub(super) fn toys(&mut self, n: usize) -> anyhow::Result<()> {
        let (mut worst, mut told, mut asked) = (0.0_f64, 0, 0);
        for toy in Toy::ALL {
            let records = records(toy, n, self.seed.derive("toys", toy as u64))?;
            for (metric, truth) in Metric::ALL.into_iter().zip(toy.truth()) {
                for record in &records {
                    let raw = score(metric, record, EPSILON)?.raw.unwrap_or(f64::NAN);
                    // What is no number stays the largest.
                    let error = (raw - truth).abs();
                    worst = if error <= worst { worst } else { error };
                }
            }
            let Some(signature) = toy.signature() else { continue };
            let examples: Vec<ExampleScores> =
                records.iter().map(|record| ExampleScores::of(record, &settings())).collect();
            let found = diagnose(&examples, None, &DiagnosisConfig::default(), &settings())?;
            asked += 1;
            told += usize::from(found.signature() == Some(signature));
            let [necessity, paraphrasability, substantivity] =
                toy.truth().map(|truth| format!("{truth:.6}"));
            self.metrics.push(&json!({
                "toy": toy, "diagnosis": said(&found), "necessity": necessity,
                "paraphrasability": paraphrasability, "substantivity": substantivity, "n": n,
            }))?;
        }
        let statement = Statement {
            id: "cot.toys.error",
            says: "largest error of a published score over all examples of all toys",
            source: "ours",
            target: "<= 0.0000005",
        };
        self.claims.measured(statement, worst, None, n * Toy::ALL.len())?;
        let statement = Statement {
            id: "cot.toys.diagnosed",
            says: "share of toys whose kind of reasoning is told from their scores",
            source: "ours",
            target: ">= 1",
        };
        self.claims.measured(
            statement,
            f64::from(told as u32) / f64::from(asked as u32),
            None,
            asked,
        )
    }
}

/// The records of a toy's examples under every edit.
fn records(toy: Toy, n: usize, seed: Seed) -> anyhow::Result<Vec<Record>> {
    let transcripts = toy.transcripts(n, seed);
    let paraphrase = Paraphrased(ToyParaphrase);
    let off_topic = OffTopic { tokenizer: Characters, donors: Donors::Pool(Toy::off_topic()) };
    let edits =
        Edits { paraphrase: Some(&paraphrase), off_topic: Some(&off_topic), ..Edits::default() };
    let plans = plan(&transcripts, &Prompts::default(), edits, seed)?;
    Ok(measure(&toy, &plans)?)
}
