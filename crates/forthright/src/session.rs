//! What every run of a pipeline begins and ends with.

use std::path::Path;

use anyhow::Context as _;
use rl_core::run::{Claim, RunDir, RunInfo};
use serde::Serialize;

use crate::terminal;

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
            threads: tch::get_num_threads() as usize,
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

    /// Writes the claims, prints them, and notes the end.
    pub(crate) fn conclude(self, claims: &[Claim]) -> anyhow::Result<()> {
        self.dir.write_claims(claims)?;
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
        self.end()
    }
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}
