//! `forthright lm convert`.

use std::path::PathBuf;

use clap::Args;

use super::model::{Dtype, Model};
use crate::terminal;

/// Write any checkpoint in the Hugging Face layout, an adapter added in
#[derive(Args)]
pub(crate) struct Convert {
    #[command(flatten)]
    model: Model,
    /// A new or empty folder
    #[arg(long)]
    out: PathBuf,
}

impl Convert {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        self.model.load(Dtype::Bf16)?.save(&self.out)?;
        terminal::print(self.out.display())
    }
}
