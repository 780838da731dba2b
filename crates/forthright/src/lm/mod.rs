//! `forthright lm`: one module a verb.

mod bench;
mod chat;
mod convert;
mod finetune;
mod floors;
mod generate;
mod inspect;
pub(crate) mod jsonl;
pub(crate) mod model;
mod perplexity;
mod reproduce;
pub(crate) mod sampling;
mod score;

use clap::{Args, Subcommand};

use crate::schema::Entry;

/// Arguments of `forthright lm`.
#[derive(Args)]
pub(crate) struct Lm {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// What a checkpoint holds
    Inspect(inspect::Inspect),
    /// Complete a prompt, or every line of a file
    Generate(generate::Generate),
    /// Talk with a model
    Chat(chat::Chat),
    /// Train on examples: an adapter, or all weights
    Finetune(finetune::Finetune),
    /// Log-probabilities of every token of a file's texts
    Score(score::Score),
    /// Mean negative log-likelihood of a text file
    Perplexity(perplexity::Perplexity),
    /// Write any checkpoint in the Hugging Face layout
    Convert(convert::Convert),
    /// Our speed beside the machine's floors, and beside the reference library's
    Bench(bench::Bench),
    /// One side of `bench`
    #[command(hide = true)]
    BenchWorker(bench::BenchWorker),
    /// The default model on real input, measured and written down
    Reproduce(reproduce::Reproduce),
}

impl Lm {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::Inspect(verb) => verb.run(),
            Verb::Generate(verb) => verb.run(),
            Verb::Chat(verb) => verb.run(),
            Verb::Finetune(verb) => verb.run(),
            Verb::Score(verb) => verb.run(),
            Verb::Perplexity(verb) => verb.run(),
            Verb::Convert(verb) => verb.run(),
            Verb::Bench(verb) => verb.run(),
            Verb::BenchWorker(verb) => verb.run(),
            Verb::Reproduce(verb) => verb.run(),
        }
    }
}

/// Files that verbs take their settings from.
pub(crate) fn files() -> Vec<Entry> {
    vec![
        Entry::of::<finetune::Config>("finetune", "lm finetune --config"),
        Entry::of::<reproduce::Config>("reproduce", "lm reproduce --config"),
    ]
}
