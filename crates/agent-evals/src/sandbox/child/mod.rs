//! What a child does between fork and exec.
//!
//! The parent has many threads, so a child may only make system calls here: it allocates nothing,
//! takes no lock, and panics nowhere.
#![expect(unsafe_code, reason = "system calls that no crate wraps for use after a fork")]

mod build;
mod enter;

use std::{
    ffi::{CStr, c_long},
    io,
    os::fd::RawFd,
    ptr,
};

pub(super) use build::builder;
pub(super) use enter::{Enter, enter};

use super::{Layer, prepare::NOBODY};

/// A step that failed: the layer that it belongs to, what was tried, and the system's answer.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) struct Fault {
    pub(in crate::sandbox) layer: Layer,
    pub(in crate::sandbox) what: &'static str,
    pub(in crate::sandbox) errno: i32,
}

type Done = Result<(), Fault>;

fn check(layer: Layer, what: &'static str, result: impl Into<c_long>) -> Done {
    if result.into() >= 0 {
        return Ok(());
    }
    Err(Fault { layer, what, errno: io::Error::last_os_error().raw_os_error().unwrap_or(0) })
}

/// If the runner is root, the child becomes nobody before all else: whatever comes out of a sandbox
/// then owns nothing outside, and the kernel's limits, from which root is exempt, hold.
fn become_nobody(drop_root: bool) -> Done {
    if !drop_root {
        return Ok(());
    }
    // SAFETY: these change this process alone; the raw calls touch no other thread's credentials.
    unsafe {
        let id = c_long::from(NOBODY);
        check(
            Layer::Users,
            "setgroups",
            libc::syscall(libc::SYS_setgroups, 0, ptr::null::<u32>()),
        )?;
        check(Layer::Users, "setresgid", libc::syscall(libc::SYS_setresgid, id, id, id))?;
        check(Layer::Users, "setresuid", libc::syscall(libc::SYS_setresuid, id, id, id))?;
        // Otherwise its own files under /proc are root's.
        check(
            Layer::Users,
            "prctl(PR_SET_DUMPABLE)",
            libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0),
        )
    }
}

/// Read-only, since the kernel's settings below it know no user namespaces.
fn mount_proc(path: &CStr) -> Done {
    let flags = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let none = ptr::null();
    // SAFETY: all texts end in null characters.
    let result =
        unsafe { libc::mount(c"proc".as_ptr(), path.as_ptr(), c"proc".as_ptr(), flags, none) };
    check(Layer::Proc, "mount proc", result)
}

/// What a child says of itself: number of the layer and one, zero if all is well; the system's answer;
/// what was tried.
pub(super) const TOLD: usize = 128;

/// Says how it went, in one piece.
pub(super) fn tell_outcome(fd: RawFd, outcome: Done) {
    let mut said = [0_u8; TOLD];
    if let Err(fault) = outcome {
        said[0] = 1 + fault.layer as u8;
        said[1..5].copy_from_slice(&fault.errno.to_le_bytes());
        let what = fault.what.as_bytes();
        let n = if what.len() < TOLD - 5 { what.len() } else { TOLD - 5 };
        said[5..5 + n].copy_from_slice(&what[..n]);
    }
    // SAFETY: as many bytes as there are.
    unsafe { libc::write(fd, said.as_ptr().cast(), TOLD) };
}

/// Waits for a child and forgets it.
pub(super) fn wait_for(child: libc::pid_t) {
    let mut status = 0;
    // SAFETY: one child of this process's own.
    unsafe {
        while libc::waitpid(child, &raw mut status, 0) < 0
            && io::Error::last_os_error().raw_os_error() == Some(libc::EINTR)
        {}
    }
}
