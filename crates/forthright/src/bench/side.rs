//! A process that answers cases, one at a time: ours or the reference library's.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::Context as _;
use rl_core::startup;
#[cfg(any(feature = "lm", feature = "agents"))]
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Settings of GNU OpenMP for a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenMp {
    /// The runtime's own: spinning for as long as it likes.
    #[cfg_attr(not(feature = "lm"), expect(dead_code, reason = "of models that run here"))]
    Default,
    /// What the command chooses for itself.
    Chosen,
}

/// A worker process.
pub(crate) struct Side {
    name: &'static str,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Side {
    /// This program, started with `args`.
    #[cfg_attr(not(feature = "lm"), allow(dead_code, reason = "not all comparisons need it"))]
    pub(crate) fn ours(
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        openmp: OpenMp,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut command = Command::new(program);
        command.args(args);
        // What the command chooses for itself when it starts.
        command.envs(startup::ALLOCATOR);
        Self::start("ours", command, openmp)
    }

    /// A Python with the reference library, running `script` with `args`.
    pub(crate) fn peer(
        python: &Path,
        script: &str,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        openmp: OpenMp,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(python);
        command.args(["-u", "-c", script]).args(args);
        Self::start("the reference library", command, openmp)
    }

    fn start(name: &'static str, mut command: Command, openmp: OpenMp) -> anyhow::Result<Self> {
        // The guard keeps our side from choosing for itself; both get the same.
        command.env(startup::GUARD.0, startup::GUARD.1).env_remove("OMP_WAIT_POLICY");
        match openmp {
            OpenMp::Default => command.env_remove(startup::SPIN_COUNT.0),
            OpenMp::Chosen => command.envs([startup::SPIN_COUNT]),
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdin = child.stdin.take().context("a pipe to the worker")?;
        let stdout = BufReader::new(child.stdout.take().context("a pipe from the worker")?);
        Ok(Self { name, child, stdin, stdout })
    }

    /// Lets the worker do one case.
    pub(crate) fn ask<A: DeserializeOwned>(&mut self, case: &str) -> anyhow::Result<A> {
        writeln!(self.stdin, "{case}").with_context(|| format!("{} has ended", self.name))?;
        self.stdin.flush()?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        anyhow::ensure!(!line.is_empty(), "{} ended without an answer to {case}", self.name);
        serde_json::from_str(&line)
            .with_context(|| format!("{} answered {case} with {}", self.name, line.trim()))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // Nothing is left to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other end of a [`Side`] of ours: for every line of standard input, which names a case, a line of
/// what `answer` makes of it.
#[cfg(any(feature = "lm", feature = "agents"))]
pub(crate) fn serve<A: Serialize>(
    mut answer: impl FnMut(&str) -> anyhow::Result<A>,
) -> anyhow::Result<()> {
    for line in std::io::stdin().lock().lines() {
        let said = answer(line?.trim())?;
        crate::terminal::print(serde_json::to_string(&said)?)?;
    }
    Ok(())
}
