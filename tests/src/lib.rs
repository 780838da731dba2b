#![doc = include_str!("../README.md")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod tiny;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::SystemTime,
};

use serde_json::Value;
pub use tiny::Tiny;

/// The built command: `target/PROFILE/forthright`, beside `target/PROFILE/deps/` of this test.
///
/// # Panics
/// If it is not built, or is older than its sources.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let program = profile.join("forthright");
    let how = if profile.ends_with("release") { " --release" } else { "" };
    let build = format!("run `cargo build -p forthright{how}` first");
    assert!(program.exists(), "{} is not there: {build}", program.display());
    let changed = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    let built = changed(&program);
    // Cargo lists beside a binary what it was made from: `BINARY: SOURCE SOURCE …`.
    let sources = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let newer = |source: &&str| {
        let source: Option<SystemTime> = changed(Path::new(source));
        source.is_some() && source > built
    };
    let newer = sources.split_whitespace().skip(1).find(newer);
    assert!(newer.is_none(), "{} is newer than the command: {build}", newer.unwrap_or_default());
    program
}

/// The command with arguments, in an environment of which nothing is set for it.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(args).env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
    command
}

/// What a run of the command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// Exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs to the end, with `input` on standard input.
///
/// # Panics
/// If it cannot be started.
pub fn said(mut command: Command, input: &str) -> Said {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // Beside reading what it says, since a command that streams stops where nobody reads. One
        // that refuses its flags does not read.
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        child.wait_with_output().unwrap().into()
    })
}

/// Standard output of a run that must succeed.
///
/// # Panics
/// If it does not.
pub fn succeeds(args: &[&str], input: &str) -> String {
    let said = said(command(args), input);
    assert_eq!(said.code, Some(0), "{args:?}: {}", said.err);
    said.out
}

/// The objects on standard output of a run that must succeed.
///
/// # Panics
/// If it does not, or prints something else.
pub fn objects(args: &[&str], input: &str) -> Vec<Value> {
    succeeds(args, input).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a run says that must be refused: exactly one line of standard error, exit code 2, and nothing
/// on standard output.
///
/// # Panics
/// If it is not.
pub fn refused(args: &[&str], input: &str) -> String {
    refusal(said(command(args), input))
}

/// As [`refused`], of a run that was made.
///
/// # Panics
/// If it was not refused so.
pub fn refusal(said: Said) -> String {
    assert_eq!(said.code, Some(2), "{said:?}");
    assert_eq!(said.err.trim_end().lines().count(), 1, "expected one line: {}", said.err);
    assert!(said.err.starts_with("error: "), "{}", said.err);
    assert_eq!(said.out, "", "nothing on standard output");
    let times = said.err.matches("os error").count();
    assert!(times <= 1, "the system's answer is said once: {}", said.err);
    said.err
}

/// Files of a run that tell its time or are its lock.
const APART: [&str; 4] = ["run.json", "timing.jsonl", ".lock", "events.out.tfevents.0.forthright"];

/// All files below a folder with their content, by relative path, in order; what tells a run's time
/// or is its lock is left out.
///
/// # Panics
/// If it cannot be read.
pub fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    fn walk(folder: &Path, root: &Path, out: &mut Vec<(String, Vec<u8>)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, out);
            } else if !APART.iter().any(|name| path.ends_with(name)) {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                out.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    let mut out = Vec::new();
    walk(folder, folder, &mut out);
    out.sort();
    out
}

/// Two folders hold the same, bit by bit.
///
/// # Panics
/// Naming the file that differs.
pub fn assert_same(found: &Path, expected: &Path) {
    let (found, expected) = (contents(found), contents(expected));
    let names = |files: &[(String, Vec<u8>)]| {
        files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&found), names(&expected));
    for ((name, found), (_, expected)) in found.iter().zip(&expected) {
        assert!(found == expected, "{name} differs");
    }
}
