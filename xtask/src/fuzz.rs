//! `cargo xtask fuzz`: gives the readers of foreign files what no writer would write.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use clap::{Args, builder::PossibleValuesParser};

use crate::{Outcome, root, setup};

/// One a reader, with its crate; see `fuzz/` there.
const TARGETS: [(&str, &str); 8] = [
    ("causal-lm", "gguf"),
    ("causal-lm", "safetensors"),
    ("causal-lm", "config"),
    ("causal-lm", "tokenizer"),
    ("causal-lm", "chat"),
    ("agent-evals", "journal"),
    ("agent-evals", "inspect"),
    ("agent-evals", "scenario"),
];

/// Longest input in bytes: beyond that, mutations hit nothing.
const MAX_LEN: usize = 16_384;

/// Fuzzes the readers of foreign files, from seeds and from what earlier runs reached
#[derive(Args)]
pub(crate) struct Fuzz {
    /// The reader to fuzz; all of them, one after the other, if none is given
    #[arg(value_parser = PossibleValuesParser::new(TARGETS.map(|(_, target)| target)))]
    target: Option<String>,
    /// Seconds for each reader
    #[arg(long, value_name = "N", default_value_t = 600)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

impl Fuzz {
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        if !cfg!(target_os = "linux") {
            bail!("fuzzing is set up for Linux only: see crates/causal-lm/fuzz/.cargo/config.toml");
        }
        setup::ensure()?;
        let mut outcome = Outcome::Fine;
        for (of, target) in TARGETS {
            if self.target.as_deref().is_none_or(|wanted| wanted == target)
                && !fuzz(of, target, self.seconds)?
            {
                outcome = Outcome::Failed;
            }
        }
        Ok(outcome)
    }
}

/// Fuzzes one reader; whether it stood.
fn fuzz(of: &str, target: &str, seconds: u64) -> anyhow::Result<bool> {
    let home = root().join("crates").join(of);
    let here = root().join("target/fuzz");
    let made = |name: &str| -> anyhow::Result<PathBuf> {
        let folder = here.join(name).join(target);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {name}/{target}"))?;
        Ok(folder)
    };
    let (corpus, findings, seeds) = (made("corpus")?, made("findings")?, made("seeds")?);
    if target == "config" {
        copy_configurations(&home.join("tests/golden"), &seeds)?;
    }
    let log_path = here.join(format!("{target}.log"));
    let log =
        File::create(&log_path).with_context(|| format!("cannot create {}", log_path.display()))?;
    let given = [home.join("fuzz/seeds"), home.join("tests/hostile")];
    let mut command = Command::new("cargo");
    command
        .args(["run", "--quiet", "--release", "--bin", target, "--"])
        .args([format!("-max_total_time={seconds}"), format!("-max_len={MAX_LEN}")])
        .args(["-timeout=60", "-rss_limit_mb=4096", "-print_final_stats=1"])
        .arg(format!("-dict={}", home.join(format!("fuzz/dict/{target}.dict")).display()))
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .args([corpus, seeds])
        .args(given.map(|folder| folder.join(target)).into_iter().filter(|f| f.is_dir()))
        .current_dir(home.join("fuzz"))
        // It would replace the flags that count coverage.
        .env_remove("RUSTFLAGS")
        .stdout(log.try_clone()?)
        .stderr(log);
    eprintln!("fuzzing {target} for {seconds} s, shown in {}", log_path.display());
    let status = command.status().context("cannot run cargo")?;
    let log = String::from_utf8_lossy(&fs::read(&log_path)?).into_owned();
    let last = log.lines().rfind(|line| line.contains(" DONE ") || line.contains("SUMMARY"));
    eprintln!("  {}", last.or(log.lines().last()).unwrap_or("nothing was said").trim());
    if !status.success() {
        eprintln!(
            "  FAILED: once mended, keep the input of {} as a file in crates/{of}/tests/hostile/\
             {target}/",
            findings.display()
        );
    }
    Ok(status.success())
}

/// The tiny checkpoints' configurations are seeds too, but not the weights beside them.
fn copy_configurations(golden: &Path, seeds: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(golden).context("reading the golden checkpoints")? {
        let folder = entry?.path();
        let (config, name) = (folder.join("config.json"), folder.file_name());
        if let (true, Some(name)) = (config.is_file(), name) {
            fs::copy(&config, seeds.join(name)).context("copying a configuration")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_binary_seeds_and_a_dictionary() {
        for (of, target) in TARGETS {
            let fuzz = root().join("crates").join(of).join("fuzz");
            for file in [format!("src/bin/{target}.rs"), format!("dict/{target}.dict")] {
                assert!(fuzz.join(&file).is_file(), "{of}: {file} is missing");
            }
            let seeds = fs::read_dir(fuzz.join("seeds").join(target)).unwrap().count();
            assert!(seeds > 0, "{of}: {target} has no seeds");
            let binaries = fs::read_dir(fuzz.join("src/bin")).unwrap().count();
            assert_eq!(binaries, TARGETS.iter().filter(|(other, _)| *other == of).count());
        }
    }
}
