//! `forthright early-exit evaluate`.

use std::path::PathBuf;

use causal_lm::{
    Pretrained,
    generate::{Sampling, Truncation},
};
use clap::Args;
use early_exit_model::{EarlyExitModel, Engine, Rule};
use lm_tasks::{Split, reasoning::Task};
use rl_core::seed::Seed;
use serde::Serialize;
use serde_json::json;

use super::{
    measure::{Settings, Summary, answer, summarize},
    rule::{self, RuleArg},
    store,
    task::{Asked, TaskConfig, without_chain},
    timing::{BATCHES, Timer, Timing},
};
use crate::{
    lm::model::{Dtype, Model},
    terminal::print,
};

/// Accuracy, depth, what exits change and what they save, on held-out problems
///
/// Under the rule, and beside it: the base model, exits off, random exits with the same histogram,
/// all tokens forced to leave at each site, answers with no chain of thought, and the time of a token
/// with and without exits.
#[derive(Args)]
pub(crate) struct Evaluate {
    #[command(flatten)]
    model: Model,
    /// Exits, as `calibrate` or `train` wrote them
    #[arg(long)]
    exits: PathBuf,
    /// Settings of the run, such as its config.toml: the task is read from it
    #[arg(long)]
    config: Option<PathBuf>,
    /// Name of the task, with its usual settings
    #[arg(long, conflicts_with = "config")]
    task: Option<String>,
    /// Who leaves where: greedy, sample, threshold=P, forced=BLOCKS, teacher=KAPPA, off or
    /// random=WEIGHT,WEIGHT,…
    #[arg(long, default_value = "greedy")]
    rule: RuleArg,
    /// Problems
    #[arg(long, default_value_t = 256)]
    limit: usize,
    /// Longest answer in tokens
    #[arg(long, default_value_t = 64)]
    max_new_tokens: usize,
    /// Draw tokens at this temperature instead of taking the most probable ones
    #[arg(long)]
    temperature: Option<f64>,
    /// Answers made together
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Only the rule and the base model: no controls, probes and timing
    #[arg(long)]
    quick: bool,
    /// Pairs of runs that are timed; 0 for none
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Seed of the answers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One JSON document with every answer under the rule
    #[arg(long)]
    json: bool,
}

/// What is read of a run's settings.
#[derive(serde::Deserialize)]
struct OfRun {
    task: TaskConfig,
}

/// One line of the result.
#[derive(Serialize)]
struct Row {
    name: String,
    #[serde(flatten)]
    summary: Summary,
}

impl Evaluate {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let task = match (&self.config, &self.task) {
            (Some(path), _) => crate::settings::read_toml::<OfRun>(path)?.task,
            (None, Some(name)) => {
                TaskConfig { problem: Task::named(name)?, ..TaskConfig::default() }
            }
            (None, None) => TaskConfig::default(),
        };
        let settings = self.settings();
        settings.sampling.validate()?;
        let model = self.model.load(Dtype::F32)?;
        let exits = store::load(&self.exits, &model.lm, None)?;
        self.rule.0.validate(exits.sites())?;
        let asked = task.asked(&model, Split::Evaluation, self.limit, self.max_new_tokens)?;
        let of = Of { model: &model, exits: &exits, settings: &settings };
        let engine = Engine::new(&exits, true);
        let mut rows =
            vec![of.row("base", &Engine::of_reference(&exits, true), &asked, &Rule::Off)?];
        let made = answer(&engine, &model, &asked, &settings, &self.rule.0)?;
        let summary = summarize(&engine, Some(&exits), &asked, &made, settings.seed)?;
        let random = summary.depths.as_ref().map(|depths| depths.random_control(&engine));
        rows.push(Row { name: "exits".into(), summary });
        if !self.quick {
            rows.push(of.row("exits off", &engine, &asked, &Rule::Off)?);
            if let Some(random) = random.filter(|_| self.rule.0 != Rule::Off) {
                rows.push(of.row("random control", &engine, &asked, &random)?);
            }
            for &blocks in exits.sites().blocks() {
                rows.push(of.row("forced shallow", &engine, &asked, &Rule::Forced(blocks))?);
            }
            let bare: Vec<Asked> =
                asked.iter().map(|a| without_chain(&model, a)).collect::<anyhow::Result<_>>()?;
            rows.push(of.row("no chain, full depth", &engine, &bare, &Rule::Off)?);
            rows.push(of.row("no chain, exits", &engine, &bare, &self.rule.0)?);
        }
        let timings =
            if self.quick || self.repeats == 0 { Vec::new() } else { self.time(&engine, &asked)? };
        if self.json {
            let answers: Vec<_> = asked
                .iter()
                .zip(&made.texts)
                .zip(made.made.iter().zip(&made.tally.right))
                .map(|((asked, text), (made, right))| {
                    let blocks: Vec<usize> = made.exits.iter().map(|exit| exit.blocks).collect();
                    json!({
                        "id": asked.problem.id, "text": text, "right": right, "blocks": blocks,
                    })
                })
                .collect();
            return print(json!({
                "version": 1, "sites": exits.sites(), "rows": rows, "timings": timings,
                "answers": answers,
            }));
        }
        print(table(&rows, exits.sites().num_layers()))?;
        for timing in timings {
            print(said(&timing))?;
        }
        Ok(())
    }

    fn settings(&self) -> Settings {
        let sampling = self.temperature.map_or(Sampling::Greedy, |temperature| {
            Sampling::Random(Truncation { temperature, ..Truncation::default() })
        });
        let seed = Seed::new(self.seed);
        Settings { max_new_tokens: self.max_new_tokens, sampling, batch: self.batch, seed }
    }

    fn time(&self, engine: &Engine, asked: &[Asked]) -> anyhow::Result<Vec<Timing>> {
        let prompts: Vec<Vec<u32>> = asked.iter().take(16).map(|a| a.prompt.clone()).collect();
        anyhow::ensure!(self.repeats > 1, "--repeats: expected 0 or at least 2, found 1");
        let tokens = self.max_new_tokens.max(2);
        let timer = Timer { engine, prompts: &prompts, tokens, repeats: self.repeats };
        BATCHES.into_iter().map(|batch| timer.compare(&self.rule.0, batch)).collect()
    }
}

