//! The training loop, one step at a time.

use std::path::Path;

use rand::seq::SliceRandom as _;
use rl_core::{
    optim::{AdamW, ParameterGroup},
    seed::Seed,
};
use sha2::{Digest as _, Sha256};
use tch::{Reduction, Tensor};

use super::{Batch, Example, FinetuneConfig, Length, Overlong};
use crate::{
    CausalLm, Error,
    head_loss::nll_head,
    trainable::{SavedState, Trainable},
};

const STATE_FILE: &str = "trainer.safetensors";

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Steps done, this one among them.
    pub step: u64,
    /// Mean negative log-likelihood of the counted tokens before the step, in nats.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Learning rate of matrices.
    pub lr: f64,
    /// Tokens that counted.
    pub counted_tokens: usize,
    /// Tokens that were read, without padding.
    pub tokens: usize,
}

/// A fine-tuning run.
#[derive(Debug)]
pub struct Trainer {
    trained: Trainable,
    optimizer: AdamW,
    examples: Vec<Example>,
    config: FinetuneConfig,
    /// Digest of configuration and examples, so that a checkpoint is not continued with others.
    fingerprint: [u8; 32],
}

impl Trainer {
    /// A run from its beginning. An adapter that `lm` has is not trained on: start from its merged
    /// weights instead.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of its range or a model that has an adapter;
    /// [`Error::Prompt`] for an example that is too long, has a token outside the vocabulary, or
    /// where none has a token that counts.
    pub fn new(
        lm: &CausalLm,
        mut examples: Vec<Example>,
        config: &FinetuneConfig,
    ) -> Result<Self, Error> {
        config.validate()?;
        fit(&mut examples, config, lm)?;
        let fingerprint = fingerprint(lm, config, &examples);
        let seed = Seed::new(config.seed).derive("adapter", 0);
        let trained = Trainable::new(lm, config.adapter.as_ref(), seed)?;
        let groups =
            ParameterGroup::by_rank(trained.named_parameters(), config.lr, config.weight_decay);
        let optimizer = AdamW::new(config.optimizer, groups)?;
        Ok(Self { trained, optimizer, examples, config: config.clone(), fingerprint })
    }

    /// Steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        match self.config.length {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => epochs * self.epoch_steps(),
        }
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.optimizer.steps()
    }

    /// Whether all steps are done.
    pub fn is_done(&self) -> bool {
        self.steps() >= self.total_steps()
    }

    /// Number of examples, those left out not counted.
    pub fn num_examples(&self) -> usize {
        self.examples.len()
    }

    /// Numbers that are trained.
    pub fn num_trained(&self) -> usize {
        self.optimizer.parameters().iter().map(|t| t.numel()).sum()
    }

    fn epoch_steps(&self) -> u64 {
        self.examples.len().div_ceil(self.config.batch_examples) as u64
    }

    /// The examples of step `step` (from 0): every epoch has an order of its own.
    fn examples_of(&self, step: u64) -> Vec<&Example> {
        let (epoch, within) = (step / self.epoch_steps(), step % self.epoch_steps());
        let mut order: Vec<usize> = (0..self.examples.len()).collect();
        order.shuffle(&mut Seed::new(self.config.seed).derive("epoch", epoch).rng());
        let size = self.config.batch_examples;
        let chosen = order.iter().skip(within as usize * size).take(size);
        chosen.map(|&i| &self.examples[i]).collect()
    }

    /// One step of the optimizer.
    ///
    /// The loss is the mean over all counted tokens of the step, however they are spread over
    /// forward passes.
    ///
    /// # Errors
    /// [`Error::Optimizer`] if the gradient is not finite; the weights are then unchanged.
    pub fn step(&mut self) -> Result<StepReport, Error> {
        let FinetuneConfig { packing, max_tokens, pass_tokens, logit_rows, .. } = self.config;
        let examples = self.examples_of(self.steps());
        let counted_tokens: usize = examples.iter().map(|e| e.counted()).sum();
        let tokens = examples.iter().map(|e| e.ids().len()).sum();
        let weight = 1.0 / counted_tokens.max(1) as f64;
        let device = self.trained.device();
        let mut loss = 0.0;
        for batch in Batch::plan(&examples, packing, max_tokens, pass_tokens, device) {
            if batch.counted() == 0 {
                continue;
            }
            let lm = self.trained.computing();
            let states = states(&lm, &batch)?;
            let head = nll_head(&lm, &states, &batch.targets, weight, logit_rows);
            head.backward(&states, None);
            loss += head.value;
        }
        let factor = self.config.schedule.factor(self.steps(), self.total_steps());
        let grad_norm = self.optimizer.step(factor)?;
        let (step, lr) = (self.steps(), self.config.lr * factor);
        Ok(StepReport { step, loss, grad_norm, lr, counted_tokens, tokens })
    }

    /// The model as trained so far. An adapter shares its tensors with the run; all weights are a
    /// copy in the original's type.
    pub fn model(&self) -> CausalLm {
        self.trained.model()
    }

    /// Writes all that [`Trainer::restore`] needs into a folder that is there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        self.state().write(&folder.join(STATE_FILE), &self.optimizer)
    }

    /// Goes back to what [`Trainer::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Format`] if the file was written with other examples or another configuration;
    /// [`Error::Optimizer`] or [`Error::MissingTensor`] if it is not whole.
    pub fn restore(&mut self, folder: &Path) -> Result<(), Error> {
        self.state().restore(&folder.join(STATE_FILE), &mut self.optimizer)?;
        Ok(())
    }

    /// The optimizer counts the steps.
    fn state(&self) -> SavedState {
        let parameters = self.trained.named_parameters();
        SavedState { fingerprint: self.fingerprint, parameters, numbers: Vec::new() }
    }
}

