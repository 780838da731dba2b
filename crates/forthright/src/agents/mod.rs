//! `forthright agents`: one module a verb.

mod analyse;
mod arms;
mod bench;
mod catalog;
mod compare;
mod config;
mod export;
mod list;
mod model;
mod plan;
mod replay;
mod reproduce;
mod rescore;
mod results;
mod run;
mod script;
mod view;
mod watch;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use tokio::runtime::Runtime;

use crate::schema::Entry;

/// Arguments of `forthright agents`.
#[derive(Args)]
pub(crate) struct Agents {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run scenarios
    Run(Box<run::Run>),
    /// Put scenarios as questionnaires, and in the steps between asking and living
    Arms(Box<arms::Arms>),
    /// What agents say and what they do: gaps, the ladder, validity, calibration, controls
    Analyse(analyse::Analyse),
    /// What a run of arms would need, and what it could find
    Plan(Box<plan::Plan>),
    /// Scripted agents and a language model through all scenarios and arms, and what came of it
    Reproduce(reproduce::Reproduce),
    /// Scenarios and personas; or the samples of a run
    List(list::List),
    /// Go on with a run
    Resume(run::Resume),
    /// Judge the samples of a run again, without a model
    Rescore(rescore::Rescore),
    /// Go through a run again, without a model, and compare every event
    Replay(replay::Replay),
    /// Write a run as logs that Inspect reads
    Export(export::Export),
    /// Check a log of Inspect's, and say what is in it
    Import(export::Import),
    /// Write a page to look at samples with
    View(view::View),
    /// Differences between two runs, agents or personas on the same samples
    Compare(compare::Compare),
    /// What the harness itself costs, beside Inspect
    Bench(bench::Bench),
    /// One side of `bench`
    #[command(hide = true)]
    BenchWorker(bench::BenchWorker),
}

impl Agents {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::Run(verb) => verb.run(),
            Verb::Arms(verb) => verb.run(),
            Verb::Analyse(verb) => verb.run(),
            Verb::Plan(verb) => verb.run(),
            Verb::Reproduce(verb) => verb.run(),
            Verb::List(verb) => verb.run(),
            Verb::Resume(verb) => verb.run(),
            Verb::Rescore(verb) => verb.run(),
            Verb::Replay(verb) => verb.run(),
            Verb::Export(verb) => verb.run(),
            Verb::Import(verb) => verb.run(),
            Verb::View(verb) => verb.run(),
            Verb::Compare(verb) => verb.run(),
            Verb::Bench(verb) => verb.run(),
            Verb::BenchWorker(verb) => verb.run(),
        }
    }
}

/// Files that verbs take their settings from.
pub(crate) fn files() -> Vec<Entry> {
    vec![
        Entry::of::<config::RunConfig>("run", "agents run, arms, plan --config"),
        Entry::of::<agent_evals::analysis::Settings>("analyse", "agents analyse --config"),
        Entry::of::<chat_model::StackConfig>(
            "endpoint",
            "agents run, arms, plan --endpoint, --coder",
        ),
        Entry::of::<script::Script>("script", "agents run, arms, plan --script"),
        Entry::of::<reproduce::Config>("reproduce", "agents reproduce --config"),
    ]
}

/// What runs samples.
fn runtime() -> anyhow::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("starting the threads that run samples")
}

/// The journal of a run, given by its folder or by itself.
fn journal(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(run::JOURNAL) } else { path.to_owned() }
}
