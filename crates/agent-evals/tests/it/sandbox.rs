//! Nothing gets out, and nothing is left running.
//!
//! On a machine that lacks a layer these tests do nothing and say which it is, unless
//! `FORTHRIGHT_SANDBOX=required` is set: then they fail.
#![cfg(target_os = "linux")]

use std::{
    fmt::Write as _,
    fs,
    os::{linux::net::SocketAddrExt as _, unix::fs::PermissionsExt as _},
    path::Path,
    time::{Duration, Instant},
};

use agent_evals::{
    Tool, ToolOutcome,
    sandbox::{Command, Ended, Output, Sandbox, SandboxConfig, probe},
    tool::sandboxed,
};
use serde_json::json;

fn small() -> SandboxConfig {
    SandboxConfig {
        home_bytes: 4 << 20,
        tmp_bytes: 1 << 20,
        files: 64,
        memory_bytes: 128 << 20,
        processes: 20,
        wall_s: 20.0,
        output_bytes: 64 << 10,
        ..SandboxConfig::default()
    }
}

async fn open() -> Sandbox {
    Sandbox::open(small()).await.unwrap()
}

async fn shell(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.run(&Command::shell(line)).await.unwrap()
}

async fn python(sandbox: &Sandbox, code: &str) -> Output {
    let mut command = Command::new("python3", ["-"]);
    command.input = code.as_bytes().to_vec();
    sandbox.run(&command).await.unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{:?} {}{}",
        output.ended,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A name that no other process on the machine has in its arguments.
fn token() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static N: AtomicU32 = AtomicU32::new(0);
    format!("{}.{}", std::process::id(), 770_000 + N.fetch_add(1, Ordering::Relaxed))
}

/// Processes on the machine with this among their arguments.
fn running(token: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|p| {
            let arguments = fs::read(p.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(token)
        })
        .count()
}

/// Whether there can be no whole sandbox here; each missing layer comes with a remedy.
#[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
async fn lacks_a_layer() -> bool {
    let (what, missing) = match probe(&small()).await {
        Ok(probe) => (format!("{:?}", probe.missing), !probe.is_whole()),
        Err(error) => (error.to_string(), true),
    };
    if missing {
        assert!(std::env::var_os("FORTHRIGHT_SANDBOX").is_none(), "{what}");
        eprintln!("not tested, as this machine has no whole sandbox: {what}");
    }
    missing
}

#[tokio::test]
async fn commands_run_and_files_stay() {
    if lacks_a_layer().await {
        return;
    }
    let sandbox = open().await;
    assert_eq!(
        text(&shell(&sandbox, "echo hello; echo no >&2; exit 3").await),
        "Exit(3) hello\nno\n"
    );
    let output = shell(&sandbox, "id -u; pwd; hostname; echo $HOME; echo x > kept; ls -A /").await;
    let said = text(&output);
    assert!(said.starts_with("Exit(0) 1000\n/home/agent\nsandbox\n/home/agent\n"), "{said}");
    assert_eq!(text(&shell(&sandbox, "cat kept").await), "Exit(0) x\n");
    assert_eq!(text(&python(&sandbox, "import os; print(os.getpid())").await), "Exit(0) 2\n");
    let missing = sandbox.run(&Command::new("nosuchprogram", ["x"])).await.unwrap();
    assert_eq!(missing.ended, Ended::Exit(127));
    assert_eq!(text(&shell(&sandbox, "kill -9 $$").await), "Exit(137) ");
    let other = open().await;
    assert!(!text(&shell(&other, "cat kept").await).contains("Exit(0)"), "files of another sample");
}

#[tokio::test]
async fn files_are_read_and_written_as_by_the_agent() {
    if lacks_a_layer().await {
        return;
    }
    let sandbox = open().await;
    let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
    sandbox.write("/home/agent/deep/er/data", &bytes).await.unwrap().unwrap();
    // In pieces, since an output takes only so much.
    assert_eq!(sandbox.read("deep/er/data", 1 << 20).await.unwrap().unwrap(), bytes);
    assert_eq!(sandbox.read("deep/er/data", 70_000).await.unwrap().unwrap(), bytes[..70_000]);
    sandbox.write("-n", b"odd name").await.unwrap().unwrap();
    assert_eq!(sandbox.read("-n", 100).await.unwrap().unwrap(), b"odd name");
    assert!(sandbox.read("empty", 100).await.unwrap().is_err());
    sandbox.write("empty", b"").await.unwrap().unwrap();
    assert_eq!(sandbox.read("empty", 100).await.unwrap().unwrap(), b"");
    assert!(sandbox.read("deep", 100).await.unwrap().is_err());
    assert!(sandbox.write("/usr/x", b"x").await.unwrap().is_err());
    // A link to a file of the host leads to the sandbox's own, where there is none.
    shell(&sandbox, "ln -s /etc/shadow stolen").await;
    assert!(sandbox.read("stolen", 100).await.unwrap().is_err());
}

