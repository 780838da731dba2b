//! `forthright lm generate`.

use std::{io::Write as _, path::PathBuf};

use causal_lm::{
    Pretrained,
    chat::{Message, Prompt},
    generate::{Flow, Request, StopStrings, generate},
};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    jsonl::Lines,
    model::{Dtype, Model},
    sampling::{ROWS, SamplingArgs},
};

/// Complete a prompt, or every line of a file
///
/// A prompt is put as a user's message through the chat template, and the answer is shown as it
/// grows. With --input, objects {"id", "text"} (raw) or {"id", "messages"} (chat template) are read,
/// one a line, and {"id", "ids", "text"} is printed for each.
#[derive(Args)]
pub(crate) struct Generate {
    #[command(flatten)]
    model: Model,
    /// What to answer
    #[arg(required_unless_present = "input", conflicts_with = "input")]
    prompt: Option<String>,
    /// JSON Lines; - is standard input
    #[arg(long)]
    input: Option<PathBuf>,
    /// Continue the prompt as it is, without the chat template
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    sampling: SamplingArgs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Value,
    text: Option<String>,
    messages: Option<Vec<Message>>,
}

impl Generate {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let lines = self.input.as_ref().map(|path| Lines::open(path)).transpose()?;
        // Exact where programs read the result, fast where people wait for it.
        let otherwise = if lines.is_some() { Dtype::F32 } else { Dtype::Bf16 };
        let mut model = self.model.load(otherwise)?;
        model.lm = model.lm.packed();
        match (lines, &self.prompt) {
            (Some(lines), _) => self.file(&model, lines),
            (None, Some(prompt)) => self.answer(&model, prompt),
            (None, None) => Ok(()),
        }
    }

    fn answer(&self, model: &Pretrained, prompt: &str) -> anyhow::Result<()> {
        let text = if self.raw {
            prompt.to_owned()
        } else {
            chat_text(model, &[Message::user(prompt)], "the prompt")?
        };
        let prompt = encode(model, &text, "the prompt")?;
        self.sampling.show(model, prompt, 0)?;
        Ok(())
    }

    fn file(&self, model: &Pretrained, mut lines: Lines) -> anyhow::Result<()> {
        let config = self.sampling.config(model);
        let mut out = crate::terminal::stdout();
        let mut done = 0;
        loop {
            let batch: Vec<(String, Line)> = lines.take(ROWS)?;
            if batch.is_empty() {
                return Ok(());
            }
            let mut requests = Vec::with_capacity(batch.len());
            for (i, (place, line)) in batch.iter().enumerate() {
                let text = match (&line.text, &line.messages) {
                    (Some(text), None) => text.clone(),
                    (None, Some(messages)) => chat_text(model, messages, place)?,
                    _ => anyhow::bail!("{place}: expected either text or messages"),
                };
                let prompt = encode(model, &text, place)?;
                let room =
                    model.lm.config().max_context.saturating_sub(self.sampling.max_new_tokens);
                let found = prompt.len();
                anyhow::ensure!(
                    found <= room,
                    "{place}: expected at most {room} tokens beside {} new ones, found {found}",
                    self.sampling.max_new_tokens
                );
                requests.push(Request { prompt, seed: self.sampling.seed(done + i) });
            }
            let mut stops: Vec<_> = requests
                .iter()
                .map(|_| {
                    (
                        model.tokenizer.stream(),
                        StopStrings::new(self.sampling.stop.clone()),
                        String::new(),
                    )
                })
                .collect();
            let made = generate(&model.lm, &requests, &config, &mut |token| {
                let (stream, stop, text) = &mut stops[token.request];
                // A token without text is no reason to stop; decoding reports errors below.
                let piece = stop.push(&stream.push(token.id).unwrap_or_default());
                text.push_str(&piece.text);
                if piece.stopped { Flow::Stop } else { Flow::Continue }
            })?;
            for (((_, line), made), (mut stream, mut stop, mut text)) in
                batch.iter().zip(made).zip(stops)
            {
                if made.finish != causal_lm::generate::Finish::Observer {
                    text.push_str(&stop.push(&stream.finish()?).text);
                    text.push_str(&stop.finish());
                }
                writeln!(out, "{}", json!({ "id": line.id, "ids": made.ids, "text": text }))?;
            }
            out.flush()?;
            done += batch.len();
        }
    }
}

pub(super) fn chat_text(
    model: &Pretrained,
    messages: &[Message],
    place: &str,
) -> anyhow::Result<String> {
    match &model.chat_template {
        Some(template) => Ok(template.render(messages, Prompt::Open)?),
        None => anyhow::bail!("{place}: this model has no chat template; use text, or --raw"),
    }
}

pub(super) fn encode(model: &Pretrained, text: &str, place: &str) -> anyhow::Result<Vec<u32>> {
    let ids = model.tokenizer.encode(text)?;
    anyhow::ensure!(!ids.is_empty(), "{place}: expected at least one token, found none");
    Ok(ids)
}
