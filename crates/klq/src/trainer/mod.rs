//! The training loop, one batch of answers at a time; the same for every algorithm.

mod cut_off;
mod report;
mod state;

use std::time::Instant;

use causal_lm::{
    CausalLm,
    finetune::{Batch, Example},
    head_loss::log_prob_head,
    tokenizer::Tokenizer,
};
use cut_off::CutOff;
use rand::seq::SliceRandom as _;
pub use report::{Iteration, Report, Seconds};
use report::{Update, Updates};
use rl_core::{
    kl::AdaptiveKl,
    losses::explained_variance,
    monitor::{Monitor, Monitors},
    optim::{AdamW, AdamWConfig, clip_grad_norm},
    seed::Seed,
};
use tch::{Kind, Tensor};

use crate::{
    Algorithm, Error, LengthLimit, TrainConfig,
    algorithm::{Measured, Refresh, Targets, Tokens},
    check::SelfCheck,
    grid::Grid,
    policy::{Cut, Kept, Opinion, PACKING, Pass, Policy},
    reward::{Prompt, Reward, score_all},
    rollout::{self, Rollout, sample},
};

/// A training run.
#[derive(Debug)]
pub struct Trainer<'a> {
    policy: Policy,
    optimizer: AdamW,
    tokenizer: &'a Tokenizer,
    prompts: Vec<Prompt>,
    config: TrainConfig,
    adaptive: AdaptiveKl,
    iterations: u64,
    checked: bool,
    fingerprint: [u8; 32],
    monitors: Monitors<'a, Policy>,
}

impl<'a> Trainer<'a> {
    /// A run from its beginning.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of its range, no prompts, or a model with an adapter.
    pub fn new(
        lm: &CausalLm,
        tokenizer: &'a Tokenizer,
        prompts: Vec<Prompt>,
        config: &TrainConfig,
    ) -> Result<Self, Error> {
        config.validate()?;
        crate::algorithm::check("prompts", !prompts.is_empty(), "at least one", 0)?;
        let seed = Seed::new(config.seed);
        let policy = Policy::new(lm, &config.policy, config.algorithm.needs_values(), seed)?;
        let groups = policy.groups(config.lr, config.value_lr, config.weight_decay);
        // Gradients are clipped before the step, those of policy and value function apart.
        let unclipped = AdamWConfig { max_grad_norm: None, ..config.optimizer };
        let optimizer = AdamW::new(unclipped, groups)?;
        let coef = config.kl_coef;
        let adaptive = match config.adaptive_kl {
            Some(adaptive) => adaptive.start(coef),
            None => AdaptiveKl { coef, target: 1.0, horizon: 1.0 },
        };
        let fingerprint = state::fingerprint(lm, config, &prompts);
        Ok(Self {
            policy,
            optimizer,
            tokenizer,
            prompts,
            config: config.clone(),
            adaptive,
            iterations: 0,
            checked: false,
            fingerprint,
            monitors: Monitors::default(),
        })
    }

    /// Has `monitor` measure the policy after every iteration that is due; see
    /// [`Iteration::monitored`].
    ///
    /// Monitors are no part of a checkpoint: a restored run goes on to the same numbers if each
    /// depends on the step and the policy only.
    pub fn monitor(&mut self, monitor: impl Monitor<Policy> + 'a) {
        self.monitors.push(monitor);
    }

    /// Iterations done.
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    /// Whether all are done.
    pub fn is_done(&self) -> bool {
        self.iterations >= self.config.iterations
    }

    /// What is trained.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The prompts it trains on.
    pub fn prompts(&self) -> &[Prompt] {
        &self.prompts
    }