/// Attempts, each a shell script that prints `ESCAPED` if it succeeds. `SECRET` is a folder of the
/// host with a file `word`, `HOST_HOME` the home of who runs the tests.
const ATTEMPTS: &[(&str, &str)] = &[
    (
        "host files",
        "cat /etc/shadow /etc/hostname SECRET/word 2>/dev/null | grep -q . && echo ESCAPED",
    ),
    ("host folders", "ls SECRET HOST_HOME /home/*/.ssh 2>/dev/null | grep -q . && echo ESCAPED"),
    ("writing programs", "echo x > /usr/bin/evil && echo ESCAPED"),
    ("writing the root", "echo x > /evil && echo ESCAPED"),
    ("writing etc", "echo x >> /etc/passwd && echo ESCAPED"),
    ("removing programs", "rm -f /usr/bin/env; test -e /usr/bin/env || echo ESCAPED"),
    ("writable mounts", "mount -o remount,rw / && echo ESCAPED"),
    ("mounting", "mount -t tmpfs x /home/agent && echo ESCAPED"),
    ("another user namespace", "unshare -Ur true && echo ESCAPED"),
    ("another mount namespace", "unshare -m true && echo ESCAPED"),
    ("chroot", "chroot / true && echo ESCAPED"),
    ("processes of the host", "[ $(ls -d /proc/[0-9]* | wc -l) -gt 8 ] && echo ESCAPED"),
    (
        "the first process's root",
        "p=/proc/1/root; ls $p$p/../../../..SECRET 2>/dev/null | grep -q . && echo ESCAPED",
    ),
    ("kernel settings", "echo '|/bin/sh' > /proc/sys/kernel/core_pattern && echo ESCAPED"),
    ("kernel log", "dmesg 2>/dev/null | grep -q . && echo ESCAPED"),
    ("sysrq", "echo h > /proc/sysrq-trigger && echo ESCAPED"),
    ("sysfs", "ls /sys 2>/dev/null | grep -q . && echo ESCAPED"),
    ("disks", "head -c 1 /dev/vda /dev/sda /dev/nvme0n1 2>/dev/null | grep -q . && echo ESCAPED"),
    ("memory device", "test -e /dev/mem -o -e /dev/kmem -o -e /dev/kvm && echo ESCAPED"),
    ("making devices", "mknod d c 1 1 && echo ESCAPED"),
    (
        "setuid programs",
        "cp /bin/bash b && chmod u+s b && ./b -p -c '[ $(id -u) = 0 ]' && echo ESCAPED",
    ),
    ("becoming root", "su -c true </dev/null && echo ESCAPED; sudo -n true && echo ESCAPED"),
    (
        "killing the first process",
        "kill -9 1; sleep 0.1; kill -0 1 && echo alive; kill -9 -1; echo alive",
    ),
    ("hard links", "ln /usr/bin/env x && echo ESCAPED"),
    ("writing through a link", "ln -s /etc/passwd l && echo x >> l && echo ESCAPED"),
    ("clock", "date -s 2001-01-01 2>/dev/null && echo ESCAPED"),
    ("hostname", "hostname evil && echo ESCAPED"),
    ("shared memory", "ls /dev/shm/* 2>/dev/null | grep -q . && echo ESCAPED"),
    ("terminal", "echo x > /dev/tty && echo ESCAPED"),
    (
        "capabilities",
        "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | grep -v 0000000000000000 && echo ESCAPED",
    ),
    ("privileges to come", "grep -q 'NoNewPrivs:.1' /proc/self/status || echo ESCAPED"),
    (
        "descriptors",
        "[ $(ls /proc/self/fd | wc -l) -gt 4 ] && { ls -l /proc/self/fd; echo ESCAPED; }",
    ),
    (
        "environment",
        "env | grep -vE '^(HOME|PATH|LANG|USER|TERM|PWD|OLDPWD|SHLVL|_)=' && echo ESCAPED",
    ),
    (
        "environment of others",
        "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' \
         | grep -vE '^(HOME|PATH|LANG|USER|TERM|PWD|OLDPWD|SHLVL|_)=' && echo ESCAPED",
    ),
    (
        "a race of links",
        "touch mine; (for i in $(seq 300); do ln -sfn mine race; ln -sfn /etc/shadow race; done) & \
         for i in $(seq 60); do cat race 2>/dev/null; done | grep -q . && echo ESCAPED",
    ),
];

