//! `forthright lm score`.

use std::{io::Write as _, path::PathBuf};

use anyhow::Context as _;
use causal_lm::score::{ScoreConfig, Span, score};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    jsonl::Lines,
    model::{Dtype, Model},
};

/// Lines scored together, so that input of any length takes bounded memory.
const LINES: usize = 256;

/// Log-probabilities of every token of a file's texts
///
/// Reads objects {"id", "text"} or {"id", "context", "continuation"}, one a line; prints {"id",
/// "ids", "token_log_probs", "sum"}, natural logarithms, for a text from its second token on.
#[expect(clippy::doc_markdown, reason = "this is the help text as the terminal shows it")]
#[derive(Args)]
pub(crate) struct Score {
    #[command(flatten)]
    model: Model,
    /// JSON Lines; - is standard input
    #[arg(long)]
    input: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Value,
    text: Option<String>,
    context: Option<String>,
    continuation: Option<String>,
}

impl Score {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut lines = Lines::open(&self.input)?;
        let model = self.model.load(Dtype::F32)?;
        let lm = model.lm.packed();
        let mut out = crate::terminal::stdout();
        loop {
            let batch: Vec<(String, Line)> = lines.take(LINES)?;
            if batch.is_empty() {
                return Ok(());
            }
            let mut spans = Vec::with_capacity(batch.len());
            for (place, line) in &batch {
                let span = match (&line.text, &line.context, &line.continuation) {
                    (Some(text), None, None) => {
                        let ids = model.tokenizer.encode(text)?;
                        anyhow::ensure!(
                            !ids.is_empty(),
                            "{place}: text: expected at least one token, found none"
                        );
                        Span::of_text(&ids)
                    }
                    (None, Some(context), Some(continuation)) => {
                        let context = model.tokenizer.encode(context)?;
                        anyhow::ensure!(
                            !context.is_empty(),
                            "{place}: context: expected at least one token, found none"
                        );
                        Span { context, continuation: model.tokenizer.encode(continuation)? }
                    }
                    _ => {
                        anyhow::bail!("{place}: expected either text, or context and continuation")
                    }
                };
                let (tokens, limit) =
                    (span.context.len() + span.continuation.len(), lm.config().max_context);
                anyhow::ensure!(
                    tokens <= limit,
                    "{place}: expected at most {limit} tokens, found {tokens}"
                );
                spans.push(span);
            }
            let scores = score(&lm, &spans, &ScoreConfig::default()).context("scoring")?;
            for (((_, line), span), scores) in batch.iter().zip(&spans).zip(scores) {
                let sum: f64 = scores.iter().map(|&s| f64::from(s)).sum();
                let ids = match line.text {
                    Some(_) => [&span.context[..], &span.continuation].concat(),
                    None => span.continuation.clone(),
                };
                let object =
                    json!({ "id": line.id, "ids": ids, "token_log_probs": scores, "sum": sum });
                writeln!(out, "{object}")?;
            }
            out.flush()?;
        }
    }
}
