//! `forthright early-exit`: one module a verb.

mod calibrate;
mod evaluate;
mod generate;
mod measure;
mod pretrain;
mod reproduce;
mod rule;
mod scratch;
mod store;
mod task;
mod timing;
mod train;
mod transcript;

use clap::{Args, Subcommand};

use crate::schema::Entry;

/// Arguments of `forthright early-exit`.
#[derive(Args)]
pub(crate) struct EarlyExit {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Teach a model a task by chains of thought: a small one of characters from scratch, or one that
    /// is there
    Pretrain(pretrain::Pretrain),
    /// Teach gates, and the model behind them, where a token may leave
    Calibrate(calibrate::Calibrate),
    /// Reinforcement learning: leave as early as the task allows
    Train(train::Train),
    /// Answers that show how deep each token went
    Generate(generate::Generate),
    /// Accuracy, depth, what exits change and what they save, on held-out problems
    Evaluate(evaluate::Evaluate),
    /// The paper's claims that can be measured here, and ours
    Reproduce(reproduce::Reproduce),
}

impl EarlyExit {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::Pretrain(verb) => verb.run(),
            Verb::Calibrate(verb) => verb.run(),
            Verb::Train(verb) => verb.run(),
            Verb::Generate(verb) => verb.run(),
            Verb::Evaluate(verb) => verb.run(),
            Verb::Reproduce(verb) => verb.run(),
        }
    }
}

/// Files that verbs take their settings from.
pub(crate) fn files() -> Vec<Entry> {
    vec![
        Entry::of::<pretrain::Config>("pretrain", "early-exit pretrain --config"),
        Entry::of::<calibrate::Config>("calibrate", "early-exit calibrate --config"),
        Entry::of::<train::Config>("train", "early-exit train --config"),
        Entry::of::<reproduce::Config>("reproduce", "early-exit reproduce --config"),
    ]
}
