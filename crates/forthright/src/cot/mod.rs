//! `forthright cot`: one module a verb.

mod organism;
mod reproduce;
mod score;
mod tally;
mod task;
mod track;
pub(crate) mod watch;

use clap::{Args, Subcommand};

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
    /// Teach a model to think in one of four ways: healthy, post hoc, in code, internally
    TrainOrganism(organism::TrainOrganism),
    /// How an organism's scores moved while it was trained, against a baseline
    Track(track::Track),
    /// The paper's claims that can be measured here, and ours
    Reproduce(reproduce::Reproduce),
}

impl Cot {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::Score(verb) => verb.run(),
            Verb::TrainOrganism(verb) => verb.run(),
            Verb::Track(verb) => verb.run(),
            Verb::Reproduce(verb) => verb.run(),
        }
    }
}
