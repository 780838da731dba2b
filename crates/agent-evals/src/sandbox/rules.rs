//! The rules that a command takes upon itself before it begins: landlock's and seccomp's.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, PathBeneath, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

/// Rules on files: everything below `root` can be read and run, what is below `writable` written.
/// No TCP connection can be made, no signal and no message sent to anybody outside.
///
/// None where the kernel knows nothing of landlock. Kernels that know less of it give what they have:
/// connections and signals are also kept in by namespaces.
pub(super) fn landlock(
    root: impl AsFd,
    writable: &[OwnedFd],
) -> Result<Option<OwnedFd>, RulesetError> {
    let abi = ABI::V7;
    let created = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?;
    let mut created = created.add_rule(PathBeneath::new(root, AccessFs::from_read(abi)))?;
    for fd in writable {
        created = created.add_rule(PathBeneath::new(fd, AccessFs::from_all(abi)))?;
    }
    Ok(created.into())
}

/// System calls that a command has no need of, and that have been ways out of sandboxes before:
/// they fail as if they were not allowed.
const REFUSED: &[libc::c_long] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    // The kernel and the machine.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    // Keys that are shared by all processes of a user.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Memory that no limit counts.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_shmget,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_mq_open,
    libc::SYS_mlockall,
    // Where memory lies, which takes other processes' as well.
    libc::SYS_mbind,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[libc::c_long] = &[
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_nfsservctl,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[libc::c_long] = &[];

/// Flags of clone that make namespaces.
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u64;

/// The filters of system calls, to be put on in this order.
pub(super) fn seccomp() -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(seccompiler::Error::from)?;
    let refuse = |errno: i32| SeccompAction::Errno(errno as u32);
    let filter = |rules, action| -> Result<BpfProgram, seccompiler::Error> {
        Ok(SeccompFilter::new(rules, SeccompAction::Allow, action, arch)?.try_into()?)
    };
    let arg = |n, op, value| SeccompCondition::new(n, SeccompCmpArgLen::Dword, op, value);
    let rule = |conditions: Vec<SeccompCondition>| SeccompRule::new(conditions);
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in REFUSED.iter().chain(REFUSED_HERE) {
        refused.insert(*call, Vec::new());
    }
    // One flag is enough: a rule for each.
    let mut clones = Vec::new();
    for bit in (0..64).map(|b| 1u64 << b).filter(|bit| NAMESPACES & bit != 0) {
        clones.push(rule(vec![arg(0, SeccompCmpOp::MaskedEq(bit), bit)?])?);
    }
    refused.insert(libc::SYS_clone, clones);
    // Putting words into a terminal's input, where there is one.
    let mut controls = Vec::new();
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        controls.push(rule(vec![arg(1, SeccompCmpOp::Eq, request)?])?);
    }
    refused.insert(libc::SYS_ioctl, controls);
    // Sockets within the sandbox are all that it gets.
    let local = libc::AF_UNIX as u64;
    let sockets = || -> Result<Vec<SeccompRule>, seccompiler::Error> {
        Ok(vec![rule(vec![arg(0, SeccompCmpOp::Ne, local)?])?])
    };
    let sockets =
        BTreeMap::from([(libc::SYS_socket, sockets()?), (libc::SYS_socketpair, sockets()?)]);
    // Its flags are behind a pointer, where no filter sees them. Libraries then take clone.
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let mut filters = vec![
        filter(refused, refuse(libc::EPERM))?,
        filter(sockets, refuse(libc::EAFNOSUPPORT))?,
        filter(clone3, refuse(libc::ENOSYS))?,
    ];
    if cfg!(target_arch = "x86_64") {
        filters.push(no_other_numbers());
    }
    Ok(filters)
}

/// Refuses the calls of x32, which are those of x86-64 under other numbers: filters by number would
/// not see them.
fn no_other_numbers() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    let code = |code: u32, jt: u8, jf: u8, k: u32| sock_filter { code: code as u16, jt, jf, k };
    vec![
        // The number of the call.
        code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32),
        code(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        code(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
