//! Teaching gates, and the model behind them, where a token may leave.

mod config;
mod target;

use std::path::Path;

use causal_lm::{
    CausalLm,
    finetune::Example,
    head_loss::{head_loss, nll_head},
    trainable::SavedState,
};
pub use config::{CalibrateConfig, Recipe};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rl_core::{
    optim::{AdamW, ParameterGroup},
    seed::Seed,
};
use sha2::{Digest as _, Sha256};
pub use target::divergences;
use target::{forward_kl, reverse_kl};
use tch::{Kind, Tensor};

use crate::{
    Error,
    error::check,
    forward::{Exits, Traced, traced},
    law::ExitLaw,
    model::EarlyExitModel,
    tokens::Answers,
};

const STATE_FILE: &str = "calibration.safetensors";

/// What one step did. Losses are means over predicted tokens (over patterns too), in nats.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepReport {
    /// Steps done, this one among them.
    pub step: u64,
    /// KL(student‖teacher) under the exits.
    pub kl: f64,
    /// Negative log-likelihood of the exits, a token that may leave.
    pub exit_nll: f64,
    /// KL(teacher‖readout), summed over sites and weighted.
    pub readout: f64,
    /// Negative log-likelihood of the texts under the exits.
    pub nll: f64,
    /// Blocks that ran, in the mean over tokens that may leave.
    pub depth: f64,
    /// κ of the step.
    pub kappa: f64,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
}

/// A calibration: self-distillation, or supervised training, under exits.
#[derive(Debug)]
pub struct Calibration {
    model: EarlyExitModel,
    optimizer: AdamW,
    texts: Vec<Example>,
    config: CalibrateConfig,
    fingerprint: [u8; 32],
}

/// What weights the losses of a step.
#[derive(Debug, Clone, Copy)]
struct Share {
    /// Of a predicted token.
    token: f64,
    /// Of a token that may leave.
    free: f64,
}

impl Calibration {
    /// A calibration from its beginning. Texts are prompts with the teacher's own answers for the
    /// recipes that distill, with correct answers for the supervised one.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of its range, or no text of which two tokens are
    /// predicted; [`Error::Lm`] for a text that is too long or has a token outside the vocabulary.
    pub fn new(
        model: EarlyExitModel,
        texts: Vec<Example>,
        config: &CalibrateConfig,
    ) -> Result<Self, Error> {
        config.validate()?;
        let lm = model.reference().config();
        for (request, text) in texts.iter().enumerate() {
            let prompt = |expected: String, found: String| {
                Err(Error::Lm(causal_lm::Error::Prompt { request, expected, found }))
            };
            if let Some(id) = text.ids().iter().find(|&&id| id as usize >= lm.vocab) {
                return prompt(format!("token ids below {}", lm.vocab), id.to_string());
            }
            if text.ids().len() > lm.max_context {
                let expected = format!("at most {} tokens", lm.max_context);
                return prompt(expected, text.ids().len().to_string());
            }
        }
        let texts: Vec<Example> = texts.into_iter().filter(|t| t.counted() > 1).collect();
        let expected = "at least one with two tokens to predict";
        check("texts", !texts.is_empty(), expected, "none")?;
        let (gates, trained): (Vec<_>, Vec<_>) =
            model.named_parameters().into_iter().partition(|(name, _)| name.starts_with("gate."));
        let mut groups = ParameterGroup::by_rank(trained, config.lr, config.weight_decay);
        groups.extend(ParameterGroup::by_rank(gates, config.gate_lr, config.weight_decay));
        let optimizer = AdamW::new(config.optimizer, groups)?;
        let fingerprint = fingerprint(&model, config, &texts);
        Ok(Self { model, optimizer, texts, config: config.clone(), fingerprint })
    }

    /// The model as trained so far.
    pub fn model(&self) -> &EarlyExitModel {
        &self.model
    }

    /// The model, when its calibration is over.
    pub fn into_model(self) -> EarlyExitModel {
        self.model
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.optimizer.steps()
    }

    /// Whether all steps are done.
    pub fn is_done(&self) -> bool {
        self.steps() >= self.config.steps
    }

    /// Texts of a step: every pass over them has an order of its own.
    fn chosen(&self, step: u64) -> Vec<&Example> {
        let size = self.config.batch as u64;
        let places = step * size..(step + 1) * size;
        let chosen = Seed::new(self.config.seed).walk("texts", self.texts.len(), places);
        chosen.into_iter().map(|i| &self.texts[i]).collect()
    }

