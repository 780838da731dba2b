//! Building a sandbox: its namespaces and its root.

use std::{
    ffi::{CStr, c_long, c_ulong},
    io,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
};

use super::{Done, Fault, become_nobody, check, mount_proc, tell_outcome};
use crate::sandbox::{
    Layer,
    prepare::{AGENT, Prepared, Step},
};

const EMPTY: &CStr = c"";

/// Forks a child that builds a sandbox, says on `tell` how that went, and waits for `wait` to close.
/// Its process id.
pub(in crate::sandbox) fn builder(
    prepared: &Prepared,
    tell: &OwnedFd,
    wait: &OwnedFd,
) -> io::Result<libc::pid_t> {
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

/// Makes the namespaces of a sandbox and its root, and goes there.
fn build(prepared: &Prepared) -> Done {
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
                    return Err(Fault {
                        layer: Layer::Mounts,
                        what: "more than 256 readable paths",
                        errno: libc::E2BIG,
                    });
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
        libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast())
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
