//! The training loop, one batch of answers at a time.

use std::path::Path;

use causal_lm::{
    finetune::Example,
    generate::{Finish, Flow, Request},
    trainable::SavedState,
};
use rl_core::{
    optim::{AdamW, ParameterGroup},
    seed::Seed,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    Answer, RlConfig, Verifier,
    credit::{Measured, credits, rewards},
    policy::{self, Said},
};
use crate::{
    Error,
    engine::{Engine, Exit, Rule},
    error::check,
    model::EarlyExitModel,
};

const STATE_FILE: &str = "trainer.safetensors";

/// An answer and how likely its tokens and exits were when they were drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// Index of the prompt.
    pub prompt: usize,
    /// Tokens, the one that ended it among them.
    pub ids: Vec<u32>,
    /// Whether a stop token ended it.
    pub ended: bool,
    /// Log-probability of each token as the sampler had it.
    pub log_probs: Vec<f32>,
    /// Exits of its tokens after the first.
    pub exits: Vec<Exit>,
}

impl Rollout {
    fn answer(&self) -> Answer<'_> {
        Answer { prompt: self.prompt, ids: &self.ids, ended: self.ended, exits: &self.exits }
    }
}

/// Numbers of one iteration; means over answers unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Iterations done, this one among them.
    pub step: u64,
    /// The verifier's score.
    pub score: f64,
    /// Score less what divergence and depth cost.
    pub reward: f64,
    /// Share of the blocks that ran, of tokens that may leave.
    pub depth: f64,
    /// Divergence from the reference, nats a token.
    pub kl: f64,
    /// λ of the iteration.
    pub depth_coef: f64,
    /// Tokens.
    pub length: f64,
    /// Share that a stop token ended.
    pub eos_rate: f64,
    /// Share of prompts whose answers all have one score.
    pub ties: f64,
    /// The loss before the update.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
    /// Difference between sampler and scorer, root mean square over tokens and exits, in nats.
    pub sampler_gap: f64,
    /// Answers that had no score, and those left out with them.
    pub unscored: usize,
}

/// What one iteration gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Iteration {
    /// Its numbers.
    pub report: Report,
    /// The answers that were trained on.
    pub rollouts: Vec<Rollout>,
    /// Their rewards.
    pub rewards: Vec<f64>,
}

/// A run of reinforcement learning.
#[derive(Debug)]
pub struct Trainer {
    model: EarlyExitModel,
    optimizer: AdamW,
    prompts: Vec<Vec<u32>>,
    config: RlConfig,
    iterations: u64,
    fingerprint: [u8; 32],
}

impl Trainer {
    /// A run from its beginning. Prompts are token ids.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of its range or no prompts.
    pub fn new(
        model: EarlyExitModel,
        prompts: Vec<Vec<u32>>,
        config: &RlConfig,
    ) -> Result<Self, Error> {
        config.validate()?;
        check("prompts", !prompts.is_empty(), "at least one", 0)?;
        let (gates, trained): (Vec<_>, Vec<_>) =
            model.named_parameters().into_iter().partition(|(name, _)| name.starts_with("gate."));
        let mut groups = ParameterGroup::by_rank(trained, config.lr, 0.0);
        groups.extend(ParameterGroup::by_rank(gates, config.gate_lr, 0.0));
        let optimizer = AdamW::new(config.optimizer, groups)?;
        let fingerprint = fingerprint(&model, config, &prompts);
        Ok(Self { model, optimizer, prompts, config: config.clone(), iterations: 0, fingerprint })
    }

    /// The model as trained so far.
    pub fn model(&self) -> &EarlyExitModel {
        &self.model
    }

    /// The model, when its training is over.
    pub fn into_model(self) -> EarlyExitModel {
        self.model
    }

    /// Iterations done.
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    /// Whether all are done.
    pub fn is_done(&self) -> bool {
        self.iterations >= self.config.iterations
    }

    /// Prompts of an iteration: every pass over them has an order of its own.
    fn chosen(&self, iteration: u64) -> Vec<usize> {
        let size = self.config.prompts as u64;
        let places = iteration * size..(iteration + 1) * size;
        Seed::new(self.config.seed).walk("prompts", self.prompts.len(), places)
    }

