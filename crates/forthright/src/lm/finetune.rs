//! `forthright lm finetune`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use causal_lm::{
    CausalLm, Pretrained,
    chat::Message,
    finetune::{Example, FinetuneConfig, Length, Trainer, mean_loss},
};
use clap::Args;
use rl_core::device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    jsonl::Lines,
    model::{Dtype, Model},
};
use crate::{
    session::Session,
    terminal::{note, print},
    training::{Checkpoints, Start, Training, restore, train, write_trained},
};

/// Train on examples: an adapter, or all weights
///
/// Reads objects {"messages"} (the model's turns count), {"prompt", "completion"} (the completion
/// and an end-of-turn token count) or {"text"} (all of it counts), one a line. Writes a run
/// directory: metrics.jsonl, checkpoints, and at the end adapter/ in PEFT's layout or model/ in the
/// Hugging Face layout. Ctrl-C writes a checkpoint first; --resume goes on from the last one.
#[derive(Args)]
pub(crate) struct Finetune {
    #[command(flatten)]
    model: Model,
    /// Examples, JSON Lines
    #[arg(long, required_unless_present = "resume")]
    data: Option<PathBuf>,
    /// Held-out examples, whose loss is measured before and after
    #[arg(long)]
    eval: Option<PathBuf>,
    /// The run's folder
    #[arg(long)]
    out: PathBuf,
    /// Settings in TOML, all optional; flags go before them
    #[arg(long)]
    config: Option<PathBuf>,
    /// Go on from the last checkpoint in --out, with the settings of that run
    #[arg(long, conflicts_with_all = ["data", "eval", "config", "steps", "epochs", "lr", "batch_examples", "rank", "full", "seed"])]
    resume: bool,
    /// Steps of the optimizer
    #[arg(long, conflicts_with = "epochs")]
    steps: Option<u64>,
    /// Passes over the examples
    #[arg(long)]
    epochs: Option<u64>,
    /// Learning rate
    #[arg(long)]
    lr: Option<f64>,
    /// Examples of one step
    #[arg(long)]
    batch_examples: Option<usize>,
    /// Rank of the adapter; its alpha becomes twice that
    #[arg(long, conflicts_with = "full")]
    rank: Option<usize>,
    /// Train all weights
    #[arg(long)]
    full: bool,
    /// Root seed
    #[arg(long)]
    seed: Option<u64>,
    /// One JSON document at the end
    #[arg(long)]
    json: bool,
}

/// All that a run depends on, beside the model's flags.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Config {
    /// Steps between two checkpoints.
    checkpoint_every: u64,
    /// Checkpoints that stay.
    keep_checkpoints: usize,
    /// The training itself.
    finetune: FinetuneConfig,
    /// Examples; set by the flag.
    data: PathBuf,
    /// Held-out examples; set by the flag.
    eval: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        let finetune = FinetuneConfig::default();
        Self {
            checkpoint_every: 50,
            keep_checkpoints: 2,
            finetune,
            data: PathBuf::new(),
            eval: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    messages: Option<Vec<Message>>,
    prompt: Option<String>,
    completion: Option<String>,
    text: Option<String>,
}

