//! What each scale runs.

use std::path::Path;

use agent_evals::analysis::Settings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{agents::config::RunConfig, scale::Scale};

/// The files of `configs/agents`, smallest scale first.
const FILES: [&str; 3] = [
    include_str!("../../../configs/agents/smoke.toml"),
    include_str!("../../../configs/agents/laptop.toml"),
    include_str!("../../../configs/agents/paper.toml"),
];

/// What is run, and how it is analysed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Tokens of an answer of the model that runs here, at most.
    pub(super) local_tokens: u32,
    /// Temperature of the model that runs here; 0 takes the likeliest word.
    pub(super) local_temperature: f64,
    /// How answers are analysed.
    pub(super) analysis: Settings,
    /// Agents whose words and acts are known; none if they name no agents.
    pub(super) scripted: RunConfig,
    /// Models. Without agents of its own, the one that runs here.
    pub(super) models: RunConfig,
}

/// The settings of a scale, or those of a file.
pub(super) fn settings(scale: Scale, file: Option<&Path>) -> anyhow::Result<Config> {
    let config: Config = scale.settings("agents", &FILES, file)?;
    config.analysis.validate()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_scales_can_be_read() {
        for scale in [Scale::Smoke, Scale::Laptop, Scale::Paper] {
            let config = settings(scale, None).unwrap();
            for run in [&config.scripted, &config.models] {
                let Some(arms) = &run.arms else { panic!("{scale:?}: arms") };
                arms.validate().unwrap();
                crate::agents::arms::definitions(&run.scenarios).unwrap();
                for agent in &run.agents {
                    agent.ask.validate().unwrap();
                }
            }
            let paper = scale == Scale::Paper;
            assert_eq!(config.models.agents.is_empty(), !paper);
        }
    }
}
