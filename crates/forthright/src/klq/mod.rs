//! `forthright klq`: one module a verb.

mod bench;
mod evaluate;
mod judge;
mod oracle;
mod reproduce;
mod reward_model;
mod task;
mod train;

use clap::{Args, Subcommand};

use crate::schema::Entry;

/// Arguments of `forthright klq`.
#[derive(Args)]
pub(crate) struct Klq {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Train a policy with KLQ, PPO, leave-one-out REINFORCE or group-relative policy optimisation
    Train(train::Train),
    /// Score, KL, length and entropy of a policy on held-out prompts, with intervals
    Evaluate(evaluate::Evaluate),
    /// How often the answers of one policy win against another's, as a third model sees it
    Judge(judge::JudgeCommand),
    /// A reward model from preferences: train one, or ask how often it agrees
    RewardModel(reward_model::RewardModelCommand),
    /// KLQ and PPO on random problems whose optimum is known exactly
    Oracle(oracle::Oracle),
    /// Our trainer beside that of the reference library
    Bench(bench::Bench),
    /// One side of `bench`
    #[command(hide = true)]
    BenchWorker(bench::BenchWorker),
    /// The paper's claims that can be measured here, and ours
    Reproduce(reproduce::Reproduce),
}

impl Klq {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::Train(verb) => verb.run(),
            Verb::Evaluate(verb) => verb.run(),
            Verb::Judge(verb) => verb.run(),
            Verb::RewardModel(verb) => verb.run(),
            Verb::Oracle(verb) => verb.run(),
            Verb::Bench(verb) => verb.run(),
            Verb::BenchWorker(verb) => verb.run(),
            Verb::Reproduce(verb) => verb.run(),
        }
    }
}

/// Files that verbs take their settings from.
pub(crate) fn files() -> Vec<Entry> {
    vec![
        Entry::of::<train::Config>("train", "klq train, evaluate, judge --config"),
        Entry::of::<reward_model::Config>("reward-model", "klq reward-model train --config"),
        Entry::of::<klq::oracle::StudyConfig>("oracle", "klq oracle --config"),
        Entry::of::<chat_model::StackConfig>("endpoint", "klq judge --endpoint"),
        Entry::of::<reproduce::Config>("reproduce", "klq reproduce --config"),
    ]
}
