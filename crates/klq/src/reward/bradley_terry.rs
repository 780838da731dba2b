//! Training of a reward model from preferences.

use causal_lm::{CausalLm, heads::ScalarHead, lora::LoraConfig, trainable::Trainable};
use rand::seq::SliceRandom as _;
use rand_distr::{Distribution as _, StandardNormal};
use rl_core::{
    optim::{AdamW, AdamWConfig, ParameterGroup, Schedule},
    seed::Seed,
};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{RewardModel, Scale, model::last_numbers};
use crate::{Error, algorithm::check};

/// Two answers to a prompt, prompt included, the first of which is preferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Tokens of prompt and better answer.
    pub chosen: Vec<u32>,
    /// Tokens of prompt and worse answer.
    pub rejected: Vec<u32>,
}

/// Settings of the training of a reward model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RewardModelConfig {
    /// Passes over the pairs.
    pub epochs: u64,
    /// Pairs of one step.
    pub batch_pairs: usize,
    /// Adapter of the trunk.
    pub adapter: LoraConfig,
    /// Learning rate of the adapter.
    pub lr: f64,
    /// Learning rate of the head.
    pub head_lr: f64,
    /// Weight of `(r_chosen + r_rejected)²`, which keeps rewards around 0 (arXiv 2312.09244).
    pub center_coef: f64,
    /// Learning rates over the run.
    pub schedule: Schedule,
    /// Moments and clipping.
    pub optimizer: AdamWConfig,
    /// Tokens of a forward pass, padding counted.
    pub pass_tokens: usize,
    /// Root seed.
    pub seed: u64,
}

impl Default for RewardModelConfig {
    fn default() -> Self {
        Self {
            epochs: 3,
            batch_pairs: 16,
            adapter: LoraConfig::default(),
            lr: 2e-4,
            head_lr: 1e-3,
            center_coef: 0.01,
            schedule: Schedule::default(),
            optimizer: AdamWConfig::default(),
            pass_tokens: 2048,
            seed: 0,
        }
    }
}

