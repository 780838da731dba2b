//! Commands of agents, as processes that reach nothing but their own files.
//!
//! A sandbox has a root, a home (`/home/agent`) and a `/tmp` of its own, which last from command to
//! command; each command has processes of its own, all of which are gone when it ends. Around it are
//! namespaces of users, mounts, processes, network, messages and names; within them the command has
//! no privilege, gives up the rest by landlock and seccomp, and works under limits on memory,
//! processes, files, output and time. Programs of this machine are there to be read.
//!
//! # Why this and not another crate
//!
//! Judged in November 2026. hakoniwa does all of it but is under the LGPL and needs a C library;
//! birdcage is under the GPL. extrasafe and landlock alone leave out namespaces and the end of
//! processes. libcontainer runs whole containers, with a bundle on the disk for each. sandlock-core
//! asks a supervisor about every system call that matters, and has no namespaces. bubblewrap is a
//! program that has to be installed, knows no landlock and no limits, and builds its root anew for
//! every command. So what holds is taken from crates that are maintained for just that, rules from
//! `landlock` and filters from `seccompiler` (Firecracker's), and the order of system calls between
//! fork and exec is here.
//!
//! # Limits of it
//!
//! The kernel is shared: a hole in it is a hole in the sandbox. Memory is summed up from outside
//! several times a second, not by cgroups, which few users may make. Processes are copies of the
//! runner until they exec, so that a runner of many gigabytes starts them more slowly.

mod child;
mod config;
mod layer;
mod prepare;
mod probe;
mod rules;
mod watch;

use std::{
    fmt,
    fs::{self, File},
    io::{self, PipeWriter},
    os::fd::{AsRawFd, OwnedFd},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use seccompiler::BpfProgram;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::Child,
};

pub use config::SandboxConfig;
pub use layer::Layer;
pub use probe::{Probe, probe};

use crate::Error;
use child::{Enter, TOLD};

/// The surroundings of one sample's commands. Dropping it ends what is running and forgets all files.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    config: SandboxConfig,
    drop_root: bool,
    /// User, mount, network, ipc and uts namespace.
    namespaces: [OwnedFd; 5],
    landlock: Option<OwnedFd>,
    filters: Vec<BpfProgram>,
}

/// A command to be run.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// The program, by path or by name.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// What it can read on its standard input.
    pub input: Vec<u8>,
    /// Seconds that it may take, if fewer than the sandbox allows.
    pub wall_s: Option<f64>,
}

impl Command {
    /// A program with arguments.
    pub fn new<T: Into<String>>(
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = T>,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program: program.into(), arguments, ..Self::default() }
    }

    /// A line for the shell.
    pub fn shell(line: impl Into<String>) -> Self {
        Self::new("/bin/sh", ["-c".to_owned(), line.into()])
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// What it wrote to its standard output, as far as it was taken.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error, as far as it was taken.
    pub stderr: Vec<u8>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status; 128 and the signal's number if a signal ended it.
    Exit(i32),
    /// Its time was up.
    Time,
    /// It wrote too much.
    Output,
    /// It took too much memory.
    Memory,
}

