//! `forthright lm reproduce`: the default model on real input, measured and written down.

mod finetune;

use std::time::Instant;

use anyhow::Context as _;
use causal_lm::{
    CausalLm, Pretrained,
    chat::{Message, Prompt},
    generate::{Flow, GenerateConfig, Request, Sampling, Truncation, generate},
    model::Layout,
    score::{ScoreConfig, Span, score},
};
use clap::Args;
use rl_core::{
    memory,
    run::{LineWriter, Statement},
    seed::Seed,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::Tensor;

use super::{
    floors,
    model::{Dtype, Model},
};
use crate::{
    claims::Claims,
    reproduce::Flags,
    terminal::{note, print},
};

/// Original prose of several kinds, written for this.
const ENGLISH: &str = include_str!("../../../assets/english.txt");

/// What transformers 5.24.0 with torch 2.11.0 gives for [`ENGLISH`] and the default model in f32, in
/// windows of [`REFERENCE_WINDOW`] tokens, each scored from its second token on.
const REFERENCE_NLL: f64 = 3.316_702;
const REFERENCE_WINDOW: usize = 512;

const QUESTIONS: [&str; 5] = [
    "What is gravity?",
    "Name three primary colors.",
    "Write one sentence about the sea.",
    "What is 7 plus 5?",
    "Why do people buy insurance?",
];

/// Prompt and completion of the speed measurements, in tokens.
const SPEED_PROMPT: usize = 16;
const SPEED_TOKENS: usize = 64;

/// The default model on real input, measured and written down
#[derive(Args)]
pub(crate) struct Reproduce {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    flags: Flags,
}

/// What is measured, and how much of it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Tokens of a window of the perplexity text, at least 2.
    window: usize,
    /// Tokens of a greedy and of a sampled answer, at least 1.
    max_new_tokens: usize,
    /// Rows decoded together when speed is measured, each at least 1.
    batches: Vec<usize>,
    /// Times each speed is measured, at least 1; the median counts.
    repeats: usize,
    /// Steps of the short fine-tuning, at least 1.
    finetune_steps: u64,
}

/// Of each scale; no paper stands behind it.
const SETTINGS: [&str; 2] = [
    include_str!("../../../configs/lm/smoke.toml"),
    include_str!("../../../configs/lm/laptop.toml"),
];

/// What all parts of the run need.
struct Run<'a> {
    metrics: LineWriter,
    samples: LineWriter,
    config: Config,
    seed: Seed,
    model: &'a Pretrained,
    default_model: bool,
    claims: Claims,
}

impl Reproduce {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let config: Config =
            self.flags.scale.settings("lm", &SETTINGS, self.flags.config.as_deref())?;
        config.check()?;
        if self.flags.dry_run {
            return self.say(&config);
        }
        let device = rl_core::device::name(self.model.options(Dtype::F32)?.device);
        let session = self.flags.open("lm", &config, &device)?;
        let loading = Instant::now();
        let exact = self.model.load(Dtype::F32)?;
        note(format_args!("loaded the model in {:.2} s", loading.elapsed().as_secs_f64()));
        let seed = Seed::new(self.flags.seed);
        let default_model = self.model.model.is_none();
        let mut run = Run {
            metrics: session.dir.lines("metrics.jsonl")?,
            samples: session.dir.lines("samples.jsonl")?,
            config,
            seed,
            model: &exact,
            default_model,
            claims: self.flags.claims(),
        };
        run.perplexity()?;
        run.agreement()?;
        run.answers()?;
        let fast = self.model.load(Dtype::Bf16)?;
        run.speed(&fast.lm)?;
        run.finetune(&fast)?;
        let claims = run.claims;
        session.conclude(claims.all())
    }

    /// What a run would do and need.
    fn say(&self, config: &Config) -> anyhow::Result<()> {
        let Config { window, max_new_tokens, batches, repeats, finetune_steps } = config;
        print(format_args!("perplexity of our English in windows of {window} tokens"))?;
        print(format_args!(
            "{} questions, answers of at most {max_new_tokens} tokens",
            QUESTIONS.len()
        ))?;
        print(format_args!("speed at batches {batches:?}, {repeats} times each"))?;
        print(format_args!("fine-tuning: {finetune_steps} steps, stopped and gone on with"))?;
        match &self.model.model {
            Some(path) => print(format_args!("model: {}", path.display()))?,
            None => print("model: the default one")?,
        }
        self.flags.say_where()
    }
}

