//! The loop around a method: rollouts, frozen samples, epochs of shuffled mini-batches.

use std::collections::VecDeque;

use rand::seq::SliceRandom as _;
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use super::{Optimizer, OptimizerConfig, Parameters, Rollouts, Start, rollout};
use crate::oracle::{Error, TokenMdp, soft};

/// A method of learning from rollouts: what it freezes of them, and its loss.
pub trait Method: Sync {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    fn validate(&self) -> Result<(), Error>;

    /// How many older batches it trains on besides the newest.
    fn older_batches(&self) -> usize {
        0
    }

    /// Every valid step of the batches with what the current parameters say of it; no gradient will
    /// pass through it. The newest batch is last.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for parameters that are none; [`Error::Length`] for rollouts of another
    /// process.
    fn freeze(
        &self,
        mdp: &TokenMdp,
        parameters: &Parameters,
        batches: &[&Rollouts],
        gae_lambda: f64,
    ) -> Result<Vec<Sample>, Error>;

    /// Mean loss of samples; its gradient is added to `gradient`, of the layout of
    /// [`Parameters::flat`].
    fn loss(
        &self,
        mdp: &TokenMdp,
        parameters: &Parameters,
        samples: &[Sample],
        gradient: &mut [f64],
    ) -> f64;
}

/// One frozen step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// State it was taken in.
    pub state: usize,
    /// Token that was appended.
    pub action: usize,
    /// `log π_b(a|s)`.
    pub ref_log_prob: f64,
    /// `log π_old(a|s)`.
    pub old_log_prob: f64,
    /// `log π(a|s)` of the policy that sampled it; equal to that of `π_old` in the newest batch.
    pub sampler_log_prob: f64,
    /// `V_old(s)`.
    pub old_value: f64,
    /// Δ or the advantage, whitened if the method does that.
    pub correction: f64,
    /// Where Q (KLQ) or V (PPO) should go.
    pub target: f64,
    /// Factor on the error of KLQ, 1 unless targets are scaled.
    pub error_scale: f64,
}

impl Sample {
    /// Cells of padded rows, none where masked; corrections and targets are still 0.
    pub(super) fn rows(
        mdp: &TokenMdp,
        parameters: &Parameters,
        rollouts: &Rollouts,
    ) -> Result<Vec<Option<Self>>, Error> {
        let policy = parameters.policy(mdp)?;
        let cells = 0..rollouts.mask.len();
        let sample = |cell: usize| {
            let (state, action) = (rollouts.states[cell], rollouts.actions[cell]);
            rollouts.mask[cell].then(|| Self {
                state,
                action,
                ref_log_prob: mdp.reference().row(state)[action],
                old_log_prob: policy.row(state)[action],
                sampler_log_prob: rollouts.sampler_log_probs[cell],
                old_value: parameters.values()[state],
                correction: 0.0,
                target: 0.0,
                error_scale: 1.0,
            })
        };
        Ok(cells.map(sample).collect())
    }

    /// Rewards, values, log-ratios to the reference and to the sampler of one row; 0 where masked.
    pub(super) fn columns(mdp: &TokenMdp, row: &[Option<Self>]) -> [Vec<f64>; 4] {
        let column = |of: &dyn Fn(&Self) -> f64| -> Vec<f64> {
            row.iter().map(|sample| sample.as_ref().map_or(0.0, of)).collect()
        };
        [
            column(&|s| mdp.rewards()[mdp.index(s.state, s.action)]),
            column(&|s| s.old_value),
            column(&|s| s.old_log_prob - s.ref_log_prob),
            column(&|s| s.old_log_prob - s.sampler_log_prob),
        ]
    }
}

/// How the learning rate changes from batch to batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Not at all; the gap then stays at what sampling noise makes of it.
    Constant,
    /// In a straight line to 0 after the last batch.
    #[default]
    Linear,
}

/// Everything about training but the method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Where it starts.
    pub start: Start,
    /// Number of batches, at least 1.
    pub batches: usize,
    /// Sequences of a batch, at least 1.
    pub rollouts: usize,
    /// Passes over a batch, at least 1.
    pub epochs: usize,
    /// Mini-batches of a pass, at least 1; they hold equally many steps, but for the last.
    pub minibatches: usize,
    /// Trace parameter λ, from 0 to 1.
    pub gae_lambda: f64,
    /// Kind of step.
    pub optimizer: OptimizerConfig,
    /// Learning rate of the first batch, above 0.
    pub learning_rate: f64,
    /// Its course.
    pub schedule: Schedule,
    /// Batches between two points of the curve, at least 1; the last batch always has one.
    pub curve_every: usize,
}

impl Default for TrainConfig {
    /// What closes the gap of small random instances.
    fn default() -> Self {
        Self {
            start: Start::Reference,
            batches: 1500,
            rollouts: 64,
            epochs: 4,
            minibatches: 2,
            gae_lambda: 0.95,
            optimizer: OptimizerConfig::default(),
            learning_rate: 0.05,
            schedule: Schedule::Linear,
            curve_every: 50,
        }
    }
}

