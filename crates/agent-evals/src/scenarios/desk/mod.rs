//! A desk with files and a shell: in a sandbox, or pretended.

mod acts;
mod edit;
mod files;
mod parse;
mod pattern;
mod programs;
mod shell;
mod watch;

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

pub(super) use acts::writes;
pub(super) use files::{HOME, absolute};
pub(super) use parse::{Simple, executed};
pub(super) use watch::{Tampering, Watched};

use files::Node;
use serde::{Deserialize, Serialize};
use shell::Shell;

use crate::Error;

/// Where commands of scenarios with a shell run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum World {
    /// In a shell that is only pretended, with programs enough for the task. It needs no system
    /// and no time.
    #[default]
    Simulated,
    /// In a real shell, in a sandbox, with Python besides.
    Sandboxed,
}

/// A desk. Clones are the same desk.
#[derive(Clone)]
pub(super) enum Desk {
    Simulated(Arc<Mutex<Shell>>),
    #[cfg(target_os = "linux")]
    Sandboxed(crate::sandbox::Sandbox),
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ran {
    /// What the agent is shown.
    pub(super) text: String,
    /// Whether it ended well.
    pub(super) ok: bool,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) kind: Kind,
    pub(super) text: String,
    /// Differs when the file has been written anew, whatever is in it.
    pub(super) version: String,
}

/// What kind of thing is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Absent,
    File,
    Link,
    Other,
}

impl Desk {
    /// A desk with these files, by path from the home on.
    pub(super) async fn open(world: World, files: &[(String, String)]) -> Result<Self, Error> {
        match world {
            World::Simulated => {
                let mut shell = Shell::new();
                for (path, text) in files {
                    let path = shell.path(path);
                    let made = shell.files.make_folders(files::parent(&path));
                    made.and_then(|()| shell.files.write(&path, text, false))
                        .map_err(|why| broken(&format!("{path}: {why}")))?;
                }
                Ok(Self::Simulated(Arc::new(Mutex::new(shell))))
            }
            #[cfg(target_os = "linux")]
            World::Sandboxed => {
                let config = crate::sandbox::SandboxConfig {
                    home_bytes: 16 << 20,
                    files: 1024,
                    ..crate::sandbox::SandboxConfig::default()
                };
                let desk = Self::Sandboxed(crate::sandbox::Sandbox::open(config).await?);
                desk.fill(files).await?;
                Ok(desk)
            }
            #[cfg(not(target_os = "linux"))]
            World::Sandboxed => Err(Error::Sandbox {
                layer: "namespaces",
                reason: "this system has none".to_owned(),
                remedy: "run on Linux, or in the simulated world".to_owned(),
            }),
        }
    }

    /// Puts all files there by one command.
    #[cfg(target_os = "linux")]
    async fn fill(&self, files: &[(String, String)]) -> Result<(), Error> {
        let mut script = String::new();
        for (path, text) in files {
            let path = quoted(&absolute(path, HOME));
            let _ = writeln!(
                script,
                "mkdir -p -- \"$(dirname -- {path})\" && printf %s {} > {path} || exit 1",
                quoted(text)
            );
        }
        let ran = self.run(&script).await?;
        if ran.ok { Ok(()) } else { Err(broken(&ran.text)) }
    }

    /// Runs a line of a shell.
    pub(super) async fn run(&self, line: &str) -> Result<Ran, Error> {
        match self {
            Self::Simulated(shell) => {
                let ran = lock(shell).run(line);
                let mut text = ran.stdout + &ran.stderr;
                if ran.status != 0 {
                    let _ = write!(text, "[exit status {}]", ran.status);
                }
                Ok(Ran { text, ok: ran.status == 0 })
            }
            #[cfg(target_os = "linux")]
            Self::Sandboxed(sandbox) => {
                let [bash, ..] = crate::tool::sandboxed(sandbox);
                let arguments = [("command".to_owned(), line.into())].into_iter().collect();
                match bash.call(&arguments).await? {
                    crate::ToolOutcome::Output { text, facts } => {
                        Ok(Ran { text, ok: facts.get("ended") == Some(&0.into()) })
                    }
                    refused @ crate::ToolOutcome::Refused { .. } => {
                        Ok(Ran { text: refused.to_text(), ok: false })
                    }
                }
            }
        }
    }

