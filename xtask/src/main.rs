#![doc = include_str!("../README.md")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command speaks to its user at its root"
)]

mod bench;
mod checks;
mod fuzz;
mod instructions;
mod peers;
mod program;
mod report;
mod reproduce;
mod setup;
mod shell;
mod tidy;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use shell::{output, step};

/// Sets up, checks and orchestrates the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Fetches libtorch and the default model into the user's cache and links them into target/
    Setup(setup::Setup),
    /// Runs pipelines on real input and writes summary.json and report.html
    Reproduce(reproduce::Reproduce),
    /// Runs everything that CI runs: formatting, tidy, lints, tests, doctests, docs
    Test(checks::Test),
    /// Measures speed: criterion's benches, and reference libraries side by side
    Bench(bench::Bench),
    /// Fuzzes the readers of foreign files, from seeds and from what earlier runs reached
    Fuzz(fuzz::Fuzz),
    /// Writes summary.json and report.html of a folder of runs
    Report(report::Report),
    /// Checks floors, licenses, duplicates, unused dependencies, names in documents and file rules
    Tidy(tidy::Tidy),
}

/// What a task came to.
enum Outcome {
    Fine,
    /// It ran, and what it checked is not as it should be.
    Failed,
    /// The exit code of what it ran.
    Code(u8),
}

fn main() -> ExitCode {
    shell::listen();
    let result = match Cli::parse().task {
        Task::Setup(task) => task.run(),
        Task::Reproduce(task) => task.run(),
        Task::Test(task) => task.run(),
        Task::Bench(task) => task.run(),
        Task::Fuzz(task) => task.run(),
        Task::Report(task) => task.run(),
        Task::Tidy(task) => task.run(),
    };
    match result {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Ok(Outcome::Code(code)) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The workspace's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where cargo builds: `target/`, unless the user says otherwise.
fn target_dirs() -> Vec<PathBuf> {
    let mut dirs = vec![root().join("target")];
    dirs.extend(std::env::var_os("CARGO_TARGET_DIR").map(|dir| root().join(dir)));
    dirs
}

/// Shows what a task finds.
fn report(finding: &str) {
    eprintln!("{finding}");
}

/// Prints what a task was asked for.
fn say(result: &str) {
    println!("{result}");
}