impl Sandbox {
    /// Makes a sandbox with an empty home.
    ///
    /// # Errors
    /// [`Error::Config`]; [`Error::Sandbox`] naming the layer that this machine does not have.
    pub async fn open(config: SandboxConfig) -> Result<Self, Error> {
        let open = tokio::task::spawn_blocking(move || Inner::open(config)).await;
        let inner = open.unwrap_or_else(|error| Err(broken(&error.to_string())))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How it is limited.
    pub fn config(&self) -> &SandboxConfig {
        &self.inner.config
    }

    /// Runs a command to its end, and ends whatever it has started.
    ///
    /// If the future is dropped, the command is ended as well.
    ///
    /// # Errors
    /// [`Error::Sandbox`] if it cannot be started, for another reason than that there is no such
    /// program, which is status 127.
    pub async fn run(&self, command: &Command) -> Result<Output, Error> {
        let (inner, started) = (Arc::clone(&self.inner), command.clone());
        let spawned = tokio::task::spawn_blocking(move || inner.spawn(&started)).await;
        let (mut child, lifeline) =
            match spawned.unwrap_or_else(|error| Err(broken(&error.to_string())))? {
                Ok(spawned) => spawned,
                Err(error) => {
                    let said = format!("{}: {error}\n", command.program);
                    let (stdout, stderr) = (Vec::new(), said.into_bytes());
                    return Ok(Output { ended: Ended::Exit(127), stdout, stderr });
                }
            };
        let config = &self.inner.config;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let id = child.id();
        let (mut input, output, errors) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut input) = input.take() {
                // A command need not read what it is given.
                let _ = input.write_all(&command.input).await;
            }
            Ok(())
        };
        let limit = config.output_bytes;
        let talk = async {
            tokio::try_join!(
                feed,
                take(output, &mut stdout, limit),
                take(errors, &mut stderr, limit)
            )?;
            // It may have closed its outputs and go on.
            let _ = child.wait().await;
            Ok::<(), Ended>(())
        };
        let wall_s = command.wall_s.map_or(config.wall_s, |s| s.min(config.wall_s));
        let time = tokio::time::sleep(Duration::from_secs_f64(wall_s.max(0.0)));
        let cut = tokio::select! {
            talked = talk => talked.err(),
            () = time => Some(Ended::Time),
            () = watch::exceeds(id, config.memory_bytes) => Some(Ended::Memory),
        };
        // With its lifeline the process outside sees to it that all others end, and ends last.
        drop(lifeline);
        let status = child.wait().await.map_err(|e| broken(&e.to_string()))?;
        let exit = || Ended::Exit(status.code().unwrap_or(255));
        Ok(Output { ended: cut.unwrap_or_else(exit), stdout, stderr })
    }

    /// Reads a file, at most `max_bytes` of it, as the agent would.
    ///
    /// # Errors
    /// As [`run`](Self::run). That it cannot be read is the inner result, with what the system says.
    pub async fn read(
        &self,
        path: &str,
        max_bytes: usize,
    ) -> Result<Result<Vec<u8>, String>, Error> {
        let mut bytes = Vec::new();
        // In pieces that its output can take.
        let piece = self.config().output_bytes.min(1 << 20);
        loop {
            let skip = format!("+{}", bytes.len() + 1);
            let want = piece.min(max_bytes - bytes.len());
            let line =
                "tail -c \"$1\" -- \"$2\" | head -c \"$3\"; test -r \"$2\" && test -f \"$2\"";
            let line = format!("[ -d \"$2\" ] && {{ echo 'it is a folder' >&2; exit 1; }}; {line}");
            let want_text = want.to_string();
            let arguments = ["-c", &line, "sh", &skip, path, &want_text];
            let mut command = Command::new("/bin/sh", arguments);
            command.wall_s = Some(10.0);
            let output = self.run(&command).await?;
            if output.ended != Ended::Exit(0) {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return Ok(Err(if said.is_empty() { "it is no file".to_owned() } else { said }));
            }
            let n = output.stdout.len();
            bytes.extend_from_slice(&output.stdout);
            if n < want || bytes.len() >= max_bytes {
                return Ok(Ok(bytes));
            }
        }
    }

    /// Writes a file in place of an older one, as the agent would, and makes the folders above it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn write(&self, path: &str, bytes: &[u8]) -> Result<Result<(), String>, Error> {
        let line = "mkdir -p -- \"$(dirname -- \"$1\")\" && cat > \"$1\"";
        let mut command = Command::new("/bin/sh", ["-c", line, "sh", path]);
        command.input = bytes.to_vec();
        command.wall_s = Some(10.0);
        let output = self.run(&command).await?;
        Ok(if output.ended == Ended::Exit(0) {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        })
    }
}

impl Inner {
    fn open(config: SandboxConfig) -> Result<Self, Error> {
        config.validate()?;
        let prepared = prepare::prepare(&config)?;
        let system = |what| move |error: io::Error| broken(&format!("{what}: {error}"));
        let (mut told, tell) = io::pipe().map_err(system("pipe"))?;
        let (wait, go) = io::pipe().map_err(system("pipe"))?;
        let (tell, wait) = (OwnedFd::from(tell), OwnedFd::from(wait));
        let child = child::builder(&prepared, &tell, &wait).map_err(system("fork"))?;
        drop((tell, wait));
        let built = hear(&mut told).and_then(|()| {
            let open = |of: &str| {
                let path = format!("/proc/{child}/{of}");
                File::open(&path).map_err(Error::io("open", path))
            };
            let namespaces = [
                open("ns/user")?.into(),
                open("ns/mnt")?.into(),
                open("ns/net")?.into(),
                open("ns/ipc")?.into(),
                open("ns/uts")?.into(),
            ];
            let landlock = landlock(child, &config)?;
            Ok((namespaces, landlock))
        });
        // It goes when it is told to, and nothing of the namespaces with it.
        drop(go);
        child::wait_for(child);
        let (namespaces, landlock) = built?;
        let filters = match rules::seccomp() {
            Ok(filters) => filters,
            Err(error) if config.waived.contains(&Layer::Seccomp) => {
                tracing::warn!(%error, "commands run without filters of system calls");
                Vec::new()
            }
            Err(error) => {
                return Err(Layer::Seccomp.missing("filters", &io::Error::other(error)));
            }
        };
        Ok(Self { drop_root: prepared.drop_root, config, namespaces, landlock, filters })
    }