    /// Answers to the prompts of an iteration, those of one prompt side by side.
    fn sample(&self, iteration: u64) -> Result<Vec<Rollout>, Error> {
        let seed = Seed::new(self.config.seed).derive("iteration", iteration);
        let chosen = self.chosen(iteration);
        let mut requests = Vec::new();
        for (i, &prompt) in chosen.iter().enumerate() {
            for j in 0..self.config.group {
                let seed = seed.derive("answer", (i * self.config.group + j) as u64).value();
                requests.push(Request { prompt: self.prompts[prompt].clone(), seed });
            }
        }
        let engine = Engine::new(&self.model, self.config.rollout.packed);
        let config = self.config.rollout.generate(&engine.lm().config().eos);
        let made = engine.generate(&requests, &config, &Rule::Sample, &mut |_| Flow::Continue)?;
        Ok(made
            .into_iter()
            .enumerate()
            .map(|(i, made)| Rollout {
                prompt: chosen[i / self.config.group],
                ended: made.completion.finish == Finish::StopToken,
                ids: made.completion.ids,
                log_probs: made.completion.log_probs,
                exits: made.exits,
            })
            .collect())
    }

    /// One iteration: answers, scores, measurement, one update.
    ///
    /// # Errors
    /// [`Error::Disagreement`] if the scorer's log-probabilities are not the sampler's, and
    /// [`Error::Verifier`] if too many answers have no score, both before anything is changed;
    /// [`Error::Optimizer`] if a gradient is not finite. What is trained is then unchanged too.
    pub fn iterate(&mut self, verifier: &mut dyn Verifier) -> Result<Iteration, Error> {
        let rollouts = self.sample(self.iterations)?;
        let of = rollouts.len();
        let (rollouts, scores) = self.scored(rollouts, verifier)?;
        let unscored = of - rollouts.len();
        let refs: Vec<&Rollout> = rollouts.iter().collect();
        let examples: Vec<Example> =
            refs.iter().map(|r| Example::completion(&self.prompts[r.prompt], &r.ids)).collect();
        let said = policy::score(&self.model, &refs, &examples, &self.config)?;
        let sampler_gap = gap(&rollouts, &said);
        let allowed = self.config.max_sampler_gap;
        if sampler_gap.is_nan() || sampler_gap > allowed {
            return Err(Error::Disagreement { gap: sampler_gap, allowed });
        }
        let all = self.model.sites().num_layers() as f64;
        let measured: Vec<Measured> = rollouts
            .iter()
            .zip(&said)
            .zip(&scores)
            .map(|((rollout, said), &score)| Measured {
                score,
                log_ratios: said
                    .tokens
                    .iter()
                    .zip(&said.reference)
                    .map(|(p, r)| f64::from(*p) - f64::from(*r))
                    .collect(),
                depths: rollout.exits.iter().map(|exit| exit.blocks as f64 / all).collect(),
            })
            .collect();
        let depth_coef = self.config.depth_coef_at(self.iterations);
        let of_groups = measured.chunks(self.config.group);
        let credits: Vec<_> =
            of_groups.flat_map(|group| credits(group, &self.config, depth_coef)).collect();
        let rewards = rewards(&measured, &self.config, depth_coef);
        let loss = policy::backward(&self.model, &refs, &examples, &credits, &self.config)?;
        let factor = self.config.schedule.factor(self.iterations, self.config.iterations);
        let grad_norm = self.optimizer.step(factor)?;
        self.iterations += 1;
        let n = rollouts.len() as f64;
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / n;
        let groups = scores.chunks(self.config.group);
        let equal = |group: &[f64]| group.iter().all(|score| (score - group[0]).abs() < 1e-9);
        let ties = groups.clone().filter(|group| equal(group)).count() as f64;
        let report = Report {
            step: self.iterations,
            score: mean(&mut scores.iter().copied()),
            reward: mean(&mut rewards.iter().copied()),
            depth: mean(&mut measured.iter().map(Measured::depth)),
            kl: mean(&mut measured.iter().map(Measured::kl)),
            depth_coef,
            length: mean(&mut rollouts.iter().map(|r| r.ids.len() as f64)),
            eos_rate: mean(&mut rollouts.iter().map(|r| f64::from(u8::from(r.ended)))),
            ties: ties / groups.len() as f64,
            loss,
            grad_norm,
            sampler_gap,
            unscored,
        };
        Ok(Iteration { report, rollouts, rewards })
    }