    /// All that is trained, by name: `policy.*`, `value.*`.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        self.policy.named_parameters()
    }

    /// The algorithm with its settings of now.
    fn algorithm(&self) -> Algorithm {
        let last = self.config.iterations.saturating_sub(1).max(1);
        self.config.algorithm.at(self.iterations as f64 / last as f64)
    }

    fn cut(&self) -> Cut {
        Cut {
            pass_tokens: self.config.pass_tokens,
            logit_rows: self.config.logit_rows,
            temperature: self.config.rollout.temperature,
        }
    }

    /// Prompts of an iteration: every pass over them has an order of its own.
    fn chosen(&self, iteration: u64) -> Vec<usize> {
        let size = self.config.prompts as u64;
        let places = iteration * size..(iteration + 1) * size;
        Seed::new(self.config.seed).walk("prompts", self.prompts.len(), places)
    }

    /// One iteration: answers, rewards, measurement, targets, epochs.
    ///
    /// # Errors
    /// [`Error::Rewards`] if too many answers have no score; [`Error::Optimizer`] if a gradient is
    /// not finite. What is trained is then as it was before the failing step.
    pub fn iterate(&mut self, reward: &mut dyn Reward) -> Result<Iteration, Error> {
        let start = Instant::now();
        let mut seconds = Seconds::default();
        let seed = Seed::new(self.config.seed).derive("iteration", self.iterations);
        let chosen = self.chosen(self.iterations);
        let group = self.config.group;
        let rollouts = sample(
            &self.policy.model(),
            self.tokenizer,
            &self.prompts,
            &chosen,
            group,
            &self.config.rollout,
            seed,
        )?;
        seconds.generation = start.elapsed().as_secs_f64();

        let scoring = Instant::now();
        let answers: Vec<_> = rollouts.iter().map(|r| r.answer(&self.prompts)).collect();
        let scores = score_all(reward, &answers);
        let of = rollouts.len();
        let (rollouts, scores) = self.scored(rollouts, scores)?;
        let unscored = of - rollouts.len();
        let rewards: Vec<f64> = scores
            .iter()
            .zip(&rollouts)
            .map(|(&score, rollout)| self.config.missing_end.apply(score, rollout.ended))
            .collect();
        let (examples, grid) = rollout::examples(&rollouts, &self.prompts);
        let cut_off = (self.config.length_limit == LengthLimit::Bootstraps)
            .then(|| CutOff::new(&rollouts, &self.prompts));
        let (opinion, first) = self.measure(&examples, &grid)?;
        let ref_log_probs = self.policy.measure_reference(&examples, &grid, self.cut())?;
        let mut measured = Measured {
            behavior_log_probs: opinion.log_probs.shallow_clone(),
            old_log_probs: opinion.log_probs,
            ref_log_probs,
            values: opinion.values,
            scores: rewards.clone(),
            after: vec![0.0; rollouts.len()],
            group,
            grid,
        };
        if let Some(cut_off) = &cut_off {
            cut_off.look_past(&mut measured, &self.policy, self.cut())?;
        }
        let kl = measured.grid.row_sums(&measured.log_ratio());
        let entropy = measured.grid.row_sums(&opinion.entropy).iter().sum::<f64>();
        let kl_coef = self.adaptive.coef;
        let targets = self.algorithm().targets(&measured, kl_coef)?;
        let explained = if self.config.algorithm.needs_values() {
            explained(&measured, &targets)?
        } else {
            None
        };
        let sampler_gap = sampler_gap(&measured, &rollouts);
        seconds.scoring = scoring.elapsed().as_secs_f64();

        let training = Instant::now();
        let updates =
            self.epochs(&examples, &mut measured, cut_off.as_ref(), targets, first, seed)?;
        seconds.training = training.elapsed().as_secs_f64();

        let check = (!self.checked).then(|| {
            SelfCheck::new(self.iterations == 0, sampler_gap, updates.first_ratio_gap, &kl)
        });
        self.checked = true;
        self.iterations += 1;
        let whole_s = start.elapsed().as_secs_f64();
        let monitored = self.monitors.measure(self.iterations, &self.policy);
        seconds.monitoring = start.elapsed().as_secs_f64() - whole_s;
        let n = rollouts.len() as f64;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
        let report = Report {
            step: self.iterations,
            score: mean(&scores),
            reward: mean(&rewards),
            kl: mean(&kl),
            objective: mean(&rewards) - kl_coef * mean(&kl),
            kl_coef,
            entropy: entropy / measured.grid.tokens() as f64,
            eos_rate: rollouts.iter().filter(|r| r.ended).count() as f64 / n,
            length: measured.grid.tokens() as f64 / n,
            loss: updates.loss / updates.count as f64,
            grad_norm: updates.grad_norm / updates.count as f64,
            value_grad_norm: updates.value_grad_norm / updates.count as f64,
            clip_frac: updates.clip_frac(&self.config.algorithm),
            ratio_mean: updates.ratio_mean / updates.count as f64,
            ratio_variance: updates.ratio_variance / updates.count as f64,
            approx_kl: updates.approx_kl,
            explained_variance: explained,
            lr: self.config.lr * updates.lr_factor,
            updates: updates.count,
            unscored,
            sampler_gap,
            episodes_per_s: n / whole_s,
            seconds,
        };
        if self.config.adaptive_kl.is_some() {
            self.adaptive.update(report.kl, rollouts.len() as u64);
        }
        self.watch(report.kl);
        Ok(Iteration { report, monitored, rollouts, rewards, check })
    }

    /// What the policy says of all answers, and the pass of the first update, if one made for all of
    /// them is one.
    fn measure(&self, examples: &[Example], grid: &Grid) -> Result<(Opinion, Option<Kept>), Error> {
        if self.config.minibatches == 1 {
            return self.policy.measure_and_keep(examples, grid, self.cut());
        }
        Ok((self.policy.measure(examples, grid, self.cut())?, None))
    }

    /// Passes over a batch. Where an algorithm asks for it, targets are made anew before each but the
    /// first. `first` is the forward pass of the first update, if it has been made.
    fn epochs(
        &mut self,
        examples: &[Example],
        measured: &mut Measured,
        cut_off: Option<&CutOff>,
        mut targets: Targets,
        mut first: Option<Kept>,
        seed: Seed,
    ) -> Result<Updates, Error> {
        let lr_factor = self.config.schedule.factor(self.iterations, self.config.iterations);
        let mut updates = Updates { lr_factor, ..Updates::default() };
        for epoch in 0..self.config.epochs {
            if epoch > 0 && matches!(self.config.algorithm.refresh(), Refresh::EachEpoch { .. }) {
                let Opinion { log_probs, values, .. } =
                    self.policy.measure(examples, &measured.grid, self.cut())?;
                measured.old_log_probs = log_probs;
                measured.values = values;
                if let Some(cut_off) = cut_off {
                    cut_off.look_past(measured, &self.policy, self.cut())?;
                }
                targets = self.algorithm().targets(measured, self.adaptive.coef)?;
            }
            let mut order: Vec<usize> = (0..examples.len()).collect();
            if self.config.minibatches > 1 {
                order.shuffle(&mut seed.derive("epoch", epoch as u64).rng());
            }
            for rows in order.chunks(order.len().div_ceil(self.config.minibatches)) {
                let passes = self.passes(examples, rows, first.take());
                let update = self.update(passes, rows, measured, &targets, lr_factor)?;
                let most = self.config.algorithm.target_kl();
                let far = most.is_some_and(|most| update.approx_kl > most);
                updates.add(update);
                if far {
                    return Ok(updates);
                }
            }
        }
        Ok(updates)
    }

    /// Warns of a policy that runs away.
    fn watch(&self, kl: f64) {
        if kl > self.config.warn_kl {
            tracing::warn!(
                "the policy is {kl:.0} nats an answer from its reference: expected at most {}; try \
                 a larger kl_coef, a smaller lr or fewer epochs, and read the answers",
                self.config.warn_kl
            );
        }
    }

    /// The answers that have a score; where answers are compared within a group, a group that has
    /// lost one goes as a whole.
    fn scored(
        &self,
        rollouts: Vec<Rollout>,
        scores: Vec<Result<f64, String>>,
    ) -> Result<(Vec<Rollout>, Vec<f64>), Error> {
        let of = rollouts.len();
        let group = self.config.group;
        let failed = scores.iter().filter(|s| s.is_err()).count();
        if let Some(reason) = scores.iter().find_map(|s| s.as_ref().err()) {
            let allowed = (self.config.max_unscored * of as f64).floor() as usize;
            if failed > allowed || failed == of {
                return Err(Error::Rewards { failed, of, allowed, reason: reason.clone() });
            }
            tracing::warn!(
                "{failed} of {of} answers have no score and are left out; the first: {reason}"
            );
        }
        let whole: Vec<bool> = scores.chunks(group).map(|g| g.iter().all(Result::is_ok)).collect();
        let together = self.config.algorithm.needs_groups();
        let kept =
            rollouts.into_iter().zip(scores).enumerate().filter_map(|(i, (rollout, score))| {
                let score = score.ok()?;
                (!together || whole[i / group]).then_some((rollout, score))
            });
        let (rollouts, scores): (Vec<_>, Vec<_>) = kept.unzip();
        if rollouts.is_empty() {
            let reason = "no prompt has all its answers scored".to_owned();
            return Err(Error::Rewards { failed, of, allowed: 0, reason });
        }
        Ok((rollouts, scores))
    }

    /// The passes of an update on the answers `rows`, the one that has been made among them.
    fn passes(
        &self,
        examples: &[Example],
        rows: &[usize],
        made: Option<Kept>,
    ) -> Vec<(Batch, Option<Pass>)> {
        if let Some(Kept { batch, pass }) = made {
            return vec![(batch, Some(pass))];
        }
        let chosen: Vec<&Example> = rows.iter().map(|&row| &examples[row]).collect();
        let device = self.policy.device();
        let batches = Batch::plan(&chosen, PACKING, 0, self.config.pass_tokens, device);
        batches.into_iter().map(|batch| (batch, None)).collect()
    }

    /// One step of the optimizer on the answers `rows`: the loss is the mean over all their tokens,
    /// however they are spread over passes.
    fn update(
        &mut self,
        passes: Vec<(Batch, Option<Pass>)>,
        rows: &[usize],
        measured: &Measured,
        targets: &Targets,
        lr_factor: f64,
    ) -> Result<Update, Error> {
        let kl_coef = self.adaptive.coef;
        let cut = self.cut();
        let count: usize = rows.iter().map(|&row| measured.grid.lengths()[row]).sum();
        let weight = 1.0 / count as f64;
        let device = self.policy.device();
        let mut update = Update::default();
        for (batch, made) in passes {
            let of_rows: Vec<usize> = batch.examples.iter().map(|&i| rows[i]).collect();
            let cells = measured.grid.cells(&of_rows);
            let tokens = Tokens::select(measured, targets, &cells, device);
            let pass = made.map_or_else(|| self.policy.pass(&batch), Ok)?;
            let values = pass.values.as_ref().map_or_else(
                || Tensor::zeros_like(&tokens.old_values),
                |values| values.detach().set_requires_grad(true),
            );
            let algorithm = &self.config.algorithm;
            let mut misfit = None;
            let loss = log_prob_head(
                &pass.lm,
                &pass.states,
                &batch.targets,
                cut.temperature,
                cut.logit_rows,
                |log_probs, rows| {
                    let (start, len) = (rows.start as i64, rows.len() as i64);
                    let tokens = tokens.narrow(start, len);
                    let values = values.narrow(0, start, len);
                    match algorithm.loss(log_probs, &values, &tokens, kl_coef) {
                        Ok(loss) => loss.sum(Kind::Double) * weight,
                        Err(error) => {
                            misfit = Some(error);
                            log_probs.sum(Kind::Double) * 0.0
                        }
                    }
                },
            );
            if let Some(error) = misfit {
                return Err(error);
            }
            let through_values = pass.values.as_ref().and_then(|with_gradient| {
                let gradient = values.grad();
                gradient.defined().then(|| (with_gradient * gradient).sum(Kind::Float))
            });
            loss.head.backward(&pass.states, through_values);
            update.loss += loss.head.value;
            update.observe(
                &(loss.log_probs - &tokens.old_log_probs),
                algorithm.clip_coef(),
                weight,
            );
        }
        [update.grad_norm, update.value_grad_norm] = self.clip();
        self.optimizer.step(lr_factor)?;
        Ok(update)
    }

    /// Clips the gradients of policy and value function, each by its own norm: the two losses are in
    /// different units, and the larger must not silence the other. Returns the norms before.
    fn clip(&self) -> [f64; 2] {
        let named = self.policy.named_parameters();
        let max_norm = self.config.optimizer.max_grad_norm.unwrap_or(f64::INFINITY);
        ["policy.", "value."].map(|prefix| {
            let part = named.iter().filter(|(name, _)| name.starts_with(prefix));
            clip_grad_norm(&part.map(|(_, t)| t).collect::<Vec<_>>(), max_norm)
        })
    }
}

/// How well values foretell returns, KLQ's Δ being the error of both.
fn explained(measured: &Measured, targets: &Targets) -> Result<Option<f64>, Error> {
    let returns = &measured.values + &targets.advantages;
    Ok(explained_variance(&measured.values, &returns, &measured.grid.mask())?)
}

/// Difference between what the sampler and the scorer say of a token, root mean square, in nats.
fn sampler_gap(measured: &Measured, rollouts: &[Rollout]) -> f64 {
    let said: Vec<f32> = rollouts.iter().flat_map(|r| r.log_probs.iter().copied()).collect();
    let rows: Vec<usize> = (0..rollouts.len()).collect();
    let scored = measured.old_log_probs.flatten(0, -1).index_select(0, &measured.grid.cells(&rows));
    (scored - Tensor::from_slice(&said)).square().mean(Kind::Double).sqrt().double_value(&[])
}
