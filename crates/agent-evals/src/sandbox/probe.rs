//! Whether this machine has what a sandbox needs, found out before anything is run.

use std::collections::BTreeMap;

use super::{Command, Ended, Layer, Sandbox, SandboxConfig};
use crate::Error;

/// What a machine has.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Probe {
    /// Layers that are missing, with what was seen and what to do.
    pub missing: BTreeMap<Layer, String>,
}

impl Probe {
    /// Whether all layers are there.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }
}

/// Makes a sandbox and runs a command in it. Layers that can be waived are waived one after the other
/// when they are missing, so that all of them are found.
///
/// # Errors
/// [`Error::Sandbox`] if a layer is missing that cannot be waived, or if the command does not come to
/// what it should.
pub async fn probe(config: &SandboxConfig) -> Result<Probe, Error> {
    let mut config = config.clone();
    config.waived.clear();
    let mut missing = BTreeMap::new();
    loop {
        match attempt(&config).await {
            Ok(()) => return Ok(Probe { missing }),
            Err(error) => {
                let layer = match &error {
                    Error::Sandbox { layer, .. } => {
                        Layer::ALL.into_iter().find(|l| l.name() == *layer)
                    }
                    _ => None,
                };
                match layer.filter(|l| l.can_be_waived() && !config.waived.contains(l)) {
                    Some(layer) => {
                        missing.insert(layer, error.to_string());
                        config.waived.push(layer);
                    }
                    None => return Err(error),
                }
            }
        }
    }
}

async fn attempt(config: &SandboxConfig) -> Result<(), Error> {
    let sandbox = Sandbox::open(config.clone()).await?;
    let output = sandbox.run(&Command::shell("exit 7")).await?;
    if output.ended == Ended::Exit(7) {
        return Ok(());
    }
    Err(Error::Sandbox {
        layer: "shell",
        reason: format!(
            "expected status 7, found {:?}: {}",
            output.ended,
            crate::error::snippet(&String::from_utf8_lossy(&output.stderr))
        ),
        remedy: "is there a shell at /bin/sh, with all it needs in the readable folders?"
            .to_owned(),
    })
}
