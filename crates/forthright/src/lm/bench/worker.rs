//! Our side of the comparison: one case a line from standard input, one answer a line.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, bail};
use causal_lm::{
    CausalLm, LoadOptions, Pretrained,
    finetune::{Batch, Example, Packing},
    generate::{Flow, GenerateConfig, Request, generate},
    head_loss::nll_head,
};
use clap::Args;
use tch::{Device, Kind};

use super::{Answer, PROMPT_TOKENS, TOKENS};
use crate::{bench::serve, lm::floors};

/// Positions whose logits are held at once in training.
const LOGIT_ROWS: usize = 256;

/// One side of `lm bench`, for that command's use.
#[derive(Args)]
pub(crate) struct BenchWorker {
    file: PathBuf,
    dtype: String,
}

/// What has been loaded, and which cases have been warmed up.
struct State {
    file: PathBuf,
    kind: Kind,
    model: Option<CausalLm>,
    packed: Option<CausalLm>,
    trainable: Option<CausalLm>,
    seen: Vec<String>,
}

impl BenchWorker {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let kind = if self.dtype == "bfloat16" { Kind::BFloat16 } else { Kind::Float };
        let mut state = State {
            file: self.file.clone(),
            kind,
            model: None,
            packed: None,
            trainable: None,
            seen: Vec::new(),
        };
        serve(|case| state.answer(case))
    }
}

impl State {
    fn answer(&mut self, case: &str) -> anyhow::Result<Answer> {
        let (name, size) = case.split_once(':').unwrap_or((case, ""));
        let fresh = !self.seen.iter().any(|c| c == case);
        self.seen.push(case.to_owned());
        if name == "floors" {
            let flops = floors::matrix_flops(self.kind);
            return Ok(Answer {
                read_bytes_s: Some(floors::read_bytes_s()),
                flops: Some(flops),
                parameters: Some(self.any()?.num_parameters()),
                ..Answer::default()
            });
        }
        let mut start = Instant::now();
        let tokens = match name {
            "load" => {
                self.load()?;
                0
            }
            "generate" => {
                let (batch, tokens) = size.split_once('x').unwrap_or((size, "64"));
                let (batch, tokens) = (batch.parse()?, tokens.parse().unwrap_or(TOKENS));
                if fresh {
                    self.generate(batch, 8)?;
                    start = Instant::now();
                }
                self.generate(batch, tokens)?
            }
            "train" => {
                let (batch, length) = size.split_once('x').context("expected BATCHxLENGTH")?;
                let (batch, length) = (batch.parse()?, length.parse()?);
                if fresh {
                    self.train(batch, length)?;
                    start = Instant::now();
                }
                self.train(batch, length)?
            }
            _ => bail!("unknown case {case}"),
        };
        let seconds = start.elapsed().as_secs_f64();
        let peak_bytes = rl_core::memory::peak_bytes();
        Ok(Answer { seconds, tokens, peak_bytes, ..Answer::default() })
    }

    fn load(&mut self) -> anyhow::Result<()> {
        let options = LoadOptions { kind: self.kind, device: Device::Cpu };
        self.model = Some(Pretrained::load(&self.file, &options)?.lm);
        Ok(())
    }

    fn any(&self) -> anyhow::Result<&CausalLm> {
        self.model.as_ref().or(self.trainable.as_ref()).context("load comes first")
    }

    fn model(&self) -> anyhow::Result<&CausalLm> {
        self.model.as_ref().context("load comes first")
    }

    fn generate(&mut self, batch: usize, tokens: usize) -> anyhow::Result<usize> {
        if self.packed.is_none() {
            self.packed = Some(self.model()?.packed());
        }
        let lm = self.packed.as_ref().context("load comes first")?;
        let vocab = lm.config().vocab;
        let prompt = |row| (0..PROMPT_TOKENS).map(move |t| ((t * 37 + row * 101) % vocab) as u32);
        let requests: Vec<Request> =
            (0..batch).map(|row| Request { prompt: prompt(row).collect(), seed: 0 }).collect();
        let config = GenerateConfig {
            max_new_tokens: tokens,
            batch_size: batch,
            ..GenerateConfig::default()
        };
        let made = generate(lm, &requests, &config, &mut |_| Flow::Continue)?;
        Ok(made.iter().map(|c| c.ids.len()).sum())
    }

    /// One forward and backward pass of all weights, loss on every token.
    fn train(&mut self, batch: usize, length: usize) -> anyhow::Result<usize> {
        if self.trainable.is_none() {
            self.trainable = Some(self.model()?.trainable_copy(self.kind));
            // The peer trains the weights that it loaded.
            self.model = None;
        }
        let lm = self.trainable.as_ref().context("load comes first")?;
        for parameter in lm.parameters() {
            parameter.shallow_clone().zero_grad();
        }
        let vocab = lm.config().vocab;
        let ids = |row| (0..length).map(|t| ((t * 37 + row * 101) % vocab) as u32).collect();
        let examples: Vec<Example> = (0..batch).map(|row| Example::text(ids(row))).collect();
        let refs: Vec<&Example> = examples.iter().collect();
        let batches = Batch::plan(&refs, Packing::Padded, length, batch * length, Device::Cpu);
        for pass in batches {
            let hidden = lm.hidden(&pass.input_ids, &pass.layout)?;
            let states = hidden.flatten(0, 1).index_select(0, &pass.positions);
            let weight = 1.0 / pass.counted() as f64;
            let head = nll_head(lm, &states, &pass.targets, weight, LOGIT_ROWS);
            head.backward(&states, None);
        }
        Ok(batch * length)
    }
}
