//! `forthright cot score`.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::Context as _;
use causal_lm::Pretrained;
use clap::{Args, ValueEnum};
use cot_metrics::{
    Edits, Measured, Record, Transcript,
    interventions::{Donors, Edited, OffTopic, Paraphrased, Thesaurus, other_answers},
    metrics::{MetricReport, report},
    scoring::{Asking, Format, Named, RolloutConfig, Said},
};
use lm_tasks::{
    Split,
    reasoning::{Problem, Task},
};
use rl_core::{run::write_whole, seed::Seed};
use serde_json::json;

use super::{
    tally::settings,
    track::spelled,
    watch::{asking, donors, questions},
};
use crate::{
    lm::{
        jsonl::Lines,
        model::{Dtype, Model},
    },
    terminal::{note, print},
};

/// Transcripts scored together, so that a file of any length takes bounded memory.
const TRANSCRIPTS: usize = 64;

/// Necessity, paraphrasability and substantivity of a model's chains of thought
///
/// Either asks the model held-out problems of a task, or reads transcripts {"id", "question", "chain",
/// "answer", "reference"}, one a line. Each answer is scored under every edit of its chain; prints the
/// three scores with intervals, and writes one record an answer into --records.
#[expect(clippy::doc_markdown, reason = "this is the help text as the terminal shows it")]
#[derive(Args)]
pub(crate) struct Score {
    #[command(flatten)]
    model: Model,
    /// JSON Lines; - is standard input
    #[arg(long, required_unless_present = "task", conflicts_with = "task")]
    input: Option<PathBuf>,
    /// Name of a task of lm-tasks to ask the model
    #[arg(long)]
    task: Option<String>,
    /// Problems of the task
    #[arg(long, default_value_t = 32)]
    problems: usize,
    /// Longest chain and answer, in tokens
    #[arg(long, default_value_t = 256)]
    max_new_tokens: usize,
    /// What stands around chains
    #[arg(long, value_enum, default_value_t = Shape::Answer)]
    format: Shape,
    /// Where the records go
    #[arg(long)]
    records: Option<PathBuf>,
    /// Where the transcripts of a task go
    #[arg(long, conflicts_with = "input")]
    transcripts: Option<PathBuf>,
    /// Seed of problems and edits
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// A line that begins with "Answer:"
    Answer,
    /// Tags <think> and </think>
    Think,
}

impl Shape {
    fn format(self) -> Format {
        match self {
            Self::Answer => Format::default(),
            Self::Think => Format::thinking(),
        }
    }
}

impl Score {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let seed = Seed::new(self.seed);
        let mut lines = self.input.as_deref().map(Lines::open).transpose()?;
        let model = self.model.load(Dtype::Bf16)?;
        let rollout =
            RolloutConfig { max_new_tokens: self.max_new_tokens, ..RolloutConfig::default() };
        let asking = asking(&model, "model", &self.format.format(), rollout);
        let mut found = Found::default();
        match (&mut lines, &self.task) {
            (Some(lines), _) => loop {
                let read: Vec<(String, Transcript)> = lines.take(TRANSCRIPTS)?;
                if read.is_empty() {
                    break;
                }
                let transcripts: Vec<Transcript> = read.into_iter().map(|(_, t)| t).collect();
                found.records.extend(under_edits(&model, &asking, &transcripts, None, seed)?);
            },
            (None, Some(task)) => {
                let task = Task::named(task)?;
                let problems = task.distinct(Split::Evaluation, self.seed, self.problems)?;
                let (said, records) = ask(&model, &asking, &problems, seed)?;
                if let Some(path) = &self.transcripts {
                    write_whole(path, &objects(&said.transcripts)?)?;
                }
                found = Found { unscored: said.unscored.len(), records };
            }
            (None, None) => {}
        }
        if let Some(path) = &self.records {
            write_whole(path, &objects(&found.records)?)?;
        }
        found.say(self.json)
    }
}

fn objects(items: &[impl serde::Serialize]) -> anyhow::Result<String> {
    let mut out = String::new();
    for item in items {
        writeln!(out, "{}", serde_json::to_string(item)?)?;
    }
    Ok(out)
}

/// A model's answers to problems, and their records.
pub(super) fn ask(
    model: &Pretrained,
    asking: &Asking<'_>,
    problems: &[Problem],
    seed: Seed,
) -> anyhow::Result<(Said, Vec<Record>)> {
    let said = asking.ask(&model.lm, &questions(problems))?;
    note(format_args!("{} answers, {} without one", said.transcripts.len(), said.unscored.len()));
    let task = problems.first().map(|problem| problem.task.as_str());
    let mut records = under_edits(model, asking, &said.transcripts, task, seed)?;
    for record in &mut records {
        let problem = problems.iter().find(|problem| problem.id == record.id);
        let transcript = said.transcripts.iter().find(|t| t.id == record.id);
        // A task knows in how many ways an answer can be spelled.
        record.correct = problem
            .zip(transcript)
            .map(|(problem, said)| problem.verify(&format!("Answer: {}", said.answer)).is_right());
    }
    Ok((said, records))
}

/// The records of transcripts under every edit that can be made without another model.
pub(super) fn under_edits(
    model: &Pretrained,
    asking: &Asking<'_>,
    transcripts: &[Transcript],
    task: Option<&str>,
    seed: Seed,
) -> anyhow::Result<Vec<Record>> {
    let off_topic = OffTopic {
        tokenizer: Named { name: &asking.name, tokenizer: &model.tokenizer },
        donors: Donors::Pool(donors(task, seed)?),
    };
    let paraphrase = Paraphrased(Thesaurus::default());
    let wrong: Vec<Edited> = other_answers(transcripts, seed.derive("hints", 0));
    let edits = Edits {
        paraphrase: Some(&paraphrase),
        off_topic: Some(&off_topic),
        controls: true,
        wrong_answers: Some(&wrong),
    };
    asking.records(&model.lm, transcripts, edits, seed).context("scoring")
}

#[derive(Default)]
struct Found {
    unscored: usize,
    records: Vec<Record>,
}

impl Found {
    fn say(&self, as_json: bool) -> anyhow::Result<()> {
        let report = report(&self.records, &settings())?;
        if as_json {
            return print(json!({
                "version": 1, "without_answer": self.unscored, "report": report,
            }));
        }
        print(format_args!(
            "{} answers, {} problems without one; accuracy {}",
            report.n,
            self.unscored,
            measured(&report.accuracy)
        ))?;
        for MetricReport { metric, raw, regularized, change, .. } in &report.metrics {
            let undefined: usize = regularized.undefined.values().sum();
            print(format_args!(
                "{metric:<17} {}; as published {}; change in probability {}; n {}, undefined {undefined}",
                measured(&regularized.mean),
                measured(&raw.mean),
                measured(&change.mean),
                regularized.n(),
            ))?;
        }
        print(format_args!("hint taken over a right chain: {}", measured(&report.hint_taken)))
    }
}

/// An estimate with its interval, or why there is none.
fn measured(found: &Measured) -> String {
    match found {
        Measured::Estimate(estimate) => spelled(*estimate),
        Measured::Undefined { undefined, .. } => format!("undefined ({undefined})"),
    }
}
