//! `forthright agents list`.

use std::path::{Path, PathBuf};

use agent_evals::{
    Ending, FinishedIter, Index, Verdict,
    journal::Tail,
    scenarios::{find, personas},
};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    catalog::{ALL, Catalog},
    journal,
    script::fits,
};
use crate::terminal::{note, print};

/// Scenarios and personas; or the samples of a run
#[derive(Args)]
pub(crate) struct List {
    /// A run's folder or journal: list its samples
    run: Option<PathBuf>,
    /// Only samples that fit: SCENARIO/AGENT/PERSONA/SAMPLE#EPOCH, where `*` stands for anything
    #[arg(long, requires = "run", value_name = "PATTERN")]
    only: Option<String>,
    /// Only samples of this state
    #[arg(long, requires = "run", value_enum)]
    state: Option<State>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// How far a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// Every scorer gave a number
    Scored,
    /// A scorer gave none
    Unscored,
    /// Something failed
    Error,
    /// It has begun and not ended
    Running,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Scored => "scored",
            Self::Unscored => "unscored",
            Self::Error => "error",
            Self::Running => "running",
        }
    }
}

impl List {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.run {
            Some(run) => self.samples(&journal(run)),
            None => self.catalog(),
        }
    }

    fn catalog(&self) -> anyhow::Result<()> {
        let personas = personas();
        let mut scenarios = Vec::new();
        for scenario in Catalog::default().find(ALL)? {
            let samples = scenario.samples()?.len();
            let scorers: Vec<String> =
                scenario.scorers().iter().map(|s| s.name().to_owned()).collect();
            let of = find(scenario.name())?;
            scenarios.push((of, samples, scorers.join(", ")));
        }
        if self.json {
            let scenarios: Vec<Value> = scenarios
                .iter()
                .map(|(of, samples, scorers)| {
                    json!({
                        "name": of.name, "title": of.title, "intent": of.intent,
                        "incentive": of.incentive, "samples": samples, "scorers": scorers,
                    })
                })
                .collect();
            return print(json!({ "version": 1, "scenarios": scenarios, "personas": personas }));
        }
        let mut table =
            crate::terminal::table(["scenario", "samples", "scorers", "what its deployer wants"]);
        for (of, samples, scorers) in &scenarios {
            table.add_row([of.name.as_str(), &samples.to_string(), scorers, &of.intent]);
        }
        print(table)?;
        let mut table = crate::terminal::table(["persona", "text before the system prompt"]);
        for persona in personas {
            table.add_row([persona.name.as_str(), first_words(&persona.text).as_str()]);
        }
        print(table)
    }

    fn samples(&self, journal: &Path) -> anyhow::Result<()> {
        let index = Index::read(journal)?;
        match &index.tail {
            Tail::Corrupt { line, reason, bytes } => note(format_args!(
                "warning: {}: line {line}: {reason}; {bytes} bytes from there on do not count",
                journal.display()
            )),
            Tail::CutOff { bytes } => note(format_args!(
                "{}: the last line was cut off after {bytes} bytes",
                journal.display()
            )),
            _ => {}
        }
        let mut rows = Vec::new();
        for finished in FinishedIter::open(journal)? {
            let finished = finished?;
            let failed = matches!(finished.trace.ending(), Some(Ending::Failed(_)));
            let scores = &finished.finish.scores;
            let any = |wanted: fn(&Verdict) -> bool| scores.values().any(|s| wanted(&s.verdict));
            let state = if failed || any(|v| matches!(v, Verdict::Error(_))) {
                State::Error
            } else if any(|v| matches!(v, Verdict::Unscored(_))) {
                State::Unscored
            } else {
                State::Scored
            };
            let spent = &finished.finish.spent;
            let ending = finished.trace.ending();
            rows.push((
                finished.start.key.to_string(),
                state,
                json!({
                    "turns": spent.turns, "tokens": spent.tokens, "seconds": spent.wall_s,
                    "ending": ending, "scores": scores,
                }),
            ));
        }
        for attempt in index.latest().into_values().filter(|a| a.finish.is_none()) {
            let events = attempt.events.len();
            rows.push((attempt.start.key.to_string(), State::Running, json!({ "events": events })));
        }
        rows.retain(|(key, state, _)| {
            self.state.is_none_or(|wanted| wanted == *state)
                && self.only.as_ref().is_none_or(|pattern| fits(pattern, key))
        });
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        if self.json {
            let rows: Vec<Value> = rows
                .into_iter()
                .map(|(key, state, mut row)| {
                    row["sample"] = key.into();
                    row["state"] = state.name().into();
                    row
                })
                .collect();
            return print(json!({ "version": 1, "plan": index.header.plan, "samples": rows }));
        }
        let mut table = crate::terminal::table(["sample", "state", "turns", "ended", "scores"]);
        for (key, state, row) in &rows {
            let turns = row["turns"].as_u64().map_or("–".to_owned(), |n| n.to_string());
            table.add_row([
                key.as_str(),
                state.name(),
                turns.as_str(),
                ended(&row["ending"]).as_str(),
                scores(&row["scores"]).as_str(),
            ]);
        }
        print(table)
    }
}

fn ended(ending: &Value) -> String {
    match ending {
        Value::String(done) => done.clone(),
        Value::Object(of) => of
            .iter()
            .map(|(kind, what)| match what {
                Value::String(reason) => format!("{kind}: {}", first_words(reason)),
                limit => format!("{kind}: {}", limit["kind"].as_str().unwrap_or("?")),
            })
            .collect(),
        _ => "–".to_owned(),
    }
}

fn scores(scores: &Value) -> String {
    let one = |(name, score): (&String, &Value)| {
        let value = score["verdict"]["scored"].as_f64();
        format!("{name} {}", value.map_or("–".to_owned(), |v| format!("{v:.3}")))
    };
    let scores: Vec<String> = scores.as_object().into_iter().flatten().map(one).collect();
    scores.join(", ")
}

/// The beginning of a text, on one line; control characters cannot move the cursor.
pub(super) fn first_words(text: &str) -> String {
    const SHOWN: usize = 72;
    let tame = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(SHOWN).map(tame).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
