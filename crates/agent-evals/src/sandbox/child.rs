//! What a child does between fork and exec.
//!
//! The parent has many threads, so a child may only make system calls here: it allocates nothing,
//! takes no lock, and panics nowhere.
#![expect(unsafe_code, reason = "system calls that no crate wraps for use after a fork")]

use std::{
    ffi::{CStr, c_int, c_long, c_ulong},
    io,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
    ptr,
};

use seccompiler::BpfProgram;

use super::{
    Layer,
    prepare::{AGENT, NOBODY, Prepared, Step},
};

/// A step that failed: the layer that it belongs to, what was tried, and the system's answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) layer: Layer,
    pub(super) what: &'static str,
    pub(super) errno: i32,
}

type Done = Result<(), Fault>;

fn check(layer: Layer, what: &'static str, result: impl Into<c_long>) -> Done {
    if result.into() >= 0 {
        return Ok(());
    }
    Err(Fault { layer, what, errno: io::Error::last_os_error().raw_os_error().unwrap_or(0) })
}

const EMPTY: &CStr = c"";

/// If the runner is root, the child becomes nobody before all else: whatever comes out of a sandbox
/// then owns nothing outside, and the kernel's limits, from which root is exempt, hold.
fn become_nobody(drop_root: bool) -> Done {
    if !drop_root {
        return Ok(());
    }
    // SAFETY: these change this process alone; the raw calls touch no other thread's credentials.
    unsafe {
        let id = c_long::from(NOBODY);
        check(Layer::Users, "setgroups", libc::syscall(libc::SYS_setgroups, 0, ptr::null::<u32>()))?;
        check(Layer::Users, "setresgid", libc::syscall(libc::SYS_setresgid, id, id, id))?;
        check(Layer::Users, "setresuid", libc::syscall(libc::SYS_setresuid, id, id, id))?;
        // Otherwise its own files under /proc are root's.
        check(Layer::Users, "prctl(PR_SET_DUMPABLE)", libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0))
    }
}

/// Makes the namespaces of a sandbox and its root, and goes there.
pub(super) fn build(prepared: &Prepared) -> Done {
    become_nobody(prepared.drop_root)?;
    // SAFETY: all pointers are of texts that end in a null character and outlive the calls.
    unsafe {
        check(Layer::Users, "unshare(CLONE_NEWUSER)", libc::unshare(libc::CLONE_NEWUSER))?;
        write(Layer::Users, "writing setgroups", c"/proc/self/setgroups", b"deny")?;
        write(Layer::Users, "writing uid_map", c"/proc/self/uid_map", prepared.uid_map.as_bytes())?;
        write(Layer::Users, "writing gid_map", c"/proc/self/gid_map", prepared.gid_map.as_bytes())?;
        let id = c_long::from(AGENT);
        check(Layer::Users, "setresgid", libc::syscall(libc::SYS_setresgid, id, id, id))?;
        check(Layer::Users, "setresuid", libc::syscall(libc::SYS_setresuid, id, id, id))?;
        check(Layer::Mounts, "unshare(CLONE_NEWNS)", libc::unshare(libc::CLONE_NEWNS))?;
        check(
            Layer::Network,
            "unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)",
            libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS),
        )?;
        let name = prepared.host_name.as_bytes();
        check(Layer::Network, "sethostname", libc::sethostname(name.as_ptr().cast(), name.len()))?;
        mount(EMPTY, c"/", EMPTY, libc::MS_REC | libc::MS_PRIVATE, EMPTY, "mount / private")?;
        // The new root lies on /tmp until it is the root; sources below /tmp are opened before.
        let mut trees = [-1; MAX_TREES];
        let mut n = 0;
        for step in &prepared.steps {
            if let Step::Readable { source, .. } | Step::Device { source, .. } = step {
                if n == MAX_TREES {
                    return Err(Fault { layer: Layer::Mounts, what: "more than 256 readable paths", errno: libc::E2BIG });
                }
                trees[n] = open_tree(source)?;
                n += 1;
            }
        }
        let flags = libc::MS_NOSUID | libc::MS_NODEV;
        mount(c"root", c"/tmp", c"tmpfs", flags, &prepared.root_options, "mount the root")?;
        check(Layer::Mounts, "chdir", libc::chdir(c"/tmp".as_ptr()))?;
        let mut n = 0;
        for step in &prepared.steps {
            match step {
                Step::Folder { path, mode } => {
                    check(Layer::Mounts, "mkdir", libc::mkdir(path.as_ptr(), *mode))?;
                }
                Step::Link { target, path } => {
                    check(Layer::Mounts, "symlink", libc::symlink(target.as_ptr(), path.as_ptr()))?;
                }
                Step::File { path, text } => {
                    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
                    let fd = libc::open(path.as_ptr(), flags, 0o644);
                    check(Layer::Mounts, "making a file", fd)?;
                    check(
                        Layer::Mounts,
                        "writing a file",
                        libc::write(fd, text.as_ptr().cast(), text.len()) as c_long,
                    )?;
                    libc::close(fd);
                }
                Step::Readable { path, .. } | Step::Device { path, .. } => {
                    place(trees[n], path, matches!(step, Step::Readable { .. }))?;
                    n += 1;
                }
                Step::Memory { path, options } => {
                    mount(c"memory", path, c"tmpfs", flags, options, "mount tmpfs")?;
                }
            }
        }
        if let Err(fault) = first_proc()
            && !prepared.proc_waived
        {
            return Err(fault);
        }
        let here = c".".as_ptr();
        check(Layer::Mounts, "pivot_root", libc::syscall(libc::SYS_pivot_root, here, here))?;
        check(Layer::Mounts, "umount2", libc::umount2(here, libc::MNT_DETACH))?;
        check(Layer::Mounts, "chdir", libc::chdir(c"/".as_ptr()))?;
        set_attributes(libc::AT_FDCWD, c"/", false, libc::MOUNT_ATTR_RDONLY)
    }
}