/// The same in Python: system calls and sockets. Each raises where it is contained.
const CALLS: &[(&str, &str)] = &[
    ("inet", "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM)"),
    ("inet6", "import socket; socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)"),
    ("raw", "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"),
    ("packet", "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"),
    ("netlink", "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"),
    ("vsock", "import socket; socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)"),
    ("alg", "import socket; socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)"),
    ("bluetooth", "import socket; socket.socket(31, socket.SOCK_RAW, 1)"),
    ("abstract socket", "import socket; socket.socket(socket.AF_UNIX).connect('\\0PROBE')"),
    ("path socket", "import socket; socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')"),
    ("names", "import socket; socket.getaddrinfo('example.com', 80)"),
    ("ptrace", "call(101, 16, 1, 0, 0)"),
    ("memory of the first", "open('/proc/1/mem', 'rb').read(1)"),
    ("process_vm_readv", "call(310, 1, 0, 0, 0, 0, 0)"),
    ("bpf", "call(321, 0, 0, 0)"),
    ("perf_event_open", "call(298, 0, 0, -1, -1, 0)"),
    ("keyctl", "call(250, 0, -3, 1)"),
    ("io_uring_setup", "call(425, 1, 0)"),
    ("userfaultfd", "call(323, 0)"),
    ("memfd_create", "import os; os.memfd_create('x')"),
    ("shmget", "call(29, 0, 1 << 30, 0o1600)"),
    ("open_by_handle_at", "call(304, 0, 0, 0)"),
    ("unshare", "call(272, 0x10000000)"),
    ("clone with a namespace", "call(56, 0x10000000 | 17, 0, 0, 0, 0)"),
    ("clone3", "call(435, 0, 0)"),
    ("setns", "call(308, 0, 0)"),
    ("x32", "call(0x40000000 + 39)"),
    ("real-time priority", "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"),
    ("raising limits", "import resource as r; r.setrlimit(r.RLIMIT_NPROC, (9999, 9999))"),
    ("signal to the first", "import os; os.kill(1, 9); raise OSError('it ignores it')"),
];

