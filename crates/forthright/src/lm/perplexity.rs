//! `forthright lm perplexity`.

use std::{io::Write as _, path::PathBuf};

use anyhow::Context as _;
use causal_lm::score::{ScoreConfig, Span, score};
use clap::Args;
use serde_json::json;

use super::model::{Dtype, Model};

/// Mean negative log-likelihood of a text file
///
/// The text is cut into windows of --window tokens; each is scored from its second token on, so that
/// windows share nothing.
#[derive(Args)]
pub(crate) struct Perplexity {
    #[command(flatten)]
    model: Model,
    /// UTF-8 text
    file: PathBuf,
    /// Tokens of a window
    #[arg(long, default_value_t = 512)]
    window: usize,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

impl Perplexity {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.window >= 2, "--window: expected at least 2, found {}", self.window);
        let name = self.file.display();
        let bytes = std::fs::read(&self.file).with_context(|| format!("cannot read {name}"))?;
        let text = String::from_utf8(bytes).with_context(|| format!("{name}: expected UTF-8"))?;
        let model = self.model.load(Dtype::F32)?;
        let ids = model.tokenizer.encode(&text)?;
        let spans: Vec<Span> = ids.chunks(self.window).map(Span::of_text).collect();
        let scores = score(&model.lm.packed(), &spans, &ScoreConfig::default())?;
        let scores: Vec<f64> = scores.into_iter().flatten().map(f64::from).collect();
        anyhow::ensure!(
            !scores.is_empty(),
            "{name}: expected at least two tokens, found {}",
            ids.len()
        );
        let n = scores.len() as f64;
        let nll = -scores.iter().sum::<f64>() / n;
        let variance = scores.iter().map(|s| (s + nll).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        let std_error = (variance / n).sqrt();
        let mut out = crate::terminal::stdout();
        if self.json {
            let document = json!({
                "version": 1, "nll": nll, "std_error": std_error, "perplexity": nll.exp(),
                "tokens": scores.len(), "window": self.window,
            });
            writeln!(out, "{document}")?;
        } else {
            writeln!(
                out,
                "{nll:.4} ± {std_error:.4} nats a token (perplexity {:.3}) over {} tokens",
                nll.exp(),
                scores.len()
            )?;
        }
        Ok(())
    }
}
