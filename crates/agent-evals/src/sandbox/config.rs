//! What a sandbox holds and how much.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Limits of one sample's sandbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxConfig {
    /// Bytes of files in its home, which lie in memory; 64 KiB to 1 TiB.
    pub home_bytes: u64,
    /// Bytes of files in its `/tmp`, in memory as well; 64 KiB to 1 TiB.
    pub tmp_bytes: u64,
    /// Files and folders in each of the two; at least 16.
    pub files: u64,
    /// Memory of all processes of a command together, in bytes; at least 16 MiB.
    ///
    /// It is looked at forty times a second, so that a command may exceed it for so long.
    pub memory_bytes: u64,
    /// Address space of each process, in bytes; at least 64 MiB. Interpreters reserve more than they
    /// use.
    pub address_bytes: u64,
    /// Processes and threads at a time, three of them the sandbox's own; at least 4.
    pub processes: u64,
    /// Open files of a process; at least 16.
    pub open_files: u64,
    /// Seconds for a command; above 0, at most a day.
    pub wall_s: f64,
    /// Seconds of computing for each process of a command; at least 1.
    pub cpu_s: u64,
    /// Bytes that a command may write to either of its outputs before it is ended; at least 1 KiB.
    pub output_bytes: usize,
    /// Folders and files of this machine that it can read; those that are absent are left out.
    pub readable: Vec<PathBuf>,
    /// Variables of its environment, beside `HOME`, `PATH`, `LANG`, `USER` and `TERM`.
    pub environment: Vec<(String, String)>,
    /// Layers without which it may do where this machine does not have them.
    pub waived: Vec<super::Layer>,
}

impl Default for SandboxConfig {
    /// 64 MiB of files, 512 MiB of memory, 64 processes, a minute for a command, and the programs of
    /// this machine to read.
    fn default() -> Self {
        Self {
            home_bytes: 64 << 20,
            tmp_bytes: 16 << 20,
            files: 16_384,
            memory_bytes: 512 << 20,
            address_bytes: 4 << 30,
            processes: 64,
            open_files: 256,
            wall_s: 60.0,
            cpu_s: 60,
            output_bytes: 1 << 20,
            readable: [
                "/usr",
                "/bin",
                "/sbin",
                "/lib",
                "/lib32",
                "/lib64",
                "/etc/alternatives",
                "/etc/ld.so.cache",
            ]
            .map(PathBuf::from)
            .to_vec(),
            environment: Vec::new(),
            waived: Vec::new(),
        }
    }
}

impl SandboxConfig {
    /// Checks all ranges.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<(), Error> {
        let at_least = |field: &str, least: u64, found: u64| {
            if found < least {
                return Err(Error::config(
                    format!("sandbox.{field}"),
                    format!("at least {least}"),
                    found,
                ));
            }
            Ok(())
        };
        at_least("home_bytes", 64 << 10, self.home_bytes)?;
        at_least("tmp_bytes", 64 << 10, self.tmp_bytes)?;
        for (field, bytes) in [("home_bytes", self.home_bytes), ("tmp_bytes", self.tmp_bytes)] {
            if bytes > 1 << 40 {
                return Err(Error::config(format!("sandbox.{field}"), "at most 1 TiB", bytes));
            }
        }
        at_least("files", 16, self.files)?;
        at_least("memory_bytes", 16 << 20, self.memory_bytes)?;
        at_least("address_bytes", 64 << 20, self.address_bytes)?;
        at_least("processes", 4, self.processes)?;
        at_least("open_files", 16, self.open_files)?;
        at_least("cpu_s", 1, self.cpu_s)?;
        at_least("output_bytes", 1 << 10, self.output_bytes as u64)?;
        if !(self.wall_s > 0.0 && self.wall_s <= 86_400.0) {
            let expected = "above 0 s, at most a day";
            return Err(Error::config("sandbox.wall_s", expected, self.wall_s));
        }
        for path in &self.readable {
            let plain =
                path.components().skip(1).all(|c| matches!(c, std::path::Component::Normal(_)));
            let own = ["/proc", "/sys", "/dev", "/home/agent", "/tmp", "/"];
            if !path.is_absolute() || !plain || own.iter().any(|o| path.as_os_str() == *o) {
                let expected = "absolute paths, without .., other than /, /dev, /home/agent, /proc, /sys and /tmp";
                return Err(Error::config("sandbox.readable", expected, path.display()));
            }
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let expected = "names without =, and no null characters";
                return Err(Error::config("sandbox.environment", expected, format!("{name:?}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked() {
        let check = |config: SandboxConfig| {
            config.validate().err().map(|e| e.to_string()).unwrap_or_default()
        };
        let default = SandboxConfig::default;
        assert_eq!(check(default()), "");
        assert!(
            check(SandboxConfig { processes: 3, ..default() }).starts_with("sandbox.processes")
        );
        assert!(
            check(SandboxConfig { wall_s: f64::NAN, ..default() }).starts_with("sandbox.wall_s")
        );
        for bad in ["usr", "/usr/../etc", "/", "/proc", "/tmp"] {
            let readable = vec![PathBuf::from(bad)];
            assert!(check(SandboxConfig { readable, ..default() }).contains(bad), "{bad}");
        }
    }
}
