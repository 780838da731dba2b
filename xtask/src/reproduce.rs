//! `cargo xtask reproduce`: builds the command and runs whole pipelines, then the report.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::{Outcome, root, setup, step};

/// Runs pipelines on real input and writes summary.json and report.html
#[derive(Args)]
pub(crate) struct Reproduce {
    /// Which pipeline
    #[arg(value_enum, default_value_t = Pipeline::All)]
    pipeline: Pipeline,
    /// How much is done
    #[arg(long, value_enum, default_value_t = Scale::Smoke)]
    scale: Scale,
    /// Folder of the runs [default: runs/reproduce-SCALE]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Root seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Pipeline {
    All,
    Lm,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scale {
    Smoke,
    Laptop,
}

impl Reproduce {
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        setup::ensure()?;
        let scale = match self.scale {
            Scale::Smoke => "smoke",
            Scale::Laptop => "laptop",
        };
        let out = match &self.out {
            // Relative to where the user stands, not to the workspace.
            Some(out) => std::path::absolute(out)?,
            None => root().join(format!("runs/reproduce-{scale}")),
        };
        let pipelines: &[&str] = match self.pipeline {
            Pipeline::All | Pipeline::Lm => &["lm"],
        };
        if !step("cargo", &["build", "--quiet", "--release", "--package", "forthright"], &[])? {
            return Ok(Outcome::Failed);
        }
        let seed = self.seed.to_string();
        for pipeline in pipelines {
            let folder = out.join(pipeline);
            let folder = text(&folder)?;
            let args = [*pipeline, "reproduce", "--scale", scale, "--out", folder, "--seed", &seed];
            if !step(&program()?, &args, &[])? {
                return Ok(Outcome::Failed);
            }
        }
        let fine = step(&program()?, &["report", text(&out)?], &[])?;
        Ok(if fine { Outcome::Fine } else { Outcome::Failed })
    }
}

/// The release build of the command.
fn program() -> anyhow::Result<String> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Ok(text(&root().join(target).join("release/forthright"))?.to_owned())
}

fn text(path: &Path) -> anyhow::Result<&str> {
    match path.to_str() {
        Some(text) => Ok(text),
        None => bail!("{}: expected a path in UTF-8", path.display()),
    }
}
