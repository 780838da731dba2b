//! `cargo xtask bench`: criterion's benches, and the reference library's side by side.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use crate::{Outcome, peers, program, setup, shell};

/// Measures speed: criterion's benches; with --peers also our speed beside the reference library's
#[derive(Args)]
pub(crate) struct Bench {
    /// Only benches whose name contains this
    filter: Option<String>,
    /// Measure the reference library too, in a Python environment that is made in the cache
    ///
    /// What peers/requirements.txt lists comes from your own index: with CUDA's libraries, which the
    /// usual wheels of torch ask for on Linux, about 3 GB to fetch and 5 GB kept; an index of CPU
    /// wheels gives a fraction of that.
    #[arg(long)]
    peers: bool,
    /// A Python that has what peers/requirements.txt lists, instead of making one
    #[arg(long, value_name = "PROGRAM", requires = "peers")]
    peer_python: Option<PathBuf>,
    /// Folder of the comparison's run
    #[arg(long, requires = "peers", value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        setup::ensure()?;
        let mut args = vec!["bench", "--workspace", "--bench", "*", "--"];
        args.extend(self.filter.as_deref());
        if !has_benches()? {
            crate::report("no package has a bench");
        } else if !shell::step("cargo", &args, &[])? {
            return Ok(Outcome::Failed);
        }
        if !self.peers {
            return Ok(Outcome::Fine);
        }
        // First what may fail for want of a network.
        let python = match &self.peer_python {
            Some(python) => peers::own(python)?,
            None => peers::python()?,
        };
        let Some(program) = program::build()? else { return Ok(Outcome::Failed) };
        let out = program::out(self.out.as_deref(), "runs/bench/lm")?;
        let mut args =
            ["lm", "bench", "--peer", program::text(&python)?].map(str::to_owned).to_vec();
        args.extend(["--out".to_owned(), program::text(&out)?.to_owned()]);
        if let Some(filter) = &self.filter {
            args.extend(["--filter".to_owned(), filter.clone()]);
        }
        program::run(&program, &args)
    }
}

/// Whether any package has a bench; cargo would call it an error that there is none.
pub(crate) fn has_benches() -> anyhow::Result<bool> {
    let text = shell::output("cargo", &["metadata", "--format-version", "1", "--no-deps"])?;
    let metadata: Value = serde_json::from_str(&text).context("reading cargo metadata")?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let targets = list(&metadata["packages"]).into_iter().flat_map(|p| list(&p["targets"]));
    Ok(targets.into_iter().any(|t| list(&t["kind"]).contains(&Value::from("bench"))))
}
