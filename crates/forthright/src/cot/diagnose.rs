//! `forthright cot diagnose`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use cot_metrics::{
    Measured, Record,
    diagnosis::{
        Accuracy, Diagnosis, DiagnosisConfig, Population, Signature, Signatures, affected_share,
        diagnose,
    },
    metrics::{ExampleScores, Metric, Report, cohen_d, report},
};
use rl_core::stats::Proportion;
use serde_json::json;

use super::{
    recorded::{measured, records, scores},
    tally::{said, settings},
};
use crate::terminal::print;

/// Which pathology recorded answers show, how sure that is, and how many are affected
///
/// Reads records {"id", "correct", "arms"}, one a line, as `cot score --records` writes them; an arm is
/// a log-probability, {"log_prob", "tokens"}, or {"failed"}. With --baseline, the scores of a healthy
/// model say where the signatures lie, and Cohen's d is shown, positive where the other's are lower.
#[expect(clippy::doc_markdown, reason = "this is the help text as the terminal shows it")]
#[derive(Args)]
pub(crate) struct Diagnose {
    /// JSON Lines; - is standard input
    #[arg(long)]
    records: PathBuf,
    /// Records of a healthy model on the same task
    #[arg(long)]
    baseline: Option<PathBuf>,
    /// Right answers without a chain, such as 27/200: a model that does no better has no diagnosis
    #[arg(long, value_parser = parse_share)]
    right_without_chain: Option<Proportion>,
    /// Share of resamples that must agree
    #[arg(long, default_value_t = DiagnosisConfig::default().min_confidence)]
    min_confidence: f64,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Such as 27/200.
fn parse_share(text: &str) -> Result<Proportion, String> {
    let wrong = || format!("expected two numbers such as 27/200, found {text}");
    let (successes, trials) = text.split_once('/').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
    let (successes, trials) = (number(successes)?, number(trials)?);
    if trials == 0 || successes > trials {
        return Err(wrong());
    }
    Ok(Proportion { successes, trials })
}

/// What a baseline adds.
struct Beside {
    /// Cohen's d of each metric.
    d: [Measured; 3],
    /// Share of affected examples, by what the diagnosis says they are affected by.
    share: Option<Measured>,
}

impl Diagnose {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let set = records(&self.records)?;
        let baseline = self.baseline.as_deref().map(records).transpose()?;
        let examples = scores(&set.records);
        let healthy = baseline.as_ref().map(|set| scores(&set.records));
        let mut config =
            DiagnosisConfig { min_confidence: self.min_confidence, ..DiagnosisConfig::default() };
        if let Some(healthy) = &healthy {
            config.signatures = signatures(healthy)?;
        }
        let accuracy = self.right_without_chain.map(|without_chain| {
            accuracy(&set.records, without_chain).context(
                "right-without-chain: expected records that say whether answers are correct",
            )
        });
        let found = diagnose(&examples, accuracy.transpose()?, &config, &settings())?;
        let beside = match &healthy {
            None => None,
            Some(healthy) => Some(Beside::of(healthy, &examples, &found, &config.signatures)?),
        };
        let report = report(&set.records, &settings())?;
        if self.json {
            return print(json!({
                "version": 1, "signatures": config.signatures, "diagnosis": found, "report": report,
                "cohen_d": beside.as_ref().map(|beside| &beside.d),
                "affected_share": beside.as_ref().and_then(|beside| beside.share.as_ref()),
                "left_out": set.flags,
            }));
        }
        print(table(&found, &config.signatures))?;
        say(&found, &report, beside.as_ref())
    }
}

/// Where a healthy model's scores say that the signatures lie.
fn signatures(healthy: &[ExampleScores]) -> anyhow::Result<Signatures> {
    let triples: Vec<[f64; 3]> = healthy.iter().filter_map(ExampleScores::triple).collect();
    anyhow::ensure!(
        triples.len() > 1,
        "baseline: expected at least 2 examples with all three scores, found {}",
        triples.len()
    );
    let mean =
        |k: usize| triples.iter().map(|triple| triple[k]).sum::<f64>() / triples.len() as f64;
    let signatures = Signatures { healthy: [0, 1, 2].map(mean) };
    signatures.validate().context("baseline: nothing to lose")?;
    Ok(signatures)
}

fn accuracy(records: &[Record], without_chain: Proportion) -> Option<Accuracy> {
    let known: Vec<bool> = records.iter().filter_map(|record| record.correct).collect();
    let successes = known.iter().filter(|&&right| right).count();
    let with_chain = Proportion { successes, trials: known.len() };
    (!known.is_empty()).then_some(Accuracy { with_chain, without_chain })
}

/// Regularized scores of one metric.
fn column(examples: &[ExampleScores], metric: usize) -> Vec<f64> {
    examples.iter().filter_map(|e| e.scores[metric].as_ref().ok()).map(|s| s.regularized).collect()
}

impl Beside {
    fn of(
        healthy: &[ExampleScores],
        examples: &[ExampleScores],
        found: &Diagnosis,
        signatures: &Signatures,
    ) -> anyhow::Result<Self> {
        let d = [0, 1, 2].map(|k| cohen_d(&column(healthy, k), &column(examples, k), &settings()));
        let target = found.nearest.and_then(|signature| Some((signature, signature.target()?)));
        let share = target.map(|(signature, metric)| {
            let k = Metric::ALL.iter().position(|&m| m == metric).unwrap_or_default();
            let expected = signatures.expected(signature)[k].unwrap_or_default();
            let healthy = column(healthy, k);
            let healthy = Population::Sample(&healthy);
            affected_share(&column(examples, k), healthy, Population::Mean(expected), &settings())
        });
        Ok(Self { d, share: share.transpose()? })
    }
}

/// The signatures, what was found beside them, and how far it is from each.
fn table(found: &Diagnosis, signatures: &Signatures) -> comfy_table::Table {
    let mut header = vec![String::new()];
    header.extend(Metric::ALL.iter().map(|metric| metric.name().to_owned()));
    header.extend(["distance".to_owned(), "resamples".to_owned()]);
    let mut table = crate::terminal::table(header);
    for (i, signature) in Signature::ALL.into_iter().enumerate() {
        let mut row = vec![signature.name().to_owned()];
        let cell = |expected: Option<f64>| expected.map_or("any".into(), |e| format!("{e:.2}"));
        row.extend(signatures.expected(signature).map(cell));
        row.extend([
            format!("{:.2}", found.distances[i]),
            format!("{:.1} %", 100.0 * found.votes[i]),
        ]);
        table.add_row(row);
    }
    let mut row = vec!["found".to_owned()];
    row.extend(found.means.iter().map(measured));
    table.add_row(row);
    table
}

fn say(found: &Diagnosis, report: &Report, beside: Option<&Beside>) -> anyhow::Result<()> {
    print(format_args!("{}; n {}", said(found), found.n))?;
    print(format_args!("accuracy {}", measured(&report.accuracy)))?;
    print(format_args!("hint taken over a right chain: {}", measured(&report.hint_taken)))?;
    let Some(beside) = beside else { return Ok(()) };
    for (metric, d) in Metric::ALL.iter().zip(&beside.d) {
        print(format_args!("d of {metric:<17} {}", measured(d)))?;
    }
    match &beside.share {
        Some(share) => print(format_args!("share affected: {}", measured(share))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_two_numbers() {
        assert_eq!(parse_share("27/200"), Ok(Proportion { successes: 27, trials: 200 }));
        for wrong in ["", "27", "27/0", "3/2", "a/b", "-1/2", "1/2/3"] {
            assert!(parse_share(wrong).is_err(), "{wrong}");
        }
    }
}