    /// One step of the optimizer.
    ///
    /// # Errors
    /// [`Error::Optimizer`] if the gradient is not finite, [`Error::NotFinite`] if a gate is not; what
    /// is trained is then unchanged.
    pub fn step(&mut self) -> Result<StepReport, Error> {
        let step = self.steps();
        let texts = self.chosen(step);
        let tokens: usize = texts.iter().map(|text| text.counted()).sum();
        let share =
            Share { token: 1.0 / tokens as f64, free: 1.0 / (tokens - texts.len()).max(1) as f64 };
        let [kappa, readout] = self.config.at(step);
        let mut report = StepReport { kappa, ..StepReport::default() };
        let mut rng = Seed::new(self.config.seed).derive("exits", step).rng();
        for answers in Answers::plan(&texts, self.config.pass_tokens, self.model.device()) {
            match self.config.recipe {
                Recipe::Supervised => self.supervise(&answers, share, &mut rng, &mut report)?,
                Recipe::Published { patterns, .. } | Recipe::Refreshed { patterns, .. } => {
                    let teacher = answers.predicting(&self.model.teacher(&answers.sequences())?);
                    let law = self.law(&answers, &teacher, kappa, readout, share, &mut report)?;
                    for _ in 0..patterns {
                        let of_pattern = Share {
                            token: share.token / patterns as f64,
                            free: share.free / patterns as f64,
                        };
                        let outcomes = law.sample(&self.uniforms(&answers, &mut rng));
                        self.distill(&answers, &teacher, &outcomes, of_pattern, &mut report)?;
                    }
                }
            }
        }
        let factor = self.config.schedule.factor(step, self.config.steps);
        report.grad_norm = self.optimizer.step(factor)?;
        report.step = self.steps();
        Ok(report)
    }

    /// The law that exits are drawn from; the auxiliary loss of the refreshed recipe is taken on the
    /// way.
    fn law(
        &self,
        answers: &Answers,
        teacher: &Tensor,
        kappa: f64,
        readout: f64,
        share: Share,
        report: &mut StepReport,
    ) -> Result<ExitLaw, Error> {
        let reference = self.model.reference();
        let of_free = teacher.index_select(0, &answers.of_free);
        let own = matches!(self.config.recipe, Recipe::Refreshed { .. });
        let lm = if own { self.model.computing() } else { reference.shallow_clone() };
        let full = if own && readout > 0.0 {
            self.full_depth(&lm, answers)?
        } else {
            tch::no_grad(|| self.full_depth(&lm, answers))?
        };
        let rows = self.config.logit_rows;
        let found = divergences(reference, &of_free, &lm, &full.site_states, rows)?;
        if own && readout > 0.0 {
            self.teach_readouts(&lm, &full, &of_free, readout * share.free, report);
        }
        Ok(ExitLaw::of_divergences(&found, kappa))
    }

    /// A pass in which no token leaves, with the states of all sites.
    fn full_depth(&self, lm: &CausalLm, answers: &Answers) -> Result<Traced, Error> {
        let model = &self.model;
        let all = answers.free.full_like(model.sites().num_layers() as i64);
        let exits = Exits::Prescribed(&all);
        let skipped = model.config().skipped;
        traced(lm, model.gates(), model.sites(), skipped, &answers.sequences(), exits)
    }

    /// The auxiliary loss: every site's prediction is to be the teacher's.
    fn teach_readouts(
        &self,
        lm: &CausalLm,
        full: &Traced,
        teacher: &Tensor,
        weight: f64,
        report: &mut StepReport,
    ) {
        let reference = self.model.reference();
        // Gradients meet at the sites' states, so that the pass is gone through backwards once.
        let mut parts = Vec::new();
        for states in &full.site_states {
            let leaf = states.detach().set_requires_grad(true);
            let normed = lm.final_norm().forward(&leaf);
            let loss = head_loss(lm, &normed, self.config.logit_rows, |logits, rows| {
                let (start, len) = (rows.start as i64, rows.len() as i64);
                forward_kl(logits, &reference.logits(&teacher.narrow(0, start, len))) * weight
            });
            report.readout += loss.value;
            loss.backward(&normed, None);
            parts.push((states * leaf.grad()).sum(Kind::Float));
        }
        if let Some(total) = parts.into_iter().reduce(|a, b| a + b).filter(Tensor::requires_grad) {
            total.backward();
        }
    }

