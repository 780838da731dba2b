//! `forthright portfolio off-policy`.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::Args;
use portfolio_pursuit::{
    Error, Schema,
    practice::OffPolicy as Found,
    quoting::{Gains, QuoteRecord, Replay, Replayed},
};
use rl_core::stats::Estimate;
use serde_json::{Value, json};

use super::quote::{By, open};
use crate::terminal::{note, print};

/// Estimate what another plan would have earned, from quotes that were logged
///
/// Reads the records that `quote` has written as JSON Lines, with exploration, and a table of what
/// became of them. Every record says which prices might have been asked and how likely; quotes weigh
/// as much more or less as the plan would have asked their price more or less often. Quotes whose price
/// by the plan lies outside of what might have been asked are left out and counted; so a plan that
/// explores as far as the log did is best judged without its exploration. The effective
/// number of quotes says how much of the log speaks for the plan.
#[derive(Args)]
pub(crate) struct OffPolicy {
    #[command(flatten)]
    by: By,
    /// What became of the quotes, in CSV: columns id and sold (yes or no), others are passed over
    #[arg(long)]
    outcomes: PathBuf,
    /// The log, JSON Lines of `quote`; standard input if not given or "-"
    log: Option<PathBuf>,
    /// How sure intervals are
    #[arg(long, default_value_t = 0.95)]
    confidence: f64,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

impl OffPolicy {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let confidence = self.confidence;
        anyhow::ensure!(
            confidence > 0.0 && confidence < 1.0,
            "--confidence: expected a number above 0 and below 1, found {confidence}"
        );
        let mut replay = Replay::new(self.by.quoter()?);
        let mut outcomes = outcomes(&self.outcomes)?;
        let all = outcomes.len();
        let name = self.log.as_deref().filter(|path| *path != Path::new("-"));
        let source: Box<dyn Read> = match name {
            Some(path) => Box::new(open(path)?),
            None => Box::new(std::io::stdin().lock()),
        };
        let name = name.map_or("standard input".to_owned(), |path| path.display().to_string());
        let mut seen = 0;
        for (place, line) in BufReader::new(source).lines().enumerate() {
            let at = || format!("{name}: line {}", place + 1);
            let record =
                record(&line.with_context(at)?, replay.quoter().schema()).with_context(at)?;
            let Some(sold) = outcomes.remove(&record.id) else {
                bail!(
                    "{}: quote {:?} has no outcome in {}, or is there twice",
                    at(),
                    record.id,
                    self.outcomes.display()
                );
            };
            replay.add(&record, sold).with_context(at)?;
            seen += 1;
        }
        let found = replay.conclude(confidence).with_context(|| name.clone())?;
        if seen < all {
            note(format_args!("{} of {all} outcomes belong to no quote of the log", all - seen));
        }
        if self.json {
            return print(json!({ "version": 1, "confidence": confidence, "found": found }));
        }
        report(&found, confidence)
    }
}

/// Whether each quote was sold, by its name.
fn outcomes(path: &Path) -> anyhow::Result<BTreeMap<String, bool>> {
    let named = || path.display().to_string();
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(open(path)?);
    let header = reader.headers().with_context(named)?.clone();
    let find = |name: &str| {
        let place = header.iter().position(|n| n.trim_start_matches('\u{feff}') == name);
        place.with_context(|| {
            let known = header.iter().collect::<Vec<_>>().join(", ");
            format!("{}: column {name:?} is missing; there are {known}", named())
        })
    };
    let [id, sold] = [find("id")?, find("sold")?];
    let mut outcomes = BTreeMap::new();
    for (place, row) in reader.into_records().enumerate() {
        let at = || format!("{}: row {}", named(), place + 1);
        let row = row.with_context(at)?;
        let [id, sold] = [id, sold].map(|i| row.get(i).unwrap_or_default());
        let is = |words: [&str; 4]| words.iter().any(|word| sold.eq_ignore_ascii_case(word));
        let taken = match (is(["yes", "y", "true", "1"]), is(["no", "n", "false", "0"])) {
            (true, _) => true,
            (_, true) => false,
            _ => bail!("{}: column \"sold\": expected yes or no, found {sold:?}", at()),
        };
        if outcomes.insert(id.to_owned(), taken).is_some() {
            bail!("{}: quote {id:?} is there twice", at());
        }
    }
    anyhow::ensure!(!outcomes.is_empty(), "{}: expected outcomes, found none", named());
    Ok(outcomes)
}

/// One line of the log, its features in the order of the plan's table.
fn record(line: &str, schema: &Schema) -> anyhow::Result<QuoteRecord> {
    let mut value: Value = serde_json::from_str(line)?;
    let Some(Value::Object(features)) = value.get("features") else {
        bail!("features: expected an object, found none");
    };
    let names = schema.names();
    let found: Vec<String> = features.keys().cloned().collect();
    let mut numbers = Vec::with_capacity(names.len());
    for name in &names {
        let Some(number) = features.get(name).and_then(Value::as_f64) else { break };
        numbers.push(number);
    }
    if numbers.len() < names.len() || found.len() > names.len() {
        return Err(Error::Features { expected: names, found }.into());
    }
    value["features"] = json!(numbers);
    Ok(serde_json::from_value(value)?)
}

fn report(found: &Replayed, confidence: f64) -> anyhow::Result<()> {
    let percent = 100.0 * confidence;
    let interval = format!("{percent:.0} % interval");
    let header = ["of each quote", "estimate", &interval, "effective quotes", "largest weight"];
    let mut table = crate::terminal::table(header);
    let quantities = [("profit £", &found.profit), ("sales", &found.sales)];
    for (name, gains) in quantities {
        let Gains { logged, importance, self_normalized, doubly_robust, gain } = gains;
        let mut row = |what: &str, e: &Estimate, by: Option<&Found>| {
            let [low, high] = e.interval;
            table.add_row([
                format!("{name}: {what}"),
                format!("{:.4}", e.value),
                format!("[{low:.4}, {high:.4}]"),
                by.map_or("-".to_owned(), |by| format!("{:.1}", by.effective)),
                by.map_or("-".to_owned(), |by| format!("{:.2} %", 100.0 * by.largest_share)),
            ]);
        };
        row("as logged", logged, None);
        row("the plan, importance sampling", &importance.estimate, Some(importance));
        row("the plan, self-normalized", &self_normalized.estimate, Some(self_normalized));
        row("the plan, doubly robust", &doubly_robust.estimate, Some(doubly_robust));
        row("the plan less the log, doubly robust", gain, None);
    }
    print(table)?;
    let Replayed { quotes, outside, refused, .. } = found;
    print(format_args!(
        "{quotes} quotes; left out: {outside} whose price by the plan might not have been asked, {refused} that it does not quote"
    ))
}
