//! What the child will do, put into forms that need no memory: between fork and exec there is none.

use std::{
    ffi::{CString, OsStr},
    fs,
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use super::{Layer, SandboxConfig};
use crate::Error;

/// The agent's number in its own world.
pub(super) const AGENT: u32 = 1000;
/// Who it is outside, if the runner is root: nobody.
pub(super) const NOBODY: u32 = 65_534;

/// One step on the way to the sandbox's own root. Paths are relative to it.
#[derive(Debug)]
pub(super) enum Step {
    Folder {
        path: CString,
        mode: u32,
    },
    Link {
        target: CString,
        path: CString,
    },
    File {
        path: CString,
        text: &'static [u8],
    },
    /// A folder or file of this machine, to be read.
    Readable {
        source: CString,
        path: CString,
    },
    /// A device of this machine.
    Device {
        source: CString,
        path: CString,
    },
    Memory {
        path: CString,
        options: CString,
    },
}

/// Everything that is done once for a sandbox.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) steps: Vec<Step>,
    pub(super) root_options: CString,
    pub(super) uid_map: CString,
    pub(super) gid_map: CString,
    pub(super) host_name: CString,
    /// Whether the runner is root, and the child therefore becomes nobody first.
    pub(super) drop_root: bool,
    /// Whether a sandbox without a proc file system will do.
    pub(super) proc_waived: bool,
}

const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom"];

pub(super) fn prepare(config: &SandboxConfig) -> Result<Prepared, Error> {
    let mut steps = Vec::new();
    let folder = |path: &str, mode| Ok::<_, Error>(Step::Folder { path: c(path)?, mode });
    for path in ["etc", "proc", "dev", "tmp", "var", "run", "home", "home/agent"] {
        steps.push(folder(path, 0o755)?);
    }
    steps.push(Step::Link { target: c("/tmp")?, path: c("var/tmp")? });
    steps.push(Step::Link { target: c("/proc/self/fd")?, path: c("dev/fd")? });
    steps.push(Step::Link { target: c("/tmp")?, path: c("dev/shm")? });
    let files: [(&str, &[u8]); 4] = [
        ("etc/passwd", b"agent:x:1000:1000:agent:/home/agent:/bin/sh\n"),
        ("etc/group", b"agent:x:1000:\n"),
        ("etc/hosts", b"127.0.0.1 localhost\n"),
        ("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files\n"),
    ];
    for (path, text) in files {
        steps.push(Step::File { path: c(path)?, text });
    }
    for device in DEVICES {
        let (source, path) = (c(format!("/dev/{device}"))?, c(format!("dev/{device}"))?);
        steps.push(Step::File { path: path.clone(), text: b"" });
        steps.push(Step::Device { source, path });
    }
    for source in &config.readable {
        readable(source, &mut steps)?;
    }
    let memory = |path: &str, bytes: u64| {
        let options = format!("size={bytes},nr_inodes={},mode=700", config.files);
        Ok::<_, Error>(Step::Memory { path: c(path)?, options: c(options)? })
    };
    steps.push(memory("home/agent", config.home_bytes)?);
    steps.push(memory("tmp", config.tmp_bytes)?);
    // SAFETY: both only tell who this process is.
    #[expect(unsafe_code, reason = "the standard library does not tell")]
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let drop_root = uid == 0;
    let (uid, gid) = if drop_root { (NOBODY, NOBODY) } else { (uid, gid) };
    Ok(Prepared {
        steps,
        root_options: c("size=1m,nr_inodes=4096,mode=755")?,
        uid_map: c(format!("{AGENT} {uid} 1"))?,
        gid_map: c(format!("{AGENT} {gid} 1"))?,
        host_name: c("sandbox")?,
        drop_root,
        proc_waived: config.waived.contains(&Layer::Proc),
    })
}

/// Makes a place for something of this machine, folders above it first, and puts it there. Links stay
/// links, so that `/bin` is what it is outside.
fn readable(source: &Path, steps: &mut Vec<Step>) -> Result<(), Error> {
    let Ok(metadata) = fs::symlink_metadata(source) else { return Ok(()) };
    let path = source.strip_prefix("/").unwrap_or(source);
    for above in path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
        let above = c(above.as_os_str())?;
        let there = steps.iter().any(|s| matches!(s, Step::Folder { path, .. } if *path == above));
        if !there {
            // From the outermost in: each goes before those already found below it.
            let at = steps
                .iter()
                .position(|s| matches!(s, Step::Folder { path, .. } if below(path, &above)));
            let step = Step::Folder { path: above, mode: 0o755 };
            match at {
                Some(at) => steps.insert(at, step),
                None => steps.push(step),
            }
        }
    }
    let place = c(path.as_os_str())?;
    if metadata.is_symlink() {
        let target = fs::read_link(source).map_err(Error::io("read", source))?;
        steps.push(Step::Link { target: c(target.as_os_str())?, path: place });
        return Ok(());
    }
    steps.push(if metadata.is_dir() {
        Step::Folder { path: place.clone(), mode: 0o755 }
    } else {
        Step::File { path: place.clone(), text: b"" }
    });
    steps.push(Step::Readable { source: c(source.as_os_str())?, path: place });
    Ok(())
}

fn below(path: &CString, above: &CString) -> bool {
    path.as_bytes().strip_prefix(above.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
}

fn c(text: impl AsRef<OsStr>) -> Result<CString, Error> {
    CString::new(text.as_ref().as_bytes()).map_err(|_| Error::Sandbox {
        layer: Layer::Mounts.name(),
        reason: format!("{} holds a null character", text.as_ref().display()),
        remedy: "name it otherwise".to_owned(),
    })
}