/// Mounts a proc file system, of a pid namespace that is gone at once. A user namespace may mount one
/// only where one is to be seen: with this, each command can mount its own over it.
///
/// # Safety
/// In a child that has one thread, with the new root as its folder.
unsafe fn first_proc() -> Done {
    // SAFETY: only system calls; the grandchild leaves by _exit.
    unsafe {
        check(Layer::Processes, "unshare(CLONE_NEWPID)", libc::unshare(libc::CLONE_NEWPID))?;
        let first = libc::fork();
        check(Layer::Processes, "fork", first)?;
        if first == 0 {
            libc::_exit(match mount_proc(c"proc") {
                Ok(()) => 0,
                Err(fault) => fault.errno,
            });
        }
        let mut status = 0;
        check(Layer::Proc, "waitpid", libc::waitpid(first, &raw mut status, 0))?;
        match libc::WEXITSTATUS(status) {
            0 if libc::WIFEXITED(status) => Ok(()),
            errno => Err(Fault { layer: Layer::Proc, what: "mount proc", errno }),
        }
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

const MAX_TREES: usize = 256;

/// # Safety
/// None beyond that of the system calls; for the sake of uniformity.
unsafe fn open_tree(source: &CStr) -> Result<RawFd, Fault> {
    const CLONE: c_ulong = 1;
    let flags = CLONE | libc::O_CLOEXEC as c_ulong | libc::AT_RECURSIVE as c_ulong;
    // SAFETY: the path ends in a null character.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, source.as_ptr(), flags) };
    check(Layer::Mounts, "open_tree", fd)?;
    Ok(fd as RawFd)
}

/// Puts a tree of mounts at a path, without privileges in it, and read-only if it is to be.
///
/// # Safety
/// `tree` is one that `open_tree` opened.
unsafe fn place(tree: RawFd, path: &CStr, read_only: bool) -> Done {
    const EMPTY_PATH: c_ulong = 4;
    let attributes = if read_only {
        libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV
    } else {
        libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC
    };
    // SAFETY: the paths end in null characters.
    unsafe {
        set_attributes(tree, EMPTY, true, attributes)?;
        check(
            Layer::Mounts,
            "move_mount",
            libc::syscall(
                libc::SYS_move_mount,
                tree,
                EMPTY.as_ptr(),
                libc::AT_FDCWD,
                path.as_ptr(),
                EMPTY_PATH,
            ),
        )?;
        libc::close(tree);
    }
    Ok(())
}

/// # Safety
/// None beyond that of the system call.
unsafe fn set_attributes(at: RawFd, path: &CStr, recursive: bool, set: u64) -> Done {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let recursive = if recursive { libc::AT_RECURSIVE } else { 0 };
    let flags = libc::AT_EMPTY_PATH | recursive;
    // SAFETY: the structure is of the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            at,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    check(Layer::Mounts, "mount_setattr", result)
}

/// # Safety
/// None beyond that of the system call.
unsafe fn mount(
    source: &CStr,
    target: &CStr,
    kind: &CStr,
    flags: c_ulong,
    options: &CStr,
    what: &'static str,
) -> Done {
    // SAFETY: all texts end in null characters.
    let result = unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    };
    check(Layer::Mounts, what, result)
}

fn write(layer: Layer, what: &'static str, path: &CStr, text: &[u8]) -> Done {
    // SAFETY: the text is as long as is said, the path ends in a null character.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        check(layer, what, fd)?;
        let written = libc::write(fd, text.as_ptr().cast(), text.len());
        let result = check(layer, what, written as c_long);
        libc::close(fd);
        result
    }
}