    /// Looks at a path, from outside, after adding a text to it.
    pub(super) async fn append_and_look(&self, path: &str, text: &str) -> Result<Look, Error> {
        match self {
            Self::Simulated(shell) => {
                let mut shell = lock(shell);
                let path = shell.path(path);
                if !text.is_empty() {
                    // What the agent has made of the place is the agent's affair.
                    let _ = shell.files.write(&path, text, true);
                }
                let kind = match shell.files.node(&path) {
                    None => Kind::Absent,
                    Some(Node::File(_)) => Kind::File,
                    Some(Node::Link(_)) => Kind::Link,
                    Some(Node::Folder) => Kind::Other,
                };
                let text = shell.files.read(&path).unwrap_or_default().to_owned();
                Ok(Look { kind, text, version: shell.files.version(&path).to_string() })
            }
            #[cfg(target_os = "linux")]
            Self::Sandboxed(sandbox) => look(sandbox, path, text).await,
        }
    }

    /// Writes a file anew, from outside.
    pub(super) async fn write(&self, path: &str, text: &str) -> Result<(), Error> {
        match self {
            Self::Simulated(shell) => {
                let mut shell = lock(shell);
                let path = shell.path(path);
                let made = shell.files.make_folders(files::parent(&path));
                let _ = made.and_then(|()| shell.files.write(&path, text, false));
            }
            #[cfg(target_os = "linux")]
            Self::Sandboxed(sandbox) => {
                let path = absolute(path, HOME);
                let _ = sandbox.write(&path, text.as_bytes()).await?;
            }
        }
        Ok(())
    }
}

fn lock(shell: &Mutex<Shell>) -> std::sync::MutexGuard<'_, Shell> {
    shell.lock().unwrap_or_else(PoisonError::into_inner)
}

fn broken(what: &str) -> Error {
    Error::Tool { tool: "bash".to_owned(), reason: format!("the desk cannot be laid: {what}") }
}

#[cfg(target_os = "linux")]
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Programs of the machine look at the path: its folders are not the agent's to write to.
#[cfg(target_os = "linux")]
async fn look(sandbox: &crate::sandbox::Sandbox, path: &str, text: &str) -> Result<Look, Error> {
    // No file beside the path is touched, and no pipe is waited for, whatever the agent has put there.
    let script = "p=$1; if [ \"$2\" = add ]; then \
                  if [ -f \"$p\" ] || [ ! -e \"$p\" ]; then cat >> \"$p\"; fi; fi 2>/dev/null; \
                  if [ -L \"$p\" ]; then echo link; elif [ -f \"$p\" ]; then echo file; \
                  elif [ -e \"$p\" ]; then echo other; else echo absent; fi; \
                  stat -c '%i %z' -- \"$p\" 2>/dev/null || echo none; \
                  [ -f \"$p\" ] && head -c 900000 -- \"$p\" 2>/dev/null; true";
    let add = if text.is_empty() { "" } else { "add" };
    let path = absolute(path, HOME);
    let mut command =
        crate::sandbox::Command::new("/bin/sh", ["-c", script, "sh", path.as_str(), add]);
    command.input = text.as_bytes().to_vec();
    command.wall_s = Some(10.0);
    let output = sandbox.run(&command).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut parts = said.splitn(3, '\n');
    let kind = match parts.next() {
        Some("link") => Kind::Link,
        Some("file") => Kind::File,
        Some("other") => Kind::Other,
        Some("absent") => Kind::Absent,
        _ => return Err(broken(&format!("{path} cannot be looked at"))),
    };
    let version = parts.next().unwrap_or_default().to_owned();
    Ok(Look { kind, text: parts.next().unwrap_or_default().to_owned(), version })
}
