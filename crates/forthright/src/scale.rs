//! How much a pipeline does.

use std::path::Path;

use anyhow::Context as _;
use clap::ValueEnum;
use serde::de::DeserializeOwned;

/// The scale of a pipeline behind which a paper stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scale {
    Smoke,
    Laptop,
    Paper,
}

impl Scale {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Smoke => "smoke",
            Self::Laptop => "laptop",
            Self::Paper => "paper",
        }
    }

    /// The settings in `file`, else those of this scale among a system's `texts`, smallest scale
    /// first, which are the files of `configs/SYSTEM/`; where no paper stands behind it, there are two.
    pub(crate) fn settings<C: DeserializeOwned>(
        self,
        system: &str,
        texts: &[&str],
        file: Option<&Path>,
    ) -> anyhow::Result<C> {
        if let Some(path) = file {
            return crate::settings::read_toml(path);
        }
        let text = texts.get(self as usize).with_context(|| {
            format!("--scale: expected smoke or laptop, since no paper stands behind {system}, found paper")
        })?;
        toml::from_str(text).with_context(|| format!("configs/{system}/{}.toml", self.name()))
    }
}
