//! `forthright portfolio`: one module a verb.

mod bench;
mod evaluate;
mod frontier;
mod off_policy;
mod quote;
mod reproduce;
mod simulate;
mod solve;
mod train;
mod trials;

use clap::{Args, Subcommand};

use crate::schema::Entry;

/// Arguments of `forthright portfolio`.
#[derive(Args)]
pub(crate) struct Portfolio {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Let firms quote to a synthetic market, and count what each wins and earns
    Simulate(simulate::Simulate),
    /// Solve a small instance exactly, and say how far short simpler policies fall
    Solve(solve::Solve),
    /// Quote a stream of customers, with the reasons for every price
    Quote(quote::Quote),
    /// Estimate what another plan would have earned, from quotes that were logged
    OffPolicy(off_policy::OffPolicy),
    /// Let the firms of one trial learn, and plan for a target
    Train(train::Train),
    /// Compare bids and pursuits in paired worlds, with intervals
    Evaluate(evaluate::Evaluate),
    /// Profit against the distance from the target
    Frontier(frontier::Frontier),
    /// The paper's claims that can be measured here, and ours
    Reproduce(Box<reproduce::Reproduce>),
    /// How fast market, decisions and whole trials are, beside the same in Python
    Bench(bench::Bench),
}

impl Portfolio {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::Simulate(verb) => verb.run(),
            Verb::Solve(verb) => verb.run(),
            Verb::Quote(verb) => verb.run(),
            Verb::OffPolicy(verb) => verb.run(),
            Verb::Train(verb) => verb.run(),
            Verb::Evaluate(verb) => verb.run(),
            Verb::Frontier(verb) => verb.run(),
            Verb::Reproduce(verb) => verb.run(),
            Verb::Bench(verb) => verb.run(),
        }
    }
}

/// Files that verbs take their settings from.
pub(crate) fn files() -> Vec<Entry> {
    vec![
        Entry::of::<simulate::Settings>("simulate", "portfolio simulate --config"),
        Entry::of::<portfolio_pursuit::exact::Instance>("solve", "portfolio solve --instance"),
        Entry::of::<portfolio_pursuit::quoting::Plan>(
            "quote",
            "portfolio quote, off-policy --plan",
        ),
        Entry::of::<reproduce::Config>(
            "reproduce",
            "portfolio reproduce, evaluate, frontier, train --config",
        ),
    ]
}
