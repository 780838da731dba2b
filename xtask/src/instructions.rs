//! `cargo xtask bench --instructions`: how many instructions one turn of a bench takes, which other work
//! on the machine does not change.
//!
//! Criterion's `--test` runs a bench once. What its process does beside that (start-up, inputs of all
//! benches of the file) it also does when no bench has the name that is asked for, and is taken off.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Outcome, root, shell};

/// Packages with benches of pure functions: those that run without libtorch.
const PACKAGES: [&str; 3] = ["cot-metrics", "klq", "portfolio-pursuit"];
/// Where the counts that are expected lie.
const FILE: &str = "docs/results/instructions.toml";
/// What is none of them.
const NONE: &str = "no bench has this name";
/// Share by which a count may exceed the recorded one.
const SLACK: f64 = 0.02;
/// Instructions besides, by which the start of a process differs from time to time.
const NOISE: u64 = 4_000;

/// Counts as they were recorded.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    /// The compiler and machine that they hold for.
    compiler: String,
    /// Instructions of one turn, by bench.
    instructions: BTreeMap<String, u64>,
}

/// Counts the benches whose name contains `filter`, and compares with what is recorded; with `record`
/// writes down what it finds.
pub(crate) fn run(filter: Option<&str>, record: bool) -> anyhow::Result<Outcome> {
    shell::output("valgrind", &["--version"])
        .context("expected valgrind, which counts instructions")?;
    let compiler = compiler()?;
    let path = root().join(FILE);
    let recorded = read(&path)?;
    let comparable = recorded.compiler == compiler;
    let mut found = BTreeMap::new();
    for program in programs()? {
        let list = shell::output(&program, &["--bench", "--list"])?;
        let names: Vec<&str> = names(&list)
            .into_iter()
            .filter(|name| filter.is_none_or(|f| name.contains(f)))
            .collect();
        if names.is_empty() {
            continue;
        }
        let beside = count(&program, NONE)?;
        for name in names {
            found.insert(name.to_owned(), count(&program, name)?.saturating_sub(beside));
        }
    }
    if found.is_empty() {
        bail!("FILTER: expected part of the name of a bench of {}", PACKAGES.join(", "));
    }
    let mut worse = Vec::new();
    for (name, &now) in &found {
        let before = recorded.instructions.get(name).copied().filter(|_| comparable);
        let ratio = before.map(|before| now as f64 / before.max(1) as f64);
        let said = ratio.map_or_else(|| "-".into(), |ratio| format!("{ratio:.3}"));
        println!("{now:>14}  {said:>6}  {name}");
        if before.is_some_and(|before| is_worse(now, before)) {
            worse.push(name.as_str());
        }
    }
    if record {
        let kept = if comparable { recorded.instructions } else { BTreeMap::new() };
        let instructions = kept.into_iter().chain(found).collect();
        let text = toml::to_string(&Recorded { compiler, instructions })?;
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        crate::report(&format!("written to {FILE}"));
        return Ok(Outcome::Fine);
    }
    if !comparable {
        crate::report(&format!(
            "{FILE} is of another compiler, {}: not compared",
            recorded.compiler
        ));
    }
    if worse.is_empty() {
        return Ok(Outcome::Fine);
    }
    crate::report(&format!("more instructions than recorded: {}", worse.join(", ")));
    Ok(Outcome::Failed)
}

/// Whether a count exceeds the one before by more than chance does.
fn is_worse(now: u64, before: u64) -> bool {
    now.saturating_sub(NOISE) as f64 > before as f64 * (1.0 + SLACK)
}

fn read(path: &Path) -> anyhow::Result<Recorded> {
    match fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).with_context(|| path.display().to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Recorded::default()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Version and machine of the compiler.
fn compiler() -> anyhow::Result<String> {
    let text = shell::output("rustc", &["-vV"])?;
    let of = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    Ok(format!("{} {}", of("release: "), of("host: ")))
}

/// The benches of the packages, built.
fn programs() -> anyhow::Result<Vec<String>> {
    let mut args = vec!["bench", "--no-run", "--no-default-features", "--message-format", "json"];
    args.extend(["--bench", "main"]);
    args.extend(PACKAGES.iter().flat_map(|package| ["-p", package]));
    let text = shell::output("cargo", &args)?;
    Ok(executables(&text))
}

/// Programs that cargo says it has built.
fn executables(messages: &str) -> Vec<String> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.filter_map(|message| Some(message["executable"].as_str()?.to_owned())).collect()
}

/// Names in criterion's list of benches.
fn names(list: &str) -> Vec<&str> {
    list.lines().filter_map(|line| line.strip_suffix(": benchmark")).collect()
}

/// Instructions of a process that runs the bench of this name once.
fn count(program: &str, name: &str) -> anyhow::Result<u64> {
    let out = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", program])
        .args(["--bench", "--test", "--exact", name])
        .current_dir(root())
        .output()
        .context("cannot run valgrind")?;
    let said = String::from_utf8_lossy(&out.stderr);
    if !out.status.success() {
        bail!("{name}: valgrind failed: {said}");
    }
    counted(&said).with_context(|| format!("{name}: expected a count from valgrind, found {said}"))
}

/// The largest count in what cachegrind says: that of the process itself, and not of one it starts.
fn counted(said: &str) -> Option<u64> {
    let lines = said.lines().filter(|line| line.contains(" I ") && line.contains("refs:"));
    let digits = |line: &str| -> Option<u64> {
        let (_, number) = line.rsplit_once(':')?;
        number.trim().replace(',', "").parse().ok()
    };
    lines.filter_map(digits).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_print_is_read() {
        let said =
            "==3060== I   refs:      565,973\n==3055== \n==3055== I   refs:      25,628,027\n";
        assert_eq!(counted(said), Some(25_628_027));
        assert_eq!(counted("==1== D   refs:      7\n"), None);
        let list = "scores/three/1000: benchmark\n\nedits/encode: benchmark\n2 tests\n";
        assert_eq!(names(list), ["scores/three/1000", "edits/encode"]);
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
                        {\"executable\":\"/x/main-1\"}\nnoise\n";
        assert_eq!(executables(messages), ["/x/main-1"]);
    }

    #[test]
    fn more_than_chance_is_worse() {
        assert!(is_worse(1_030_000, 1_000_000) && !is_worse(1_020_000, 1_000_000));
        assert!(!is_worse(9_000, 6_000) && is_worse(11_000, 6_000));
        assert!(!is_worse(1, 1_000_000));
    }

    #[test]
    fn records_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts.toml");
        assert_eq!(read(&path).unwrap(), Recorded::default());
        let instructions = BTreeMap::from([("a/b=1".to_owned(), 7)]);
        let recorded = Recorded { compiler: "1.95.0 x".into(), instructions };
        fs::write(&path, toml::to_string(&recorded).unwrap()).unwrap();
        assert_eq!(read(&path).unwrap(), recorded);
        fs::write(&path, "speed = 1").unwrap();
        assert!(read(&path).is_err());
    }
}
