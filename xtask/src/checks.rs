//! `cargo xtask test`: everything that CI runs, cheapest first.

use clap::Args;

use crate::{Outcome, bench, output, setup, step, tidy};

/// Runs everything that CI runs
#[derive(Args)]
pub(crate) struct Test {
    /// Stop after formatting, tidy and lints
    #[arg(long)]
    lint_only: bool,
}

impl Test {
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        setup::ensure()?;
        let cargo = |args: &[&str]| step("cargo", args, &[]);
        if !cargo(&["fmt", "--all", "--check"])? {
            return Ok(Outcome::Failed);
        }
        if matches!(tidy::check()?, Outcome::Failed) {
            return Ok(Outcome::Failed);
        }
        // What is useful without libtorch must build without it.
        for (package, features) in [
            ("rl-core", ""),
            ("forthright", ""),
            ("forthright", "agents"),
            ("forthright", "portfolio"),
        ] {
            if !without_libtorch(package, features)? {
                return Ok(Outcome::Failed);
            }
        }
        let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        if !cargo(&lints)? {
            return Ok(Outcome::Failed);
        }
        if self.lint_only {
            return Ok(Outcome::Fine);
        }
        // The end-to-end tests start the command from where it is built.
        if !cargo(&["build", "--package", "forthright"])? {
            return Ok(Outcome::Failed);
        }
        let nextest = output("cargo", &["nextest", "--version"]).is_ok();
        let tests: &[&str] = if nextest {
            &["nextest", "run", "--workspace", "--no-fail-fast"]
        } else {
            &["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]
        };
        // Where there can be no sandbox its tests do nothing, which must not look like success.
        let probe = ["run", "--quiet", "--package", "agent-evals", "--example", "probe"];
        let fine = cargo(tests)?
            & cargo(&probe)?
            & cargo(&["test", "--workspace", "--doc", "--quiet"])?
            & step(
                "cargo",
                &["doc", "--workspace", "--no-deps"],
                &[("RUSTDOCFLAGS", "-D warnings")],
            )?
            & bench_smoke()?;
        Ok(if fine { Outcome::Fine } else { Outcome::Failed })
    }
}

/// Runs every bench once, in the profile of the tests: what runs, not how fast.
fn bench_smoke() -> anyhow::Result<bool> {
    if !bench::has_benches()? {
        return Ok(true);
    }
    let args = ["bench", "--profile", "dev", "--workspace", "--bench", "*", "--", "--test"];
    step("cargo", &args, &[])
}

/// Checks a package with these features alone, and that tch is not among what it then needs.
fn without_libtorch(package: &str, features: &str) -> anyhow::Result<bool> {
    let chosen = ["-p", package, "--no-default-features", "--features", features];
    let tree = output("cargo", &[&["tree", "-e", "normal"], &chosen[..]].concat())?;
    if tree.contains("torch-sys") {
        anyhow::bail!("{package} with no feature but [{features}] still needs libtorch");
    }
    step("cargo", &[&["check"], &chosen[..]].concat(), &[])
}