/// What a command of a sandbox needs to know after the fork.
#[derive(Debug)]
pub(super) struct Enter {
    pub(super) drop_root: bool,
    /// User, mount, network, ipc and uts namespace, in this order.
    pub(super) namespaces: [RawFd; 5],
    pub(super) landlock: Option<RawFd>,
    pub(super) filters: Vec<BpfProgram>,
    pub(super) limits: [(libc::__rlimit_resource_t, u64); 8],
    /// Read end of a pipe that nobody writes to: when it closes, the runner is gone or has given up.
    pub(super) lifeline: RawFd,
    /// Whether a sandbox without a proc file system will do.
    pub(super) proc_waived: bool,
}

/// Enters a sandbox and becomes the command's process in it. Returns there, ready for exec.
///
/// Three processes come of it: this one, which waits outside for the second and ends all when the
/// runner is gone; the second, first of a new pid namespace, with which all others end; and the
/// third, the command.
pub(super) fn enter(enter: &Enter) -> Done {
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
        check(Layer::Processes, "unshare(CLONE_NEWPID)", libc::unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNS))?;
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
        #[repr(C)]
        struct Header {
            version: u32,
            pid: c_int,
        }
        const VERSION_3: u32 = 0x2008_0522;
        let (header, none) = (Header { version: VERSION_3, pid: 0 }, [0_u32; 6]);
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
        libc::_exit(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) });
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
                libc::_exit(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) });
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

/// Forks a child that builds a sandbox, says on `tell` how that went, and waits for `wait` to close.
/// Its process id.
pub(super) fn builder(prepared: &Prepared, tell: &OwnedFd, wait: &OwnedFd) -> io::Result<libc::pid_t> {
    // SAFETY: the child only makes system calls, and leaves by _exit.
    unsafe {
        let child = libc::fork();
        if child < 0 {
            return Err(io::Error::last_os_error());
        }
        if child > 0 {
            return Ok(child);
        }
        let (tell, wait) = (
            libc::fcntl(tell.as_raw_fd(), libc::F_DUPFD, 16),
            libc::fcntl(wait.as_raw_fd(), libc::F_DUPFD, 16),
        );
        libc::dup2(tell, 3);
        libc::dup2(wait, 4);
        libc::syscall(libc::SYS_close_range, 5, u32::MAX, 0);
        tell_outcome(3, build(prepared));
        let mut byte = 0_u8;
        libc::read(4, (&raw mut byte).cast(), 1);
        libc::_exit(0);
    }
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
