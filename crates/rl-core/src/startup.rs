//! Settings that libraries read when they are loaded, before `main`: a program that wants others
//! than the defaults must start itself again.
//!
//! **How long the threads of GNU OpenMP spin before they sleep.** By default they spin for billions
//! of rounds at every barrier. On cores of their own that is fastest; with a busy neighbor on one of
//! them, every barrier waits for a thread that is not running, and a decoding step was seen to take
//! forty times as long. A short spin costs nothing measurable when quiet and keeps the busy case
//! within a few times the quiet one.
//!
//! **What the GNU C library does with freed memory.** By default large pieces go back to the system
//! and come again as pages to be cleared: a sixth of the time of a training step, whose tensors are
//! freed and taken again all the time. Kept, they cost a few hundredths more memory at the peak.

use std::{env, ffi::OsStr, process::Command};

/// Rounds of spinning: the longest for which a busy neighbor does not ruin a run.
pub const SPIN_COUNT: Setting = ("GOMP_SPINCOUNT", "10000");

/// Keeps freed memory: no piece is a mapping of its own, and the heap shrinks only beyond 8 GiB.
pub const ALLOCATOR: [Setting; 2] =
    [("MALLOC_MMAP_MAX_", "0"), ("MALLOC_TRIM_THRESHOLD_", "8589934592")];

/// A variable and its value.
pub type Setting = (&'static str, &'static str);

/// Variables with which users choose for themselves.
const USERS_OPENMP: [&str; 2] = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"];
const USERS_ALLOCATOR: [&str; 4] =
    ["MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"];

/// Set in the second start, so that there is never a third.
pub const GUARD: Setting = ("FORTHRIGHT_STARTED", "set");

/// Starts the program again with [`SPIN_COUNT`] and [`ALLOCATOR`], unless the user has chosen or it
/// has been done.
///
/// To be called first in `main`. If there is something to change it does not return; if the program
/// cannot be started again, it goes on with the defaults.
pub fn ensure() {
    let settings = missing(|name| env::var_os(name).is_some());
    if cfg!(not(target_os = "linux")) || settings.is_empty() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut args = env::args_os();
    let mut command = Command::new(program);
    set_name(&mut command, args.next().as_deref());
    command.args(args).envs(settings).env(GUARD.0, GUARD.1);
    replace(&mut command);
}

/// What is to be set, where `set` tells of the variables that are.
fn missing(set: impl Fn(&str) -> bool) -> Vec<Setting> {
    let mut out = Vec::new();
    if set(GUARD.0) {
        return out;
    }
    if !USERS_OPENMP.into_iter().any(&set) {
        out.push(SPIN_COUNT);
    }
    if !USERS_ALLOCATOR.into_iter().any(&set) {
        out.extend(ALLOCATOR);
    }
    out
}

#[cfg(unix)]
fn set_name(command: &mut Command, name: Option<&OsStr>) {
    use std::os::unix::process::CommandExt as _;
    if let Some(name) = name {
        command.arg0(name);
    }
}

#[cfg(unix)]
fn replace(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    // Returns only if it fails, and then the defaults have to do.
    let _ = command.exec();
}

#[cfg(not(unix))]
fn set_name(_command: &mut Command, _name: Option<&OsStr>) {}

#[cfg(not(unix))]
fn replace(_command: &mut Command) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_choice_is_left_alone() {
        let names = |given: &str| -> Vec<&str> {
            missing(|name| name == given).into_iter().map(|(name, _)| name).collect()
        };
        let (spin, heap) = (SPIN_COUNT.0, ALLOCATOR.map(|(name, _)| name));
        assert_eq!(names(""), [spin, heap[0], heap[1]]);
        assert!(names(GUARD.0).is_empty());
        for name in USERS_OPENMP {
            assert_eq!(names(name), heap);
        }
        for name in USERS_ALLOCATOR {
            assert_eq!(names(name), [spin]);
        }
    }
}
