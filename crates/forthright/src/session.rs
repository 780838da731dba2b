//! What every run of a pipeline begins and ends with.

use std::path::Path;

use anyhow::Context as _;
use rl_core::run::{Claim, RunDir, RunInfo};
use serde::Serialize;

use crate::{Unfinished, terminal};

/// A run directory with its record.
pub(crate) struct Session {
    pub(crate) dir: RunDir,
    info: RunInfo,
}

impl Session {
    /// Opens the folder and writes `config.toml` and `run.json`.
    pub(crate) fn open(
        out: &Path,
        config: &impl Serialize,
        seed: u64,
        device: &str,
    ) -> anyhow::Result<Self> {
        let dir = RunDir::open(out)?;
        dir.write("config.toml", &toml::to_string(config).context("writing the configuration")?)?;
        let info = RunInfo {
            version: env!("CARGO_PKG_VERSION").into(),
            commit: option_env!("FORTHRIGHT_COMMIT").map(str::to_owned),
            seed,
            threads: threads(),
            device: device.into(),
            start: now(),
            end: None,
            command: std::env::args().collect(),
        };
        dir.write_info(&info)?;
        Ok(Self { dir, info })
    }

    /// Notes the end.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        self.info.end = Some(now());
        Ok(self.dir.write_info(&self.info)?)
    }

    /// Writes the claims, notes the end, and prints the claims.
    ///
    /// An unmet claim is a finding; one that could not be computed is an [`Unfinished`] run.
    pub(crate) fn conclude(self, claims: &[Claim]) -> anyhow::Result<()> {
        self.dir.write_claims(claims)?;
        self.end()?;
        for claim in claims {
            let verdict = match claim.met {
                Some(true) => "met  ",
                Some(false) => "UNMET",
                None => "open ",
            };
            let value = claim.value.map_or("-".into(), |v| format!("{v:.4}"));
            let line = format!("{verdict}  {value:>10}  {:<10}  {}", claim.target, claim.says);
            terminal::print(line)?;
        }
        let open: Vec<String> = claims
            .iter()
            .filter(|claim| claim.met.is_none())
            .map(|claim| {
                format!("{}: {}", claim.id, claim.reason.as_deref().unwrap_or("no reason"))
            })
            .collect();
        if !open.is_empty() {
            anyhow::bail!(Unfinished(format!("not computed: {}", open.join("; "))));
        }
        Ok(())
    }
}

/// Threads that compute.
#[cfg(feature = "lm")]
fn threads() -> usize {
    tch::get_num_threads() as usize
}

/// Threads that compute: as many as the machine lets this process use at a time.
#[cfg(not(feature = "lm"))]
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

#[cfg(test)]
mod tests {
    use rl_core::run::{Statement, read_json};

    use super::*;

    #[test]
    fn an_open_claim_is_an_unfinished_run_and_an_unmet_one_is_not() {
        let statement =
            Statement { id: "a.b", says: "it is small", source: "ours", target: "<= 0.5" };
        let unmet = Claim::measured(statement, 0.75, None, 1, "smoke").unwrap();
        let open = Claim::not_computed(statement, "no reference", "smoke").unwrap();
        for (claims, message) in [
            (vec![unmet.clone()], None),
            (vec![unmet, open], Some("not computed: a.b: no reference")),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let config = serde_json::json!({ "size": 1 });
            let session = Session::open(folder.path(), &config, 0, "cpu").unwrap();
            let error = session.conclude(&claims).err();
            let found = error.and_then(|e| e.downcast_ref().map(Unfinished::to_string));
            assert_eq!(found.as_deref(), message);
            let info: RunInfo = read_json(&folder.path().join("run.json")).unwrap().unwrap();
            assert!(info.end.is_some());
        }
    }
}