impl RewardModelConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Lm`].
    pub fn validate(&self) -> Result<(), Error> {
        self.schedule.validate()?;
        check("epochs", self.epochs > 0, "at least 1", self.epochs)?;
        check("batch_pairs", self.batch_pairs > 0, "at least 1", self.batch_pairs)?;
        check("pass_tokens", self.pass_tokens > 0, "at least 1", self.pass_tokens)?;
        let rates = [("lr", self.lr), ("head_lr", self.head_lr), ("center_coef", self.center_coef)];
        for (name, rate) in rates {
            check(name, rate.is_finite() && rate >= 0.0, "a number, not below 0", rate)?;
        }
        Ok(())
    }
}

/// What one step saw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RewardModelStep {
    /// Steps done, this one among them.
    pub step: u64,
    /// Mean of `−log σ(r_chosen − r_rejected)`, the centering term left out, in nats.
    pub loss: f64,
    /// Share of pairs whose chosen answer had the greater reward; a tie counts half.
    pub accuracy: f64,
    /// Norm of the gradient before clipping.
    pub grad_norm: f64,
}

/// Trains a reward model: `−log σ(r_chosen − r_rejected)` (Bradley and Terry), from weights that
/// stay as they are beneath an adapter, and a head that starts at `N(0, 1/(hidden + 1))`.
///
/// The scale of the result makes the rewards of the training answers, chosen and rejected alike,
/// mean 0 and variance 1.
///
/// # Errors
/// [`Error::Setting`] for a number out of its range or no pairs; [`Error::Lm`] for a text that is
/// empty or too long.
pub fn train_reward_model(
    lm: &CausalLm,
    pairs: &[Pair],
    config: &RewardModelConfig,
    mut observe: impl FnMut(RewardModelStep, u64),
) -> Result<RewardModel, Error> {
    config.validate()?;
    check("pairs", !pairs.is_empty(), "at least one", 0)?;
    let seed = Seed::new(config.seed);
    let trained = Trainable::new(lm, Some(&config.adapter), seed.derive("reward model", 0))?;
    let head = random_head(lm, seed);
    head.require_grad();
    let mut groups = ParameterGroup::by_rank(trained.named_parameters(), config.lr, 0.0);
    let named = head.named_parameters().into_iter().map(|(name, t)| (format!("head.{name}"), t));
    groups.push(ParameterGroup {
        parameters: named.collect(),
        lr: config.head_lr,
        weight_decay: 0.0,
    });
    let mut optimizer = AdamW::new(config.optimizer, groups)?;
    let per_epoch = pairs.len().div_ceil(config.batch_pairs) as u64;
    let total = per_epoch * config.epochs;
    for epoch in 0..config.epochs {
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.shuffle(&mut seed.derive("epoch", epoch).rng());
        for batch in order.chunks(config.batch_pairs) {
            let (mut loss, mut right) = (0.0, 0.0);
            let weight = 1.0 / batch.len() as f64;
            for pass in passes(pairs, batch, config.pass_tokens) {
                let [chosen, rejected] = rewards_of(&trained.computing(), &head, pairs, pass)?;
                let margin = &chosen - &rejected;
                let nll = -margin.log_sigmoid().sum(Kind::Float) * weight;
                let center = (chosen + rejected).square().sum(Kind::Float) * weight;
                loss += nll.double_value(&[]);
                right += wins(&margin) * weight;
                (nll + center * config.center_coef).backward();
            }
            let grad_norm = optimizer.step(config.schedule.factor(optimizer.steps(), total))?;
            let step = optimizer.steps();
            observe(RewardModelStep { step, loss, accuracy: right, grad_norm }, total);
        }
    }
    let mut model = RewardModel::new(trained.model(), head);
    model.pass_tokens = config.pass_tokens;
    let all: Vec<Vec<u32>> =
        pairs.iter().flat_map(|p| [p.chosen.clone(), p.rejected.clone()]).collect();
    model.scale = Scale::standardizing(&model.rewards(&all)?);
    Ok(model)
}

/// Whether each pair's chosen answer has the greater reward, 1, 0 or ½ for a tie; and the margins.
///
/// # Errors
/// As [`RewardModel::rewards`].
pub fn preferences(model: &RewardModel, pairs: &[Pair]) -> Result<Vec<(f64, f64)>, Error> {
    let all: Vec<Vec<u32>> =
        pairs.iter().flat_map(|p| [p.chosen.clone(), p.rejected.clone()]).collect();
    let rewards = model.rewards(&all)?;
    let judged = rewards.chunks_exact(2).map(|pair| {
        let margin = pair[0] - pair[1];
        let win = if margin > 0.0 {
            1.0
        } else if margin < 0.0 {
            0.0
        } else {
            0.5
        };
        (win, margin)
    });
    Ok(judged.collect())
}

fn random_head(lm: &CausalLm, seed: Seed) -> ScalarHead {
    let hidden = lm.config().hidden;
    let mut rng = seed.derive("head", 0).rng();
    let std = 1.0 / ((hidden + 1) as f64).sqrt();
    let weight: Vec<f32> =
        StandardNormal.sample_iter(&mut rng).take(hidden).map(|x: f64| (x * std) as f32).collect();
    let mut head = ScalarHead::zeros(hidden, lm.device());
    head.weight = Tensor::from_slice(&weight).unsqueeze(0).to_device(lm.device());
    head
}

/// Pairs whose texts fit into one pass, both texts of a pair together.
fn passes<'a>(pairs: &[Pair], batch: &'a [usize], pass_tokens: usize) -> Vec<&'a [usize]> {
    let longest = |i: &usize| pairs[*i].chosen.len().max(pairs[*i].rejected.len()).max(1);
    let most = batch.iter().map(longest).max().unwrap_or(1);
    batch.chunks((pass_tokens / (2 * most)).max(1)).collect()
}

/// Rewards of the pairs `pass`, `[pairs]` each, with gradients.
fn rewards_of(
    lm: &CausalLm,
    head: &ScalarHead,
    pairs: &[Pair],
    pass: &[usize],
) -> Result<[Tensor; 2], Error> {
    let texts: Vec<Vec<u32>> = pass
        .iter()
        .map(|&i| pairs[i].chosen.clone())
        .chain(pass.iter().map(|&i| pairs[i].rejected.clone()))
        .collect();
    let mut numbers = last_numbers(lm, head, &texts, usize::MAX)?;
    numbers.sort_by_key(|(i, _)| *i);
    let numbers: Vec<Tensor> = numbers.into_iter().map(|(_, x)| x).collect();
    let (chosen, rejected) = numbers.split_at(pass.len());
    Ok([Tensor::stack(chosen, 0), Tensor::stack(rejected, 0)])
}

fn wins(margin: &Tensor) -> f64 {
    let half_signs = margin.detach().sign() * 0.5 + 0.5;
    half_signs.sum(Kind::Double).double_value(&[])
}