    /// The answers that have a score; a prompt that has lost one goes as a whole, since its answers
    /// are compared with each other.
    fn scored(
        &self,
        rollouts: Vec<Rollout>,
        verifier: &mut dyn Verifier,
    ) -> Result<(Vec<Rollout>, Vec<f64>), Error> {
        let of = rollouts.len();
        let scores: Vec<Result<f64, String>> = rollouts
            .iter()
            .map(|rollout| match verifier.verify(&rollout.answer()) {
                Ok(score) if score.is_finite() => Ok(score),
                Ok(score) => Err(format!("the score is {score}: expected a finite number")),
                Err(reason) => Err(reason),
            })
            .collect();
        let failed = scores.iter().filter(|score| score.is_err()).count();
        let allowed = (self.config.max_unscored * of as f64).floor() as usize;
        let whole: Vec<bool> =
            scores.chunks(self.config.group).map(|g| g.iter().all(Result::is_ok)).collect();
        if let Some(reason) = scores.iter().find_map(|score| score.as_ref().err()) {
            if failed > allowed || !whole.contains(&true) {
                return Err(Error::Verifier { failed, of, allowed, reason: reason.clone() });
            }
            tracing::warn!(
                "{failed} of {of} answers have no score and are left out; the first: {reason}"
            );
        }
        let kept = rollouts.into_iter().zip(scores).enumerate();
        Ok(kept
            .filter(|(i, _)| whole[i / self.config.group])
            .filter_map(|(_, (rollout, score))| Some((rollout, score.ok()?)))
            .unzip())
    }

    /// Writes all that [`Trainer::restore`] needs into a folder that is there.
    ///
    /// # Errors
    /// [`Error::Lm`] if it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        Ok(self.state().write(&folder.join(STATE_FILE), &self.optimizer)?)
    }

    /// Goes back to what [`Trainer::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Lm`] if the file is not whole, or was written by a run with other settings, prompts
    /// or another model.
    pub fn restore(&mut self, folder: &Path) -> Result<(), Error> {
        let numbers = self.state().restore(&folder.join(STATE_FILE), &mut self.optimizer)?;
        self.iterations = numbers[0] as u64;
        Ok(())
    }

    fn state(&self) -> SavedState {
        SavedState {
            fingerprint: self.fingerprint,
            parameters: self.model.named_parameters(),
            numbers: vec![("iterations", self.iterations as f64)],
        }
    }
}

/// Difference between what sampler and scorer say of tokens and exits, root mean square, in nats.
fn gap(rollouts: &[Rollout], said: &[Said]) -> f64 {
    let (mut sum, mut count) = (0.0, 0_usize);
    let mut add = |sampled: f32, scored: f32| {
        sum += (f64::from(sampled) - f64::from(scored)).powi(2);
        count += 1;
    };
    for (rollout, said) in rollouts.iter().zip(said) {
        rollout.log_probs.iter().zip(&said.tokens).for_each(|(a, b)| add(*a, *b));
        rollout.exits.iter().zip(&said.exits).for_each(|(a, b)| add(a.log_prob, *b));
    }
    (sum / count.max(1) as f64).sqrt()
}

fn fingerprint(model: &EarlyExitModel, config: &RlConfig, prompts: &[Vec<u32>]) -> [u8; 32] {
    let mut digest = Sha256::new();
    let lm = model.reference();
    digest.update(format!("{:?} {:?} {:?} {config:?}", lm.config(), lm.kind(), model.config()));
    for prompt in prompts {
        digest.update((prompt.len() as u64).to_le_bytes());
        for id in prompt {
            digest.update(id.to_le_bytes());
        }
    }
    digest.finalize().into()
}
