//! `cargo xtask bench`: criterion's benches, and reference libraries side by side.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use crate::{Outcome, instructions, peers, program, setup, shell};

/// Systems that are compared with reference libraries: `forthright SYSTEM bench` does it.
const COMPARED: [&str; 5] = ["lm", "klq", "cot", "agents", "portfolio"];

/// Measures speed: criterion's benches; with --peers also our speed beside reference libraries'
#[derive(Args)]
pub(crate) struct Bench {
    /// Only benches whose name contains this; with --peers, only this comparison
    ///
    /// Without --peers part of the name of criterion's benches, such as advantages/gae. With it the
    /// system whose comparison alone is made, lm, klq, cot, agents or portfolio, or some cases of it, such as
    /// klq/ppo or lm/bfloat16/generate; criterion's benches are left out then.
    filter: Option<String>,
    /// Measure the reference libraries too, in a Python environment that is made in the cache
    ///
    /// What peers/requirements.txt lists comes from your own index: with CUDA's libraries, which the
    /// usual wheels of torch ask for on Linux, about 3 GB to fetch and 5 GB kept; an index of CPU
    /// wheels gives a fraction of that.
    #[arg(long)]
    peers: bool,
    /// Count instructions of benches of pure functions instead, with valgrind: a busy machine does not
    /// change them; fails where there are more than are recorded for this compiler
    #[arg(long, conflicts_with = "peers")]
    instructions: bool,
    /// Record the counts that are found
    #[arg(long, requires = "instructions")]
    record: bool,
    /// A Python that has what peers/requirements.txt lists, instead of making one
    #[arg(long, value_name = "PROGRAM", requires = "peers")]
    peer_python: Option<PathBuf>,
    /// Folder of the comparisons' runs, one in it for each system [default: runs/bench]
    #[arg(long, requires = "peers", value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Bench {
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        if self.instructions {
            return instructions::run(self.filter.as_deref(), self.record);
        }
        let comparisons = if self.peers { comparisons(self.filter.as_deref())? } else { vec![] };
        setup::ensure()?;
        if (!self.peers || self.filter.is_none()) && !self.criterion()? {
            return Ok(Outcome::Failed);
        }
        if comparisons.is_empty() {
            return Ok(Outcome::Fine);
        }
        // First what may fail for want of a network.
        let python = match &self.peer_python {
            Some(python) => peers::own(python)?,
            None => peers::python()?,
        };
        let Some(program) = program::build()? else { return Ok(Outcome::Failed) };
        let out = program::out(self.out.as_deref(), "runs/bench")?;
        for Comparison { system, case } in comparisons {
            let out = out.join(system);
            let (peer, out) = (program::text(&python)?, program::text(&out)?);
            let mut args =
                [system, "bench", "--peer", peer, "--out", out].map(str::to_owned).to_vec();
            args.extend(case.into_iter().flat_map(|case| ["--filter".to_owned(), case.to_owned()]));
            match program::run(&program, &args)? {
                Outcome::Fine => {}
                outcome => return Ok(outcome),
            }
        }
        Ok(Outcome::Fine)
    }

    /// Runs criterion's benches; whether they ran.
    fn criterion(&self) -> anyhow::Result<bool> {
        if !has_benches()? {
            crate::report("no package has a bench");
            return Ok(true);
        }
        let mut args = vec!["bench", "--workspace", "--bench", "*", "--"];
        args.extend(self.filter.as_deref());
        shell::step("cargo", &args, &[])
    }
}

/// A system's comparison, or those of its cases whose name contains `case`.
#[derive(Debug, PartialEq, Eq)]
struct Comparison<'a> {
    system: &'static str,
    case: Option<&'a str>,
}

/// All comparisons, or those that a filter names: `SYSTEM` or `SYSTEM/CASE`.
fn comparisons(filter: Option<&str>) -> anyhow::Result<Vec<Comparison<'_>>> {
    let Some(filter) = filter else {
        return Ok(COMPARED.into_iter().map(|system| Comparison { system, case: None }).collect());
    };
    let (name, case) =
        filter.split_once('/').map_or((filter, None), |(name, case)| (name, Some(case)));
    let Some(system) = COMPARED.into_iter().find(|system| *system == name) else {
        bail!(
            "FILTER with --peers: expected {}, or one of these and a case such as klq/ppo, found {filter}",
            COMPARED.join(" or ")
        );
    };
    Ok(vec![Comparison { system, case: case.filter(|case| !case.is_empty()) }])
}

/// Whether any package has a bench; cargo would call it an error that there is none.
pub(crate) fn has_benches() -> anyhow::Result<bool> {
    let text = shell::output("cargo", &["metadata", "--format-version", "1", "--no-deps"])?;
    let metadata: Value = serde_json::from_str(&text).context("reading cargo metadata")?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let targets = list(&metadata["packages"]).into_iter().flat_map(|p| list(&p["targets"]));
    Ok(targets.into_iter().any(|t| list(&t["kind"]).contains(&Value::from("bench"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_a_comparison() {
        let found = |filter| {
            let list = comparisons(filter).unwrap();
            list.into_iter().map(|c| (c.system, c.case)).collect::<Vec<_>>()
        };
        assert_eq!(found(None), COMPARED.map(|system| (system, None)));
        assert_eq!(found(Some("klq")), [("klq", None)]);
        assert_eq!(found(Some("klq/")), [("klq", None)]);
        assert_eq!(found(Some("klq/ppo")), [("klq", Some("ppo"))]);
        let case = "bfloat16/generate:1";
        assert_eq!(found(Some("lm/bfloat16/generate:1")), [("lm", Some(case))]);
        let message = comparisons(Some("gae")).unwrap_err().to_string();
        let told = message
            .starts_with("FILTER with --peers: expected lm or klq or cot or agents or portfolio");
        assert!(told, "{message}");
    }
}