impl TrainConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, count) in [
            ("batches", self.batches),
            ("rollouts", self.rollouts),
            ("epochs", self.epochs),
            ("minibatches", self.minibatches),
            ("curve_every", self.curve_every),
        ] {
            Error::setting(name, "at least 1", count, count >= 1)?;
        }
        let (lambda, rate) = (self.gae_lambda, self.learning_rate);
        Error::setting(
            "gae_lambda",
            "a number from 0 to 1",
            lambda,
            (0.0..=1.0).contains(&lambda),
        )?;
        let held = rate > 0.0 && rate.is_finite();
        Error::setting("learning_rate", "a finite number above 0", rate, held)?;
        self.optimizer.validate()
    }

    fn learning_rate_at(&self, batch: usize) -> f64 {
        match self.schedule {
            Schedule::Constant => self.learning_rate,
            Schedule::Linear => self.learning_rate * (1.0 - batch as f64 / self.batches as f64),
        }
    }
}

/// A point of a learning curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Batches trained on so far.
    pub batch: usize,
    /// Exact `J(π*) − J(π)`, in units of reward.
    pub gap: f64,
    /// Exact `KL(π(y)‖π_b(y))` in nats.
    pub ref_kl: f64,
    /// Mean loss over the mini-batches of the last batch; 0 before the first.
    pub loss: f64,
}

/// What training gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Where it ended.
    pub parameters: Parameters,
    /// From before the first batch to after the last.
    pub curve: Vec<Point>,
}

impl Run {
    /// Gap at the end.
    pub fn gap(&self) -> f64 {
        self.curve.last().map_or(f64::NAN, |point| point.gap)
    }
}

/// Trains a method from sampled rollouts.
///
/// Streams `rollouts`, `shuffle` (indexed by batch) and `start` of the seed, so that two methods with
/// the same seed start alike and see the same random numbers.
///
/// # Errors
/// [`Error::Setting`] for a configuration; [`Error::Diverged`] if the loss is no longer finite.
///
/// # Examples
/// ```
/// use klq::oracle::{MdpConfig, RandomTables, TokenMdp, learner::{Klq, TrainConfig, train}};
/// use rl_core::seed::Seed;
///
/// let mdp = TokenMdp::random(MdpConfig::default(), &RandomTables::default(), Seed::new(1))?;
/// let config = TrainConfig { batches: 100, ..TrainConfig::default() };
/// let run = train(&mdp, &Klq::default(), &config, Seed::new(2))?;
/// assert!(run.gap() < 0.1 * run.curve[0].gap);
/// # Ok::<(), klq::oracle::Error>(())
/// ```
pub fn train(
    mdp: &TokenMdp,
    method: &impl Method,
    config: &TrainConfig,
    seed: Seed,
) -> Result<Run, Error> {
    config.validate()?;
    method.validate()?;
    let best = soft::optimum(mdp);
    let mut parameters = Parameters::start(mdp, config.start, seed)?;
    let point = |parameters: &Parameters, batch, loss| -> Result<Point, Error> {
        let policy = parameters.policy(mdp)?;
        // As a divergence, because a difference of objectives loses its digits near the optimum.
        let gap = mdp.config().tau * soft::discounted_kl(mdp, &policy, &best.policy)?;
        Ok(Point { batch, gap, ref_kl: soft::sequence_kl(mdp, &policy, mdp.reference())?, loss })
    };
    let mut curve = vec![point(&parameters, 0, 0.0)?];
    let mut optimizer = Optimizer::new(config.optimizer, parameters.flat().len())?;
    let mut gradient = vec![0.0; parameters.flat().len()];
    let mut held = VecDeque::new();
    for batch in 0..config.batches {
        let mut rng = seed.derive("rollouts", batch as u64).rng();
        held.push_back(rollout::sample(mdp, &parameters.policy(mdp)?, config.rollouts, &mut rng)?);
        if held.len() > 1 + method.older_batches() {
            held.pop_front();
        }
        let batches: Vec<&Rollouts> = held.iter().collect();
        let mut samples = method.freeze(mdp, &parameters, &batches, config.gae_lambda)?;

        let learning_rate = config.learning_rate_at(batch);
        let mut rng = seed.derive("shuffle", batch as u64).rng();
        let (mut total, mut steps) = (0.0, 0.0);
        for _ in 0..config.epochs {
            samples.shuffle(&mut rng);
            for minibatch in samples.chunks(samples.len().div_ceil(config.minibatches)) {
                gradient.fill(0.0);
                total += method.loss(mdp, &parameters, minibatch, &mut gradient);
                steps += 1.0;
                optimizer.step(parameters.flat_mut(), &gradient, learning_rate)?;
            }
        }
        let loss = total / steps;
        if !loss.is_finite() || parameters.flat().iter().any(|x| !x.is_finite()) {
            return Err(Error::Diverged { batch, loss });
        }
        if (batch + 1) % config.curve_every == 0 || batch + 1 == config.batches {
            curve.push(point(&parameters, batch + 1, loss)?);
        }
    }
    Ok(Run { parameters, curve })
}