impl Finetune {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config = self.resolve()?;
        self.start().check(config.checkpoint_every)?;
        let model = self.model.load(Dtype::Bf16)?;
        let examples = read_examples(&model, &config.data)?;
        let held_out = config.eval.as_ref().map(|path| read_examples(&model, path)).transpose()?;
        let mut trainer = Trainer::new(&model.lm, examples, &config.finetune)
            .with_context(|| config.data.display().to_string())?;
        let device = device::name(model.lm.device());
        let session = Session::open(&self.out, &config, config.finetune.seed, &device)?;
        let dir = &session.dir;
        restore(dir, self.resume, |path| trainer.restore(path))?;
        note(format_args!(
            "{} examples, {} steps, {} numbers to train",
            trainer.num_examples(),
            trainer.total_steps(),
            trainer.num_trained()
        ));
        let eval = |lm: &CausalLm| -> anyhow::Result<Option<f64>> {
            let loss = held_out.as_ref().map(|e| mean_loss(lm, e, &config.finetune)).transpose()?;
            Ok(loss.map(|(loss, _)| loss))
        };
        let before = eval(&model.lm)?;
        let (every, keep) = (config.checkpoint_every, config.keep_checkpoints);
        train(&mut trainer, dir, Checkpoints { every, keep })?;
        if !trainer.is_done() {
            return Err(self.start().stopped(trainer.steps()));
        }
        let trained = trainer.model();
        let after = eval(&trained)?;
        let written = write_trained(&self.out, self.model.origin()?.as_deref(), model, &trained)?;
        session.end()?;
        if self.json {
            let document = json!({
                "version": 1, "steps": trainer.steps(), "held_out_before": before,
                "held_out_after": after, "written": written,
            });
            print(document)
        } else {
            if let (Some(before), Some(after)) = (before, after) {
                print(format_args!(
                    "held-out loss {before:.4} before, {after:.4} after (nats a token)"
                ))?;
            }
            print(written.display())
        }
    }

    fn start(&self) -> Start<'_> {
        let Self { model, out, resume, json, .. } = self;
        Start { command: "lm finetune", model, out, resume: *resume, json: *json }
    }

    fn resolve(&self) -> anyhow::Result<Config> {
        let mut config: Config = self.start().settings(self.config.as_deref())?;
        if self.resume {
            return Ok(config);
        }
        if let Some(data) = &self.data {
            config.data = std::path::absolute(data)?;
        }
        if let Some(eval) = &self.eval {
            config.eval = Some(std::path::absolute(eval)?);
        }
        let finetune = &mut config.finetune;
        finetune.length = match (self.steps, self.epochs) {
            (Some(steps), _) => Length::Steps(steps),
            (None, Some(epochs)) => Length::Epochs(epochs),
            (None, None) => finetune.length,
        };
        finetune.lr = self.lr.unwrap_or(finetune.lr);
        finetune.batch_examples = self.batch_examples.unwrap_or(finetune.batch_examples);
        finetune.seed = self.seed.unwrap_or(finetune.seed);
        if let Some(rank) = self.rank {
            let adapter = finetune.adapter.get_or_insert_default();
            adapter.rank = rank;
            adapter.alpha = 2.0 * rank as f64;
        }
        if self.full {
            finetune.adapter = None;
        }
        Ok(config)
    }
}

impl Training for Trainer {
    fn steps(&self) -> u64 {
        self.steps()
    }

    fn total_steps(&self) -> u64 {
        self.total_steps()
    }

    fn step(&mut self) -> anyhow::Result<(Value, String)> {
        let report = self.step()?;
        let metrics = json!({
            "step": report.step, "loss": report.loss, "grad_norm": report.grad_norm,
            "lr": report.lr, "counted_tokens": report.counted_tokens, "tokens": report.tokens,
        });
        Ok((metrics, format!("loss {:.4}", report.loss)))
    }

    fn save(&self, folder: &Path) -> anyhow::Result<()> {
        Ok(self.save(folder)?)
    }
}

fn read_examples(model: &Pretrained, path: &Path) -> anyhow::Result<Vec<Example>> {
    let mut lines = Lines::open(path)?;
    let mut out = Vec::new();
    for (place, line) in lines.take::<Line>(usize::MAX)? {
        let example = match (&line.messages, &line.prompt, &line.completion, &line.text) {
            (Some(messages), None, None, None) => {
                let template = model.chat_template.as_ref().with_context(|| {
                    format!("{place}: this model has no chat template; use prompt and completion")
                })?;
                Example::chat(template, &model.tokenizer, messages).context(place)?
            }
            (None, Some(prompt), Some(completion), None) => {
                let prompt = model.tokenizer.encode(prompt)?;
                let mut completion = model.tokenizer.encode(completion)?;
                completion.extend(model.lm.config().eos.first());
                Example::completion(&prompt, &completion)
            }
            (None, None, None, Some(text)) => Example::text(model.tokenizer.encode(text)?),
            _ => anyhow::bail!(
                "{place}: expected messages, or prompt and completion, or text, and nothing else"
            ),
        };
        out.push(example);
    }
    anyhow::ensure!(
        !out.is_empty(),
        "{}: expected at least one example, found none",
        path.display()
    );
    Ok(out)
}
