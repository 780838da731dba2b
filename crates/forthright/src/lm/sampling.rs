//! How tokens are chosen, as flags.

use std::io::Write as _;

use causal_lm::{
    Pretrained,
    generate::{
        Completion, Flow, GenerateConfig, Request, Sampling, StopStrings, Truncation, generate,
    },
};
use clap::Args;
use rl_core::seed::Seed;

/// Rows decoded together.
pub(crate) const ROWS: usize = 64;

/// Flags of every verb that generates.
#[derive(Args)]
pub(crate) struct SamplingArgs {
    /// Always take the most probable token
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p", "min_p"])]
    greedy: bool,
    /// Longest completion in tokens
    #[arg(long, default_value_t = 256)]
    pub(crate) max_new_tokens: usize,
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
    pub(crate) stop: Vec<String>,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl SamplingArgs {
    pub(crate) fn config(&self, model: &Pretrained) -> GenerateConfig {
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
            batch_size: ROWS,
        }
    }

    pub(crate) fn seed(&self, index: usize) -> u64 {
        Seed::new(self.seed).derive("generation", index as u64).value()
    }

    /// One completion, shown on standard output as it grows; what was shown, and the tokens.
    pub(crate) fn show(
        &self,
        model: &Pretrained,
        prompt: Vec<u32>,
        index: usize,
    ) -> anyhow::Result<(String, Vec<Completion>)> {
        let request = [Request { prompt, seed: self.seed(index) }];
        let mut out = crate::terminal::stdout();
        let mut shown = String::new();
        let mut show = |text: &str| -> anyhow::Result<()> {
            shown.push_str(text);
            out.write_all(text.as_bytes())?;
            Ok(out.flush()?)
        };
        let mut stream = model.tokenizer.stream();
        let mut stop = StopStrings::new(self.stop.clone());
        let mut failed = None;
        let made = generate(&model.lm, &request, &self.config(model), &mut |token| {
            let stopped = stream.push(token.id).map_err(anyhow::Error::from).and_then(|text| {
                let piece = stop.push(&text);
                show(&piece.text)?;
                Ok(piece.stopped)
            });
            match stopped {
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
        show(&rest.text)?;
        if !rest.stopped {
            show(&stop.finish())?;
        }
        writeln!(out)?;
        Ok((shown, made))
    }
}