    /// The student under given exits: KL(student‖teacher), and the exits' likelihood.
    fn distill(
        &self,
        answers: &Answers,
        teacher: &Tensor,
        outcomes: &Tensor,
        share: Share,
        report: &mut StepReport,
    ) -> Result<(), Error> {
        let model = &self.model;
        let executed: Vec<i64> = model.sites().executed().iter().map(|&b| b as i64).collect();
        let exits =
            Tensor::from_slice(&executed).to_device(model.device()).index_select(0, outcomes);
        let lm = model.computing();
        let traced = traced(
            &lm,
            model.gates(),
            model.sites(),
            model.config().skipped,
            &answers.sequences(),
            Exits::Prescribed(&exits),
        )?;
        let reference = model.reference();
        let states = answers.predicting(&traced.hidden);
        let loss = head_loss(&lm, &states, self.config.logit_rows, |logits, rows| {
            let (start, len) = (rows.start as i64, rows.len() as i64);
            reverse_kl(logits, &reference.logits(&teacher.narrow(0, start, len))) * share.token
        });
        let exit_nll = traced.log_prob(model.sites())?.sum(Kind::Float) * -share.free;
        report.kl += loss.value;
        report.exit_nll += exit_nll.double_value(&[]);
        report.depth += exits.sum(Kind::Double).double_value(&[]) * share.free;
        loss.backward(&states, Some(exit_nll));
        Ok(())
    }

    /// The student under exits that its gates draw: cross-entropy of the text.
    fn supervise(
        &self,
        answers: &Answers,
        share: Share,
        rng: &mut ChaCha8Rng,
        report: &mut StepReport,
    ) -> Result<(), Error> {
        let model = &self.model;
        let lm = model.computing();
        let uniforms = self.uniforms(answers, rng);
        let exits = Exits::Sampled(&uniforms);
        let skipped = model.config().skipped;
        let traced =
            traced(&lm, model.gates(), model.sites(), skipped, &answers.sequences(), exits)?;
        let states = answers.predicting(&traced.hidden);
        let rows = self.config.logit_rows;
        let loss = nll_head(&lm, &states, &answers.batch.targets, share.token, rows);
        report.nll += loss.value;
        report.depth += traced.exits.sum(Kind::Double).double_value(&[]) * share.free;
        loss.backward(&states, None);
        Ok(())
    }

    fn uniforms(&self, answers: &Answers, rng: &mut ChaCha8Rng) -> Tensor {
        let size = [answers.free.numel() as i64, self.model.sites().len() as i64];
        let values: Vec<f32> = (0..size[0] * size[1]).map(|_| rng.random()).collect();
        Tensor::from_slice(&values).view(size).to_device(self.model.device())
    }

    /// Writes all that [`Calibration::restore`] needs into a folder that is there.
    ///
    /// # Errors
    /// [`Error::Lm`] if it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        Ok(self.state().write(&folder.join(STATE_FILE), &self.optimizer)?)
    }

    /// Goes back to what [`Calibration::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Lm`] if the file is not whole, or was written by a run with other settings, texts or
    /// another model.
    pub fn restore(&mut self, folder: &Path) -> Result<(), Error> {
        self.state().restore(&folder.join(STATE_FILE), &mut self.optimizer)?;
        Ok(())
    }

    /// The optimizer counts the steps.
    fn state(&self) -> SavedState {
        let parameters = self.model.named_parameters();
        SavedState { fingerprint: self.fingerprint, parameters, numbers: Vec::new() }
    }
}

fn fingerprint(model: &EarlyExitModel, config: &CalibrateConfig, texts: &[Example]) -> [u8; 32] {
    let mut digest = Sha256::new();
    let lm = model.reference();
    digest.update(format!("{:?} {:?} {:?} {config:?}", lm.config(), lm.kind(), model.config()));
    for text in texts {
        digest.update((text.ids().len() as u64).to_le_bytes());
        for (id, counts) in text.ids().iter().zip(text.counts()) {
            digest.update((id * 2 + u32::from(*counts)).to_le_bytes());
        }
    }
    digest.finalize().into()
}
