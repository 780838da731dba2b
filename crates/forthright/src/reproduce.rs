//! What every `reproduce` is asked.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::{about, claims::Claims, scale::Scale, session::Session, terminal::print};

/// The flags of every pipeline behind which a paper stands.
#[derive(Args)]
pub(crate) struct Flags {
    /// How much is done: minutes, hours, or as published
    #[arg(long, value_enum, default_value_t = Scale::Smoke)]
    pub(crate) scale: Scale,
    /// Settings of your own in the place of the scale's
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// The run's folder
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Root seed
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Only say what would run, and what it would need
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// The flag of pipelines that can be stopped in the middle.
#[derive(Args)]
pub(crate) struct Resume {
    /// Use what the folder holds already, and go on with what was stopped
    #[arg(long)]
    pub(crate) resume: bool,
}

impl Flags {
    /// The published scale is nothing for the default model.
    #[cfg(feature = "cot")]
    pub(crate) fn check_model(&self, model: &crate::lm::model::Model) -> anyhow::Result<()> {
        let published = self.scale == Scale::Paper && self.config.is_none();
        anyhow::ensure!(
            !published || model.model.is_some(),
            "--model: expected the folder of a checkpoint at scale paper, found none: --dry-run says \
             what it needs"
        );
        Ok(())
    }

    /// Opens the run's folder and writes down what is run, and what is known of the system.
    pub(crate) fn open(
        &self,
        system: &str,
        config: &impl Serialize,
        device: &str,
    ) -> anyhow::Result<Session> {
        let session = Session::open(&self.out, config, self.seed, device)?;
        about::write(system, &session.dir)?;
        Ok(session)
    }

    /// Of which there are none yet.
    pub(crate) fn claims(&self) -> Claims {
        Claims::new(self.scale.name())
    }

    /// The end of what a dry run says.
    pub(crate) fn say_where(&self) -> anyhow::Result<()> {
        print(format_args!("writes {}", self.out.display()))
    }
}
