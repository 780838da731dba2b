//! `forthright lm inspect`.

use std::io::Write as _;

use causal_lm::chat::ChatTemplate;
use clap::Args;
use serde_json::json;

use super::model::{Dtype, Model};

/// What a checkpoint holds
#[derive(Args)]
pub(crate) struct Inspect {
    #[command(flatten)]
    model: Model,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let model = self.model.load(Dtype::Bf16)?;
        let tensors = model.lm.named_tensors();
        let mut out = crate::terminal::stdout();
        let template = model.chat_template.as_ref().map(ChatTemplate::source);
        if self.json {
            let tensors: Vec<_> =
                tensors.iter().map(|(n, t)| json!({ "name": n, "shape": t.size() })).collect();
            let document = json!({
                "version": 1, "path": self.model.path()?, "parameters": model.lm.num_parameters(),
                "config": model.lm.config(), "tokens": model.tokenizer.vocab(),
                "chat_template": template, "tensors": tensors,
            });
            writeln!(out, "{document:#}")?;
            return Ok(());
        }
        let config = model.lm.config();
        writeln!(out, "path        {}", self.model.path()?.display())?;
        writeln!(out, "family      {:?}", config.family)?;
        writeln!(out, "parameters  {}", model.lm.num_parameters())?;
        writeln!(out, "blocks      {}", config.num_layers)?;
        writeln!(out, "hidden      {} ({} wide)", config.hidden, config.intermediate)?;
        let (heads, kv_heads) = (config.num_heads, config.num_kv_heads);
        writeln!(out, "heads       {heads} of {} over {kv_heads}", config.head_dim)?;
        writeln!(out, "context     {} tokens", config.max_context)?;
        writeln!(out, "vocabulary  {} ({} spelled)", config.vocab, model.tokenizer.vocab())?;
        writeln!(out, "tied head   {}", config.tie_embeddings)?;
        writeln!(out, "ends with   {:?}", config.eos)?;
        writeln!(out, "template    {}", template.map_or("none", |_| "yes"))?;
        writeln!(out, "tensors     {}", tensors.len())?;
        Ok(())
    }
}