impl Config {
    fn check(&self) -> anyhow::Result<()> {
        let least = self.batches.iter().copied().min().unwrap_or(0);
        for (name, value, least) in [
            ("window", self.window, 2),
            ("max_new_tokens", self.max_new_tokens, 1),
            ("batches", least, 1),
            ("repeats", self.repeats, 1),
            ("finetune_steps", self.finetune_steps as usize, 1),
        ] {
            anyhow::ensure!(value >= least, "{name}: expected at least {least}, found {value}");
        }
        Ok(())
    }
}

impl Run<'_> {
    /// Wrongly read weights still make text: the likelihood of plain English tells.
    fn perplexity(&mut self) -> anyhow::Result<()> {
        let ids = self.model.tokenizer.encode(ENGLISH)?;
        let spans: Vec<Span> = ids.chunks(self.config.window).map(Span::of_text).collect();
        let scores = score(&self.model.lm.packed(), &spans, &ScoreConfig::default())?;
        let nll: Vec<f64> = scores.into_iter().flatten().map(|s| -f64::from(s)).collect();
        let mean = nll.iter().sum::<f64>() / nll.len() as f64;
        note(format_args!("{mean:.4} nats a token of plain English ({} tokens)", nll.len()));
        let statement = Statement {
            id: "lm.nll",
            says: "difference from the reference implementation's mean negative log-likelihood of plain English, in nats a token, f32",
            source: "ours",
            target: "<= 0.001",
        };
        if self.default_model && self.config.window == REFERENCE_WINDOW {
            self.claims.measured(statement, (mean - REFERENCE_NLL).abs(), None, nll.len())
        } else {
            let reason = "the reference's number is that of the default model and window";
            self.claims.open(statement, reason)?;
            Ok(())
        }
    }

    /// The cache, the fused kernels and one pass over the whole text must agree.
    fn agreement(&mut self) -> anyhow::Result<()> {
        let lm = &self.model.lm;
        let ids = self.model.tokenizer.encode(ENGLISH)?;
        let (context, rest) = ids.split_at(32);
        let rest = &rest[..64];
        let config = KvProbe { context, rest };
        let worst = config.worst_difference(&lm.packed(), lm)?;
        let statement = Statement {
            id: "lm.cached",
            says: "greatest difference of a logit between decoding with a cache and one pass over the text, f32",
            source: "ours",
            target: "<= 0.002",
        };
        self.claims.measured(statement, worst, None, rest.len())
    }

    fn answers(&mut self) -> anyhow::Result<()> {
        let template =
            self.model.chat_template.as_ref().context("the model has no chat template")?;
        let packed = self.model.lm.packed();
        for (i, question) in QUESTIONS.iter().enumerate() {
            let text = template.render(&[Message::user(*question)], Prompt::Open)?;
            let prompt = self.model.tokenizer.encode(&text)?;
            let sampled = Sampling::Random(Truncation {
                temperature: 0.7,
                top_p: Some(0.9),
                ..Truncation::default()
            });
            for (name, sampling) in [("greedy", Sampling::Greedy), ("sampled", sampled)] {
                let config = GenerateConfig {
                    max_new_tokens: self.config.max_new_tokens,
                    sampling,
                    stop_tokens: self.model.lm.config().eos.clone(),
                    ..GenerateConfig::default()
                };
                let seed = self.seed.derive("generation", i as u64).value();
                let request = [Request { prompt: prompt.clone(), seed }];
                let made = generate(&packed, &request, &config, &mut |_| Flow::Continue)?;
                let answer = self.model.tokenizer.decode_text(&made[0].ids)?;
                self.samples
                    .push(&json!({ "question": question, "decoding": name, "answer": answer }))?;
            }
        }
        Ok(())
    }

    /// Tokens a second, and how much of the floor that reading the weights sets.
    fn speed(&mut self, lm: &CausalLm) -> anyhow::Result<()> {
        let packed = lm.packed();
        let read_gb_s = floors::read_bytes_s() / 1e9;
        let weight_gb = lm.num_parameters() as f64 * 2.0 / 1e9;
        let config = GenerateConfig { max_new_tokens: SPEED_TOKENS, ..GenerateConfig::default() };
        for &batch in &self.config.batches.clone() {
            let vocab = lm.config().vocab;
            let requests: Vec<Request> = (0..batch)
                .map(|row| {
                    let prompt = (0..SPEED_PROMPT).map(|t| ((t * 37 + row * 101) % vocab) as u32);
                    Request { prompt: prompt.collect(), seed: 0 }
                })
                .collect();
            let mut steps_ms = Vec::new();
            for _ in 0..self.config.repeats {
                let start = Instant::now();
                let mut first = None;
                generate(&packed, &requests, &config, &mut |_| {
                    first.get_or_insert_with(Instant::now);
                    Flow::Continue
                })?;
                let decoding = first.unwrap_or(start).elapsed().as_secs_f64();
                steps_ms.push(decoding * 1e3 / (SPEED_TOKENS - 1) as f64);
            }
            steps_ms.sort_by(f64::total_cmp);
            let median = steps_ms[steps_ms.len() / 2];
            let floor_ms = weight_gb / read_gb_s * 1e3;
            self.metrics.push(&json!({
                "batch": batch, "step_ms": median, "read_floor_ms": floor_ms,
                "tokens_per_s": batch as f64 / median * 1e3,
                "peak_memory_gb": memory::peak_bytes().map(|bytes| bytes as f64 / 1e9),
            }))?;
            if batch == 1 {
                let statement = Statement {
                    id: "lm.floor_fraction",
                    says: "decoding one row in bf16 reaches this fraction of the speed at which the weights can be read",
                    source: "ours",
                    target: ">= 0.7",
                };
                let range = [floor_ms / steps_ms[steps_ms.len() - 1], floor_ms / steps_ms[0]];
                self.claims.measured(statement, floor_ms / median, Some(range), steps_ms.len())?;
            }
        }
        Ok(())
    }
}

/// A text in two parts, read at once and token by token.
struct KvProbe<'a> {
    context: &'a [u32],
    rest: &'a [u32],
}

impl KvProbe<'_> {
    fn worst_difference(&self, stepping: &CausalLm, whole: &CausalLm) -> anyhow::Result<f64> {
        use causal_lm::generate::StepModel as _;
        let _guard = tch::no_grad_guard();
        let all: Vec<i64> = self.context.iter().chain(self.rest).map(|&t| i64::from(t)).collect();
        let ids = Tensor::from_slice(&all).unsqueeze(0).to_device(whole.device());
        let hidden = whole.hidden(&ids, &Layout::Dense)?;
        let logits = whole.logits(&hidden).squeeze_dim(0); // [tokens, vocab]
        let (mut cache, mut next) = stepping.prefill(&[self.context], self.rest.len())?;
        let mut worst: f64 = 0.0;
        for (i, &token) in self.rest.iter().enumerate() {
            let expected = logits.get((self.context.len() - 1 + i) as i64);
            let diff = (next.get(0) - expected).abs().max().double_value(&[]);
            worst = worst.max(diff);
            next = stepping.step(&mut cache, &[token])?;
        }
        Ok(worst)
    }
}