/// Mean negative log-likelihood in nats of the counted tokens of `examples`, without gradient, and
/// the number of these tokens.
///
/// # Errors
/// As for [`Trainer::new`].
pub fn mean_loss(
    lm: &CausalLm,
    examples: &[Example],
    config: &FinetuneConfig,
) -> Result<(f64, usize), Error> {
    let mut examples = examples.to_vec();
    fit(&mut examples, config, lm)?;
    let _guard = tch::no_grad_guard();
    let refs: Vec<&Example> = examples.iter().collect();
    let FinetuneConfig { packing, max_tokens, pass_tokens, logit_rows, .. } = *config;
    let (mut sum, mut counted) = (0.0, 0);
    for batch in Batch::plan(&refs, packing, max_tokens, pass_tokens, lm.device()) {
        if batch.counted() == 0 {
            continue;
        }
        let states = states(lm, &batch)?;
        let rows = logit_rows as i64;
        for (states, targets) in states.split(rows, 0).iter().zip(batch.targets.split(rows, 0)) {
            sum += nll_sum(&lm.logits(states), &targets).double_value(&[]);
        }
        counted += batch.counted();
    }
    Ok((sum / counted as f64, counted))
}

/// Hidden states of the positions that predict what counts, `[counted, hidden]`.
fn states(lm: &CausalLm, batch: &Batch) -> Result<Tensor, Error> {
    let hidden = lm.hidden(&batch.input_ids, &batch.layout)?; // [rows, seq, hidden]
    Ok(hidden.flatten(0, 1).index_select(0, &batch.positions))
}

fn nll_sum(logits: &Tensor, targets: &Tensor) -> Tensor {
    logits.cross_entropy_loss::<&Tensor>(targets, None, Reduction::Sum, -100, 0.0)
}

/// Checks examples against vocabulary and lengths, and cuts or drops those that are too long.
fn fit(examples: &mut Vec<Example>, config: &FinetuneConfig, lm: &CausalLm) -> Result<(), Error> {
    let (vocab, context) = (lm.config().vocab, lm.config().max_context);
    let bad =
        |request, expected: String, found: String| Err(Error::Prompt { request, expected, found });
    let limit = config.max_tokens.min(context);
    for (i, example) in examples.iter().enumerate() {
        if let Some(id) = example.ids().iter().find(|&&id| id as usize >= vocab) {
            return bad(i, format!("token ids below {vocab}"), id.to_string());
        }
        let length = example.ids().len();
        if length > limit && config.overlong == Overlong::Refuse {
            let expected =
                format!("at most {limit} tokens (or overlong = \"truncate\" or \"drop\")");
            return bad(i, expected, length.to_string());
        }
    }
    match config.overlong {
        Overlong::Refuse => {}
        Overlong::Truncate => examples.iter_mut().for_each(|e| e.truncate(limit)),
        Overlong::Drop => examples.retain(|e| e.ids().len() <= limit),
    }
    // An example in which nothing counts teaches nothing.
    examples.retain(|e| e.counted() > 0);
    if examples.is_empty() {
        return bad(0, "at least one example with a token that counts".into(), "none".into());
    }
    Ok(())
}

fn fingerprint(lm: &CausalLm, config: &FinetuneConfig, examples: &[Example]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(format!("{:?} {:?} {config:?}", lm.config(), lm.kind()));
    for example in examples {
        digest.update((example.ids().len() as u64).to_le_bytes());
        for (id, counts) in example.ids().iter().zip(example.counts()) {
            digest.update((id * 2 + u32::from(*counts)).to_le_bytes());
        }
    }
    digest.finalize().into()
}