/// What all lines are made from.
struct Of<'a> {
    model: &'a Pretrained,
    exits: &'a EarlyExitModel,
    settings: &'a Settings,
}

impl Of<'_> {
    fn row(
        &self,
        name: &str,
        engine: &Engine,
        asked: &[Asked],
        rule: &Rule,
    ) -> anyhow::Result<Row> {
        let made = answer(engine, self.model, asked, self.settings, rule)?;
        let exits = (*rule != Rule::Off).then_some(self.exits);
        let summary = summarize(engine, exits, asked, &made, self.settings.seed)?;
        let name = match rule {
            Rule::Forced(_) => rule::name(rule),
            _ => name.to_owned(),
        };
        Ok(Row { name, summary })
    }
}

fn table(rows: &[Row], all: usize) -> comfy_table::Table {
    let blocks = format!("blocks of {all}");
    let mut table = crate::terminal::table([
        "",
        "accuracy",
        blocks.as_str(),
        "work saved",
        "exit rates",
        "KL",
        "length",
        "ended",
        "depth ~ surprisal",
    ]);
    for Row { name, summary } in rows {
        let [low, high] = summary.accuracy.interval;
        let none = || "-".to_owned();
        let rates: Vec<String> =
            summary.exit_rates.iter().map(|rate| format!("{rate:.2}")).collect();
        table.add_row([
            name.clone(),
            format!("{:.3} [{low:.3}, {high:.3}]", summary.accuracy.value),
            summary.depths.as_ref().map_or_else(none, |d| format!("{:.2}", d.blocks)),
            summary
                .depths
                .as_ref()
                .map_or_else(none, |d| format!("{:.1} %", 100.0 * d.flops_saved)),
            rates.join(" "),
            summary.kl.map_or_else(none, |kl| format!("{kl:.4}")),
            format!("{:.1}", summary.length),
            format!("{:.2}", summary.ended),
            summary.depth_surprisal.map_or_else(none, |e| {
                format!("{:.2} [{:.2}, {:.2}]", e.value, e.interval[0], e.interval[1])
            }),
        ]);
    }
    table
}

fn said(timing: &Timing) -> String {
    let Timing { batch, full_ms, exits_ms, time_saved, flops_saved } = timing;
    let [low, high] = time_saved.interval.map(|end| 100.0 * end);
    format!(
        "batch {batch}: {full_ms:.3} ms a token at full depth, {exits_ms:.3} ms with exits: {:.1} % of \
         the time saved [{low:.1}, {high:.1}], {:.1} % of the work",
        100.0 * time_saved.value,
        100.0 * flops_saved
    )
}
