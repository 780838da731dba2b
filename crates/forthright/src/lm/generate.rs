//! `forthright lm generate`.

use std::{io::Write as _, path::PathBuf};

use causal_lm::{
    Pretrained,
    chat::{Message, Prompt},
    generate::{Flow, GenerateConfig, Request, Sampling, StopStrings, Truncation, generate},
};
use clap::Args;
use rl_core::seed::Seed;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    jsonl::Lines,
    model::{Dtype, Model},
};

/// Lines completed together.
const LINES: usize = 64;

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
    /// Always take the most probable token
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p", "min_p"])]
    greedy: bool,
    /// Longest completion in tokens
    #[arg(long, default_value_t = 256)]
    max_new_tokens: usize,
    /// Logits are divided by this
    #[arg(long, default_value_t = 0.7)]
    temperature: f64,
    /// Keep the k most probable tokens
    #[arg(long)]
    top_k: Option<usize>,
    /// Keep the fewest tokens that reach this probability
    #[arg(long)]
    top_p: Option<f64>,
    /// Keep tokens at least this fraction as probable as the best
    #[arg(long)]
    min_p: Option<f64>,
    /// Weaken tokens that have occurred
    #[arg(long, default_value_t = 1.0)]
    repetition_penalty: f64,
    /// End before this text; may be given several times
    #[arg(long)]
    stop: Vec<String>,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
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

    fn config(&self, model: &Pretrained) -> GenerateConfig {
        let truncation = Truncation {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
        };
        GenerateConfig {
            max_new_tokens: self.max_new_tokens,
            sampling: if self.greedy { Sampling::Greedy } else { Sampling::Random(truncation) },
            repetition_penalty: self.repetition_penalty,
            stop_tokens: model.lm.config().eos.clone(),
            log_probs: false,
            batch_size: LINES,
        }
    }

    fn seed(&self, index: usize) -> u64 {
        Seed::new(self.seed).derive("generation", index as u64).value()
    }

    fn answer(&self, model: &Pretrained, prompt: &str) -> anyhow::Result<()> {
        let text = if self.raw {
            prompt.to_owned()
        } else {
            chat_text(model, &[Message::user(prompt)], "the prompt")?
        };
        let prompt = encode(model, &text, "the prompt")?;
        let request = [Request { prompt, seed: self.seed(0) }];
        let mut out = std::io::stdout().lock();
        let mut stream = model.tokenizer.stream();
        let mut stop = StopStrings::new(self.stop.clone());
        let mut failed = None;
        generate(&model.lm, &request, &self.config(model), &mut |token| {
            let shown = stream.push(token.id).map_err(anyhow::Error::from).and_then(|text| {
                let piece = stop.push(&text);
                out.write_all(piece.text.as_bytes())?;
                out.flush()?;
                Ok(piece.stopped)
            });
            match shown {
                Ok(false) => Flow::Continue,
                Ok(true) => Flow::Stop,
                Err(error) => {
                    failed = Some(error);
                    Flow::Stop
                }
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let rest = stop.push(&stream.finish()?);
        writeln!(out, "{}{}", rest.text, if rest.stopped { String::new() } else { stop.finish() })?;
        Ok(())
    }

    fn file(&self, model: &Pretrained, mut lines: Lines) -> anyhow::Result<()> {
        let config = self.config(model);
        let mut out = std::io::stdout().lock();
        let mut done = 0;
        loop {
            let batch: Vec<(String, Line)> = lines.take(LINES)?;
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
                let room = model.lm.config().max_context.saturating_sub(self.max_new_tokens);
                let found = prompt.len();
                anyhow::ensure!(
                    found <= room,
                    "{place}: expected at most {room} tokens beside {} new ones, found {found}",
                    self.max_new_tokens
                );
                requests.push(Request { prompt, seed: self.seed(done + i) });
            }
            let mut stops: Vec<_> = requests
                .iter()
                .map(|_| {
                    (model.tokenizer.stream(), StopStrings::new(self.stop.clone()), String::new())
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

fn chat_text(model: &Pretrained, messages: &[Message], place: &str) -> anyhow::Result<String> {
    match &model.chat_template {
        Some(template) => Ok(template.render(messages, Prompt::Open)?),
        None => anyhow::bail!("{place}: this model has no chat template; use text, or --raw"),
    }
}

fn encode(model: &Pretrained, text: &str, place: &str) -> anyhow::Result<Vec<u32>> {
    let ids = model.tokenizer.encode(text)?;
    anyhow::ensure!(!ids.is_empty(), "{place}: expected at least one token, found none");
    Ok(ids)
}
