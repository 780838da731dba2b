//! `forthright portfolio`: one module a verb.

mod bench;
mod quote;
mod simulate;
mod solve;

use clap::{Args, Subcommand};

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
    /// How fast the market is, beside the same market in NumPy
    Bench(bench::Bench),
}

impl Portfolio {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        match &self.verb {
            Verb::Simulate(verb) => verb.run(),
            Verb::Solve(verb) => verb.run(),
            Verb::Quote(verb) => verb.run(),
            Verb::Bench(verb) => verb.run(),
        }
    }
}

/// A table for standard output.
fn table(header: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(header);
    table
}
