//! Entering a sandbox: from the runner's copy to the command.

use std::{
    ffi::{c_int, c_long},
    io,
    os::fd::RawFd,
};

use seccompiler::BpfProgram;

use super::{Done, become_nobody, check, mount_proc};
use crate::sandbox::{Layer, prepare::AGENT};

/// As Linux wants it, for sets of 64 capabilities.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

/// What a command of a sandbox needs to know after the fork.
#[derive(Debug)]
pub(in crate::sandbox) struct Enter {
    pub(in crate::sandbox) drop_root: bool,
    /// User, mount, network, ipc and uts namespace, in this order.
    pub(in crate::sandbox) namespaces: [RawFd; 5],
    pub(in crate::sandbox) landlock: Option<RawFd>,
    pub(in crate::sandbox) filters: Vec<BpfProgram>,
    pub(in crate::sandbox) limits: [(libc::__rlimit_resource_t, u64); 8],
    /// Read end of a pipe that nobody writes to: when it closes, the runner is gone or has given up.
    pub(in crate::sandbox) lifeline: RawFd,
    /// Whether a sandbox without a proc file system will do.
    pub(in crate::sandbox) proc_waived: bool,
}

/// Enters a sandbox and becomes the command's process in it. Returns there, ready for exec.
///
/// Three processes come of it: this one, which waits outside for the second and ends all when the
/// runner is gone; the second, first of a new pid namespace, with which all others end; and the
/// third, the command.
pub(in crate::sandbox) fn enter(enter: &Enter) -> Done {
    become_nobody(enter.drop_root)?;
    // SAFETY: only system calls, on descriptors that the caller holds open.
    unsafe {
        const KINDS: [(c_int, Layer, &str); 5] = [
            (libc::CLONE_NEWUSER, Layer::Users, "setns(user)"),
            (libc::CLONE_NEWNS, Layer::Mounts, "setns(mount)"),
            (libc::CLONE_NEWNET, Layer::Network, "setns(network)"),
            (libc::CLONE_NEWIPC, Layer::Network, "setns(ipc)"),
            (libc::CLONE_NEWUTS, Layer::Network, "setns(uts)"),
        ];
        for (fd, (kind, layer, what)) in enter.namespaces.iter().zip(KINDS) {
            check(layer, what, libc::setns(*fd, kind))?;
        }
        let id = c_long::from(AGENT);
        check(Layer::Users, "setresgid", libc::syscall(libc::SYS_setresgid, id, id, id))?;
        check(Layer::Users, "setresuid", libc::syscall(libc::SYS_setresuid, id, id, id))?;
        // A copy of the mounts, for this command's own /proc; the files are the same.
        check(
            Layer::Processes,
            "unshare(CLONE_NEWPID)",
            libc::unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNS),
        )?;
        let mut alive = [-1; 2];
        check(Layer::Processes, "pipe2", libc::pipe2(alive.as_mut_ptr(), libc::O_CLOEXEC))?;
        let first = libc::fork();
        check(Layer::Processes, "fork", first)?;
        if first > 0 {
            wait_outside(first, enter.lifeline, alive[1]);
        }
        // The first process: it ends when the one outside does.
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        libc::close(alive[1]);
        if hung_up(alive[0]) {
            libc::_exit(1);
        }
        let proc = mount_proc(c"/proc");
        if !enter.proc_waived {
            proc?;
        }
        let command = libc::fork();
        check(Layer::Processes, "fork", command)?;
        if command > 0 {
            reap(command);
        }
        become_command(enter)
    }
}

/// # Safety
/// In the third process only.
unsafe fn become_command(enter: &Enter) -> Done {
    // SAFETY: only system calls, on this process and what it was given.
    unsafe {
        libc::setsid();
        libc::umask(0o022);
        check(Layer::Mounts, "chdir", libc::chdir(c"/home/agent".as_ptr()))?;
        // Whatever descriptors are open end with exec, also those of libraries that forgot to say so.
        let close = libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        check(Layer::Processes, "close_range", close)?;
        for (resource, limit) in enter.limits {
            let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
            check(Layer::Processes, "setrlimit", libc::setrlimit(resource, &raw const limit))?;
        }
        // No capability, and no way to any.
        for capability in 0..64 {
            if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 {
                break;
            }
        }
        let (header, none) =
            (CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 }, [0_u32; 6]);
        check(
            Layer::Users,
            "capset",
            libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()),
        )?;
        check(
            Layer::Users,
            "prctl(PR_SET_NO_NEW_PRIVS)",
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        )?;
        if let Some(rules) = enter.landlock {
            let result = libc::syscall(libc::SYS_landlock_restrict_self, rules, 0);
            check(Layer::Landlock, "landlock_restrict_self", result)?;
        }
    }
    for filter in &enter.filters {
        if seccompiler::apply_filter(filter).is_err() {
            return check(Layer::Seccomp, "seccomp", -1);
        }
    }
    Ok(())
}

/// Waits for the first process, or for the runner to be gone.
///
/// # Safety
/// In the child of the runner only; it does not return.
unsafe fn wait_outside(first: libc::pid_t, lifeline: RawFd, alive: RawFd) -> ! {
    // SAFETY: only system calls; descriptors 3 and 4 are this process's own from here on.
    unsafe {
        // Of what was inherited, only these two are kept: among the rest are the pipes whose end
        // tells the runner that the command is done, and lifelines of other sandboxes.
        let (lifeline, alive) =
            (libc::fcntl(lifeline, libc::F_DUPFD, 16), libc::fcntl(alive, libc::F_DUPFD, 16));
        libc::dup2(lifeline, 3);
        libc::dup2(alive, 4);
        libc::syscall(libc::SYS_close_range, 5, u32::MAX, 0);
        for fd in 0..3 {
            libc::close(fd);
        }
        let pidfd = libc::syscall(libc::SYS_pidfd_open, first, 0) as RawFd;
        let of = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut wanted = [of(pidfd), of(3)];
        loop {
            let n = libc::poll(wanted.as_mut_ptr(), 2, -1);
            if n > 0 && wanted[1].revents != 0 {
                libc::kill(first, libc::SIGKILL);
            }
            if n > 0 || pidfd < 0 {
                break;
            }
        }
        let mut status = 0;
        while libc::waitpid(first, &raw mut status, 0) < 0 {
            if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                libc::_exit(255);
            }
        }
        libc::_exit(if libc::WIFEXITED(status) {
            libc::WEXITSTATUS(status)
        } else {
            128 + libc::WTERMSIG(status)
        });
    }
}

/// Waits for the command, and takes leave of all processes that others leave behind meanwhile. When
/// this process ends, so do all others.
///
/// # Safety
/// In the first process only; it does not return.
unsafe fn reap(command: libc::pid_t) -> ! {
    // SAFETY: only system calls.
    unsafe {
        libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
        loop {
            let mut status = 0;
            let ended = libc::waitpid(-1, &raw mut status, 0);
            if ended == command {
                libc::_exit(if libc::WIFEXITED(status) {
                    libc::WEXITSTATUS(status)
                } else {
                    128 + libc::WTERMSIG(status)
                });
            }
            if ended < 0 && io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                libc::_exit(255);
            }
        }
    }
}

fn hung_up(fd: RawFd) -> bool {
    let mut wanted = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one descriptor, as is said.
    unsafe { libc::poll(&raw mut wanted, 1, 0) > 0 && wanted.revents & libc::POLLHUP != 0 }
}
