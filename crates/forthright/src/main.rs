#![doc = include_str!("../README.md")]

#[cfg(any(feature = "lm", feature = "agents", feature = "portfolio"))]
mod about;
#[cfg(feature = "agents")]
mod agents;
#[cfg(any(feature = "lm", feature = "agents", feature = "portfolio"))]
mod bench;
#[cfg(feature = "runs")]
mod claims;
#[cfg(feature = "cot")]
mod cot;
#[cfg(feature = "early-exit")]
mod early_exit;
mod examples;
#[cfg(feature = "runs")]
mod interrupt;
#[cfg(feature = "klq")]
mod klq;
#[cfg(feature = "lm")]
mod lm;
#[cfg(feature = "portfolio")]
mod portfolio;
#[cfg(feature = "runs")]
mod progress;
#[cfg(any(feature = "lm", feature = "agents", feature = "portfolio"))]
mod reproduce;
#[cfg(any(feature = "lm", feature = "agents", feature = "portfolio"))]
mod scale;
#[cfg(feature = "runs")]
mod schema;
#[cfg(feature = "runs")]
mod session;
#[cfg(feature = "runs")]
mod settings;
mod terminal;
#[cfg(feature = "lm")]
mod training;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Reinforcement learning and measurement for reasoning models.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    system: System,
}

#[derive(Subcommand)]
enum System {
    /// Language models: look into them, generate, score, convert
    #[cfg(feature = "lm")]
    Lm(Box<lm::Lm>),
    /// KL-regularised Q-learning, PPO and group baselines: train, evaluate, judge
    #[cfg(feature = "klq")]
    Klq(Box<klq::Klq>),
    /// Exits of the forward pass: calibrate, train, measure how deep tokens go
    #[cfg(feature = "early-exit")]
    EarlyExit(Box<early_exit::EarlyExit>),
    /// Chains of thought: score them, make model organisms, watch them in training
    #[cfg(feature = "cot")]
    Cot(Box<cot::Cot>),
    /// Evaluations of agents: run scenarios, go on with runs, judge again, replay, look at them
    #[cfg(feature = "agents")]
    Agents(Box<agents::Agents>),
    /// Insurance portfolio pursuit: a market of quoting firms, exact solutions, quotes with reasons
    #[cfg(feature = "portfolio")]
    Portfolio(Box<portfolio::Portfolio>),
    /// summary.json and report.html of a folder of runs
    Report {
        /// The folder that holds the runs' folders
        folder: PathBuf,
    },
    /// JSON schemas of the files that commands take their settings from
    #[cfg(feature = "runs")]
    Schema(schema::SchemaCommand),
    /// What a shell needs to complete this command's words
    ///
    /// For bash: `source <(forthright completions bash)`.
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    #[cfg(feature = "lm")]
    rl_core::startup::ensure();
    let matches = examples::in_help(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let result: anyhow::Result<()> = match cli.system {
        #[cfg(feature = "lm")]
        System::Lm(command) => command.run(),
        #[cfg(feature = "klq")]
        System::Klq(command) => command.run(),
        #[cfg(feature = "early-exit")]
        System::EarlyExit(command) => command.run(),
        #[cfg(feature = "cot")]
        System::Cot(command) => command.run(),
        #[cfg(feature = "agents")]
        System::Agents(command) => command.run(),
        #[cfg(feature = "portfolio")]
        System::Portfolio(command) => command.run(),
        System::Report { folder } => report(&folder),
        #[cfg(feature = "runs")]
        System::Schema(command) => command.run(),
        System::Completions { shell } => completions(shell),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(unfinished) = error.downcast_ref::<Unfinished>() {
                terminal::note(unfinished);
                ExitCode::from(1)
            } else {
                terminal::note(format_args!("error: {}", sentence(&error)));
                ExitCode::from(2)
            }
        }
    }
}

/// An error and its causes; those that it quotes itself are not said twice.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        said if said.ends_with(&cause) => said.to_owned(),
        said => format!("{said}: {cause}"),
    })
}

/// A run that the user stopped, and how it goes on; or one that could not compute all it should.
#[derive(Debug)]
struct Unfinished(String);

impl std::fmt::Display for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfinished {}

fn report(folder: &Path) -> anyhow::Result<()> {
    let claims = run_report::write(folder)?;
    let count = |met| claims.iter().filter(|c| c.met == met).count();
    let (met, unmet, open) = (count(Some(true)), count(Some(false)), count(None));
    terminal::print(format_args!("{met} claims met, {unmet} unmet, {open} not computed"))?;
    terminal::print(folder.join("report.html").display())
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    terminal::print(String::from_utf8_lossy(&script).trim_end())
}

/// Whoever read our output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|e| e.downcast_ref().is_some_and(broken))
}
