//! How long the threads of GNU OpenMP spin before they sleep.
//!
//! By default they spin for billions of rounds at every barrier. On cores of their own that is
//! fastest; with a busy neighbor on one of them, every barrier waits for a thread that is not
//! running, and a decoding step was seen to take forty times as long. A short spin costs nothing
//! measurable when quiet and keeps the busy case within a few times the quiet one.
//!
//! The runtime reads its settings when it is loaded, before `main`, so a program that wants others
//! must start itself again.

use std::{env, ffi::OsStr, process::Command};

/// Rounds of spinning: the longest for which a busy neighbor does not ruin a run.
pub const SPIN_COUNT: &str = "10000";

/// Variables with which users make this choice themselves.
const USERS_OWN: [&str; 2] = ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"];

/// Set in the second start, so that there is never a third.
const GUARD: &str = "FORTHRIGHT_OPENMP";

/// Starts the program again with [`SPIN_COUNT`], unless the user has chosen or it has been done.
///
/// To be called first in `main`. On success it does not return; if the program cannot be started
/// again, it goes on with the runtime's defaults.
pub fn ensure() {
    if cfg!(not(target_os = "linux")) || decided(|name| env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut args = env::args_os();
    let mut command = Command::new(program);
    set_name(&mut command, args.next().as_deref());
    command.args(args).env(USERS_OWN[0], SPIN_COUNT).env(GUARD, "set");
    replace(&mut command);
}

fn decided(set: impl Fn(&str) -> bool) -> bool {
    set(GUARD) || USERS_OWN.into_iter().any(set)
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
        assert!(!decided(|_| false));
        for name in ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY", GUARD] {
            assert!(decided(|n| n == name));
        }
    }
}