#[tokio::test]
async fn attempts_to_get_out_fail() {
    if lacks_a_layer().await {
        return;
    }
    let sandbox = open().await;
    // What there is to be seen outside; everyone may read it.
    let secret = tempfile::tempdir().unwrap();
    fs::set_permissions(secret.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(secret.path().join("word"), "secret").unwrap();
    let host_home = std::env::var("HOME").unwrap_or_else(|_| "/nowhere".into());
    for (name, script) in ATTEMPTS {
        let script = script
            .replace("SECRET", secret.path().to_str().unwrap())
            .replace("HOST_HOME", &host_home);
        if *name == "host folders" {
            // What the sandbox keeps from an agent is there for others.
            let outside = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(outside.stdout, b"ESCAPED\n");
        }
        let said = text(&shell(&sandbox, &script).await);
        assert!(!said.contains("ESCAPED"), "{name}: {said}");
    }
    // Something that can be found from outside.
    let name = token();
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let mut program = String::from(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n\
         def call(*a):\n    if libc.syscall(*[ctypes.c_long(x) for x in a]) < 0: raise OSError(ctypes.get_errno())\n",
    );
    for (name, code) in CALLS {
        let _ = write!(
            program,
            "try:\n    {code}\n    print('ESCAPED', '{name}')\nexcept OSError as e: print('{name}', e)\n\
             except ValueError as e: print('{name}', e)\n"
        );
    }
    let said = text(&python(&sandbox, &program.replace("PROBE", &name)).await);
    assert!(!said.contains("ESCAPED"), "{said}");
    assert!(said.starts_with("Exit(0)"), "{said}");
    for (name, _) in CALLS {
        assert!(said.contains(&format!("{name} ")), "{name} was not tried: {said}");
    }
}

#[tokio::test]
async fn floods_are_contained() {
    if lacks_a_layer().await {
        return;
    }
    let sandbox = open().await;
    let name = token();
    // A fork bomb: the limit on processes holds, and all of them are gone in the end.
    let code = format!(
        "import os, time\nn = 0\ntry:\n    while True:\n        if os.fork() == 0: os.execvp('sleep', ['sleep', '{name}'])\n        n += 1\nexcept OSError: print(n)"
    );
    let output = python(&sandbox, &code).await;
    assert_eq!(output.ended, Ended::Exit(0), "{}", text(&output));
    let n: usize = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    assert!((5..20).contains(&n), "{n}");
    assert_eq!(running(&name), 0);
    // Files: bytes and their number.
    let line = "head -c 100M /dev/zero > big; head -c 100M /dev/zero > big2; du -ck big* | tail -1";
    let output = shell(&sandbox, line).await;
    let total = String::from_utf8_lossy(&output.stdout).into_owned();
    let kib: u64 = total.split_whitespace().next().unwrap().parse().unwrap();
    assert!((1..=4 << 10).contains(&kib), "{}", text(&output));
    let line = "rm -f big*; for i in $(seq 200); do touch f$i; done 2>/dev/null; ls | wc -l";
    let output = shell(&sandbox, line).await;
    let n: usize = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    assert!((10..64).contains(&n), "{}", text(&output));
    shell(&sandbox, "rm -f f*").await;
    // Memory of one process, and of many together.
    let output = python(&sandbox, "x = bytearray(8 << 30)").await;
    assert!(text(&output).contains("MemoryError"), "{}", text(&output));
    let output = python(
        &sandbox,
        "import os, time\nfor i in range(8):\n    if os.fork() == 0: x = b'a' * (40 << 20); time.sleep(20)\ntime.sleep(20)",
    )
    .await;
    assert_eq!(output.ended, Ended::Memory, "{}", text(&output));
    // Words without end.
    let output = shell(&sandbox, "yes").await;
    assert_eq!((output.ended, output.stdout.len()), (Ended::Output, 64 << 10));
    // The sandbox is as good as before.
    assert_eq!(text(&shell(&sandbox, "echo ok").await), "Exit(0) ok\n");
}

#[tokio::test]
async fn nothing_is_left_running() {
    if lacks_a_layer().await {
        return;
    }
    let sandbox = open().await;
    let name = token();
    // A daemon that has left its session and its parent.
    let line = format!("setsid sh -c 'sleep {name} & sleep {name}' >/dev/null 2>&1 & echo started");
    let output = shell(&sandbox, &line).await;
    assert!(text(&output).contains("started"), "{}", text(&output));
    assert_eq!(running(&name), 0);
    // One that keeps the outputs open does not keep the command.
    let started = Instant::now();
    let output = shell(&sandbox, &format!("sleep {name} & echo started")).await;
    assert_eq!(output.ended, Ended::Exit(0));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(running(&name), 0);
    // Time is up, also for those who will not hear of it.
    let mut command =
        Command::shell(format!("trap '' TERM INT HUP; setsid sleep {name} & sleep {name}"));
    command.wall_s = Some(0.3);
    let output = sandbox.run(&command).await.unwrap();
    assert_eq!(output.ended, Ended::Time);
    assert_eq!(running(&name), 0);
    // Nobody waits for it any more.
    let command = Command::shell(format!("sleep {name}"));
    let waiting = tokio::time::timeout(Duration::from_millis(300), sandbox.run(&command));
    assert!(waiting.await.is_err());
    let gone_by = Instant::now() + Duration::from_secs(5);
    while running(&name) > 0 && Instant::now() < gone_by {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(running(&name), 0);
}

#[tokio::test]
async fn tools_tell_what_happened() {
    if lacks_a_layer().await {
        return;
    }
    let sandbox = open().await;
    let [bash, python, read, write] = sandboxed(&sandbox);
    let call = async |tool: &std::sync::Arc<dyn Tool>, arguments: serde_json::Value| {
        tool.call(arguments.as_object().unwrap()).await.unwrap()
    };
    let said = call(&bash, json!({ "command": "echo a; cat; false" })).await;
    assert_eq!(said.to_text(), "a\n[exit status 1]");
    let long = format!("echo {} | wc -c", "x".repeat(200_000));
    assert_eq!(call(&bash, json!({ "command": long })).await.to_text(), "200001\n");
    let said = call(&python, json!({ "code": "print(6 * 7)" })).await;
    assert_eq!(said.to_text(), "42\n");
    let said = call(&bash, json!({ "command": "printf '\\377'" })).await;
    let ToolOutcome::Output { facts, .. } = &said else { panic!("{said:?}") };
    assert_eq!((&facts["not_utf8"], &facts["ended"]), (&json!(true), &json!(0)));
    let said = call(&write, json!({ "path": "a/b", "text": "né\0" })).await;
    assert_eq!(said.to_text(), "wrote 4 bytes");
    assert_eq!(call(&read, json!({ "path": "a/b" })).await.to_text(), "né\0");
    let said = call(&read, json!({ "path": "none" })).await;
    assert!(
        matches!(&said, ToolOutcome::Refused { message, .. } if message.contains("none")),
        "{said:?}"
    );
    let said = call(&read, json!({ "path": "a\0b" })).await;
    assert!(matches!(said, ToolOutcome::Refused { .. }));
}

#[tokio::test]
async fn no_descriptors_are_left() {
    if lacks_a_layer().await {
        return;
    }
    let sandbox = open().await;
    for _ in 0..30 {
        shell(&sandbox, ":").await;
    }
    assert!(Path::new("/proc/self/fd").read_dir().unwrap().count() < 40);
}
