//! `forthright cot score`.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::Context as _;
use causal_lm::Pretrained;
use clap::{Args, ValueEnum};
use cot_metrics::{
    Edits, Record, Transcript,
    interventions::{Donors, Edited, OffTopic, Paraphrased, Thesaurus, other_answers},
    metrics::report,
    scoring::{Asking, Format, Named, RolloutConfig, Said},
    transcripts::{Flag, RecordSet, keep_scorable},
};
use lm_tasks::{
    Split,
    reasoning::{Problem, Task},
};
use rl_core::{run::write_whole, seed::Seed};
use serde_json::json;

use super::{
    recorded,
    tally::settings,
    watch::{asking, donors, questions, verify},
};
use crate::{
    lm::model::{Dtype, Model},
    terminal::{note, print},
};

/// Transcripts scored together, so that a file of any length takes bounded memory.
const TRANSCRIPTS: usize = 64;

/// Necessity, paraphrasability and substantivity of a model's chains of thought
///
/// Either asks the model held-out problems of a task, or reads transcripts, one a line: {"id",
/// "question", "chain", "answer"}, or {"id", "question", "response"} with the chain between <think> and
/// </think>; "reference" and "tokenizer" are optional. Lines that cannot be scored are flagged and left
/// out. Each answer is scored under every edit of its chain; prints the three scores with intervals, and
/// writes one record an answer into --records. With --recorded no model is needed: it reads such records.
#[derive(Args)]
pub(crate) struct Score {
    #[command(flatten)]
    model: Model,
    /// JSON Lines; - is standard input
    #[arg(long, required_unless_present_any = ["task", "recorded"], conflicts_with = "task")]
    input: Option<PathBuf>,
    /// Records of log-probabilities, in place of a model; - is standard input
    #[arg(long, conflicts_with_all = ["input", "task", "model", "adapter", "records"])]
    recorded: Option<PathBuf>,
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
        if let Some(path) = &self.recorded {
            let RecordSet { records, flags } = recorded::records(path)?;
            return Found { records, flags, unscored: 0 }.say(self.json);
        }
        let seed = Seed::new(self.seed);
        let set = self.input.as_deref().map(recorded::transcripts).transpose()?;
        let model = self.model.load(Dtype::Bf16)?;
        let rollout =
            RolloutConfig { max_new_tokens: self.max_new_tokens, ..RolloutConfig::default() };
        let asking = asking(&model, "model", &self.format.format(), rollout);
        let mut found = Found::default();
        match (set, &self.task) {
            (Some(set), _) => {
                // The transcripts' own name of their tokenizer is taken for that of the model.
                let named = set.transcripts.iter().find_map(|t| t.tokenizer.clone());
                let name = named.unwrap_or_else(|| asking.name.clone());
                let tokenizer = Named { name: &name, tokenizer: &model.tokenizer };
                let set = keep_scorable(set, &tokenizer, None);
                recorded::note_flags("transcripts", &set.flags);
                for some in set.transcripts.chunks(TRANSCRIPTS) {
                    found.records.extend(under_edits(&model, &asking, some, None, seed)?);
                }
                found.flags = set.flags;
            }
            (None, Some(task)) => {
                let task = Task::named(task)?;
                let problems = task.distinct(Split::Evaluation, self.seed, self.problems)?;
                let (said, records) = ask(&model, &asking, &problems, seed)?;
                if let Some(path) = &self.transcripts {
                    write_whole(path, &objects(&said.transcripts)?)?;
                }
                found = Found { unscored: said.unscored.len(), records, flags: Vec::new() };
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
    note(format_args!(
        "{} answers, {} of them asked for since none was marked, {} without one",
        said.transcripts.len(),
        said.forced.len(),
        said.unscored.len()
    ));
    let task = problems.first().map(|problem| problem.task.as_str());
    let mut records = under_edits(model, asking, &said.transcripts, task, seed)?;
    verify(&mut records, problems, &said.transcripts, &asking.format);
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
    flags: Vec<Flag>,
}

impl Found {
    fn say(&self, as_json: bool) -> anyhow::Result<()> {
        let report = report(&self.records, &settings())?;
        if as_json {
            return print(json!({
                "version": 1, "without_answer": self.unscored, "report": report,
                "left_out": self.flags,
            }));
        }
        if self.unscored > 0 {
            print(format_args!("{} problems without an answer", self.unscored))?;
        }
        recorded::show(&report)
    }
}