    /// Starts a command. The inner error is that of exec: there is no such program.
    fn spawn(&self, command: &Command) -> Result<Result<(Child, PipeWriter), io::Error>, Error> {
        let system = |what| move |error: io::Error| broken(&format!("{what}: {error}"));
        let (lifeline, keep) = io::pipe().map_err(system("pipe"))?;
        let (mut told, tell) = io::pipe().map_err(system("pipe"))?;
        let config = &self.config;
        let enter = Enter {
            drop_root: self.drop_root,
            namespaces: self.namespaces.each_ref().map(AsRawFd::as_raw_fd),
            landlock: self.landlock.as_ref().map(AsRawFd::as_raw_fd),
            filters: self.filters.clone(),
            limits: [
                (libc::RLIMIT_AS, config.address_bytes),
                (libc::RLIMIT_NPROC, config.processes),
                (libc::RLIMIT_NOFILE, config.open_files),
                (libc::RLIMIT_FSIZE, config.home_bytes.max(config.tmp_bytes)),
                (libc::RLIMIT_CPU, config.cpu_s),
                (libc::RLIMIT_CORE, 0),
                (libc::RLIMIT_MSGQUEUE, 0),
                (libc::RLIMIT_MEMLOCK, 1 << 16),
            ],
            lifeline: lifeline.as_raw_fd(),
            proc_waived: config.waived.contains(&Layer::Proc),
        };
        let mut built = tokio::process::Command::new(&command.program);
        built
            .args(&command.arguments)
            .env_clear()
            .env("HOME", "/home/agent")
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .env("USER", "agent")
            .env("TERM", "dumb")
            .envs(config.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let tell_fd = tell.as_raw_fd();
        // SAFETY: `enter` makes system calls alone, on descriptors that are open until spawn returns.
        #[expect(unsafe_code, reason = "there is no other way to act between fork and exec")]
        unsafe {
            built.pre_exec(move || {
                child::enter(&enter).map_err(|fault| {
                    child::tell_outcome(tell_fd, Err(fault));
                    io::Error::from_raw_os_error(fault.errno)
                })
            });
        }
        let spawned = built.spawn();
        drop((lifeline, tell));
        match spawned {
            Ok(child) => Ok(Ok((child, keep))),
            Err(error) => {
                // Whatever failed before exec has said so; exec itself says nothing.
                drop(keep);
                hear_fault(&mut told)?;
                Ok(Err(error))
            }
        }
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

fn landlock(child: libc::pid_t, config: &SandboxConfig) -> Result<Option<OwnedFd>, Error> {
    let open = |of: &str| {
        let path = format!("/proc/{child}/root{of}");
        File::open(&path).map(OwnedFd::from).map_err(Error::io("open", path))
    };
    let root = open("")?;
    let mut writable = vec![open("/home/agent")?, open("/tmp")?];
    for device in ["null", "zero", "full"] {
        // Opened as what it is outside: rules are on what a path leads to.
        let path = format!("/dev/{device}");
        let file = fs::OpenOptions::new().read(true).open(&path);
        writable.push(file.map_err(Error::io("open", path))?.into());
    }
    let waived = config.waived.contains(&Layer::Landlock);
    match rules::landlock(root, &writable) {
        Ok(Some(rules)) => Ok(Some(rules)),
        Ok(None) if waived => {
            tracing::warn!("commands run without landlock");
            Ok(None)
        }
        Ok(None) => {
            let error = io::Error::other("the kernel does not have it");
            Err(Layer::Landlock.missing("landlock_create_ruleset", &error))
        }
        Err(error) => {
            Err(Layer::Landlock.missing("landlock_create_ruleset", &io::Error::other(error)))
        }
    }
}

/// What a child that builds a sandbox says.
fn hear(told: &mut impl io::Read) -> Result<(), Error> {
    let mut said = [0; TOLD];
    told.read_exact(&mut said).map_err(|_| broken("a child died before it had built anything"))?;
    fault(&said)
}

/// What a child that ran into something says, if it says anything.
fn hear_fault(told: &mut impl io::Read) -> Result<(), Error> {
    let mut said = [0; TOLD];
    match told.read_exact(&mut said) {
        Ok(()) => fault(&said),
        Err(_) => Ok(()),
    }
}

fn fault(said: &[u8; TOLD]) -> Result<(), Error> {
    let Some(layer) = usize::from(said[0]).checked_sub(1).and_then(|i| Layer::ALL.get(i)) else {
        return Ok(());
    };
    let errno = i32::from_le_bytes([said[1], said[2], said[3], said[4]]);
    let what = String::from_utf8_lossy(&said[5..]);
    let what = what.trim_end_matches('\0');
    Err(layer.missing(what, &io::Error::from_raw_os_error(errno)))
}

fn broken(reason: &str) -> Error {
    Error::Sandbox {
        layer: "process",
        reason: reason.to_owned(),
        remedy: "is the machine out of processes, memory or descriptors?".to_owned(),
    }
}

/// Reads to the end, or as far as the limit.
async fn take(
    from: Option<impl AsyncRead + Unpin>,
    into: &mut Vec<u8>,
    limit: usize,
) -> Result<(), Ended> {
    let Some(mut from) = from else { return Ok(()) };
    let mut piece = vec![0; (16 << 10).min(limit + 1)];
    loop {
        // A pipe that breaks has ended.
        let n = from.read(&mut piece).await.unwrap_or(0);
        if n == 0 {
            return Ok(());
        }
        let room = limit - into.len();
        into.extend_from_slice(&piece[..n.min(room)]);
        if n > room {
            return Err(Ended::Output);
        }
    }
}
