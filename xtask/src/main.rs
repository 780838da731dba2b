#![doc = include_str!("../README.md")]
#![expect(clippy::print_stderr, reason = "a command speaks to its user at its root")]

mod checks;
mod reproduce;
mod setup;
mod tidy;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};

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
    /// Checks floors, features and file rules from the dependency tree
    Tidy(tidy::Tidy),
}

/// What a task came to.
enum Outcome {
    Fine,
    /// It ran, and what it checked is not as it should be.
    Failed,
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Setup(task) => task.run(),
        Task::Reproduce(task) => task.run(),
        Task::Test(task) => task.run(),
        Task::Tidy(task) => task.run(),
    };
    match result {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
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

/// Runs a command in the root, showing it and its time; whether it succeeded.
fn step(program: &str, args: &[&str], envs: &[(&str, &str)]) -> anyhow::Result<bool> {
    let shown: Vec<String> = envs
        .iter()
        .map(|(k, v)| format!("{k}={v:?}"))
        .chain(std::iter::once(program.to_owned()))
        .chain(args.iter().map(|&a| a.to_owned()))
        .collect();
    eprintln!("$ {}", shown.join(" "));
    let start = Instant::now();
    let status = Command::new(program)
        .args(args)
        .envs(envs.iter().copied())
        .current_dir(root())
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    eprintln!(
        "  {} after {:.1} s",
        if status.success() { "ok" } else { "FAILED" },
        start.elapsed().as_secs_f64()
    );
    Ok(status.success())
}

/// Shows a finding.
fn report(finding: &str) {
    eprintln!("{finding}");
}

/// Standard output of a command in the root, which must succeed.
fn output(program: &str, args: &[&str]) -> anyhow::Result<String> {
    let out = Command::new(program)
        .args(args)
        .current_dir(root())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !out.status.success() {
        bail!(
            "{program} {} failed: {}",
            args.join(" "),
            String::from_utf8_lossy(&out.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
