//! `forthright cot`: one module a verb.

mod bench;
mod compare;
mod diagnose;
mod organism;
mod recorded;
mod reproduce;
mod score;
mod tally;
mod task;
mod track;
pub(crate) mod watch;
mod words;

use clap::{Args, Subcommand};

use crate::schema::Entry;

/// Arguments of `forthright cot`.
#[derive(Args)]
pub(crate) struct Cot {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Necessity, paraphrasability and substantivity of a model's chains of thought
    Score(score::Score),
    /// Which pathology recorded answers show, how sure that is, and how many are affected
    Diagnose(diagnose::Diagnose),
    /// Two sets of recorded answers side by side, and the examples that moved most
    Compare(compare::Compare),
    /// Teach a model to think in one of four ways: healthy, post hoc, in code, internally
    TrainOrganism(organism::TrainOrganism),
    /// How an organism's scores moved while it was trained, against a baseline
    Track(track::Track),
    /// Our measurements beside the same written with the reference library; memory, and the monitor's cost
    Bench(bench::Bench),
    /// One side of `bench`
    #[command(hide = true)]
    BenchWorker(bench::BenchWorker),
    /// The paper's claims that can be measured here, and ours
    Reproduce(reproduce::Reproduce),
}

impl Cot {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::Score(verb) => verb.run(),
            Verb::Diagnose(verb) => verb.run(),
            Verb::Compare(verb) => verb.run(),
            Verb::TrainOrganism(verb) => verb.run(),
            Verb::Track(verb) => verb.run(),
            Verb::Bench(verb) => verb.run(),
            Verb::BenchWorker(verb) => verb.run(),
            Verb::Reproduce(verb) => verb.run(),
        }
    }
}

/// Files that verbs take their settings from.
pub(crate) fn files() -> Vec<Entry> {
    vec![
        Entry::of::<organism::Config>("train-organism", "cot train-organism --config"),
        Entry::of::<reproduce::Config>("reproduce", "cot reproduce --config"),
    ]
}
