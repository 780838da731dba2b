//! Running other programs, and Ctrl-C while they run.

use std::{
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use anyhow::{Context as _, bail};

use crate::{Outcome, root};

/// A child is at work; it hears Ctrl-C itself, and decides how to end.
static BUSY: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicBool = AtomicBool::new(false);

/// The shells' code for a process that Ctrl-C ended.
pub(crate) const STOPPED: u8 = 130;

/// From now on Ctrl-C waits for the child that is at work: it may be writing a checkpoint.
pub(crate) fn listen() {
    let handler = || {
        ASKED.store(true, Ordering::SeqCst);
        if !BUSY.load(Ordering::SeqCst) {
            std::process::exit(i32::from(STOPPED));
        }
    };
    // Without a handler Ctrl-C ends this process at once, as it does others.
    let _ = ctrlc::set_handler(handler);
}

/// Whether the user has asked to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// Runs a command in the root, showing it and its time; what it came to, its exit code kept.
pub(crate) fn run(program: &str, args: &[&str], envs: &[(&str, &str)]) -> anyhow::Result<Outcome> {
    let shown: Vec<String> = envs
        .iter()
        .map(|(k, v)| format!("{k}={v:?}"))
        .chain(std::iter::once(program.to_owned()))
        .chain(args.iter().map(|&a| a.to_owned()))
        .collect();
    crate::report(&format!("$ {}", shown.join(" ")));
    let start = Instant::now();
    BUSY.store(true, Ordering::SeqCst);
    let status =
        Command::new(program).args(args).envs(envs.iter().copied()).current_dir(root()).status();
    BUSY.store(false, Ordering::SeqCst);
    let status = status.with_context(|| format!("cannot run {program}"))?;
    let verdict = if status.success() { "ok" } else { "FAILED" };
    crate::report(&format!("  {verdict} after {:.1} s", start.elapsed().as_secs_f64()));
    Ok(match status.code() {
        Some(0) => Outcome::Fine,
        Some(code) => Outcome::Code(u8::try_from(code).unwrap_or(1)),
        None if asked() => Outcome::Code(STOPPED),
        None => bail!("{program} was ended by a signal: {status}"),
    })
}

/// As [`run`], for what succeeds or fails; Ctrl-C ends all.
pub(crate) fn step(program: &str, args: &[&str], envs: &[(&str, &str)]) -> anyhow::Result<bool> {
    let outcome = run(program, args, envs)?;
    if asked() {
        std::process::exit(i32::from(STOPPED));
    }
    Ok(matches!(outcome, Outcome::Fine))
}

/// Standard output of a command in the root, which must succeed.
pub(crate) fn output(program: &str, args: &[&str]) -> anyhow::Result<String> {
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
