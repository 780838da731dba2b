//! What a sandbox is made of, and what to do where a part is missing.

use std::io;

use serde::{Deserialize, Serialize};

use crate::Error;

/// One of the walls around a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layer {
    /// A user of its own, without any privilege.
    Users,
    /// Files of its own: root, home, devices.
    Mounts,
    /// Processes of its own, all of which end with the command.
    Processes,
    /// No network, and no way to talk to other processes.
    Network,
    /// A view of its own processes alone.
    Proc,
    /// Rules on files, connections and signals that hold even where namespaces fail.
    Landlock,
    /// System calls that it has no need of are refused.
    Seccomp,
}

impl Layer {
    /// All of them, from the outermost in.
    pub const ALL: [Self; 7] = [
        Self::Users,
        Self::Mounts,
        Self::Processes,
        Self::Network,
        Self::Proc,
        Self::Landlock,
        Self::Seccomp,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "user namespace",
            Self::Mounts => "mount namespace",
            Self::Processes => "pid namespace",
            Self::Network => "network namespace",
            Self::Proc => "proc file system",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
        }
    }

    /// Whether a sandbox can be made without it at all.
    pub fn can_be_waived(self) -> bool {
        matches!(self, Self::Proc | Self::Landlock | Self::Seccomp)
    }

    /// What to install or to switch on.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Users => {
                "switch user namespaces on (sysctl user.max_user_namespaces above 0, \
                 kernel.unprivileged_userns_clone=1 on Debian, \
                 kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu); in a container, run it \
                 with a seccomp profile that allows unshare, clone and mount"
            }
            Self::Mounts => {
                "in a container, run it with a seccomp profile that allows mount, pivot_root and \
                 mount_setattr; Linux 5.12 or later is needed"
            }
            Self::Processes => "raise sysctl user.max_pid_namespaces",
            Self::Network => "raise sysctl user.max_net_namespaces and user.max_ipc_namespaces",
            Self::Proc => {
                "a container that hides parts of /proc forbids another one: run it with /proc \
                 unmasked, or waive the layer `proc`, without which ps and many programs fail"
            }
            Self::Landlock => {
                "Linux 5.13 or later with CONFIG_SECURITY_LANDLOCK and landlock in the kernel's \
                 parameter lsm= is needed; or waive the layer `landlock`"
            }
            Self::Seccomp => {
                "a kernel with CONFIG_SECCOMP_FILTER is needed; or waive the layer `seccomp`"
            }
        }
    }

    pub(super) fn missing(self, step: &str, source: &io::Error) -> Error {
        Error::Sandbox {
            layer: self.name(),
            reason: format!("{step}: {source}"),
            remedy: self.remedy().to_owned(),
        }
    }
}
