//! The evaluation on held-out prompts, again and again while a policy learns.

use causal_lm::tokenizer::Tokenizer;
use rl_core::{
    monitor::{Monitor, MonitorError},
    stats::Estimate,
};

use crate::{
    Error,
    algorithm::check,
    evaluate::{EvaluateConfig, Summary, evaluate},
    policy::Policy,
    reward::{Prompt, Reward},
};

/// [`evaluate`] as a monitor: `held_out/objective` with both ends of its interval
/// (`objective_low`, `objective_high`), and means of `reward`, `score`, `kl`, `entropy`, `length` and
/// `eos_rate`.
///
/// Every time has the same seed, so that the curve shows the policy rather than the draw.
pub struct HeldOut<'a> {
    every: u64,
    tokenizer: &'a Tokenizer,
    prompts: Vec<Prompt>,
    reward: Box<dyn Reward + 'a>,
    config: EvaluateConfig,
}

impl<'a> HeldOut<'a> {
    /// An evaluation after every `every` iterations. The reward is its own: one that remembers what
    /// it was asked would tell a resumed run something else.
    ///
    /// # Errors
    /// [`Error::Setting`] for an `every` of 0 or fewer than two prompts, which have no interval.
    pub fn new(
        every: u64,
        tokenizer: &'a Tokenizer,
        prompts: Vec<Prompt>,
        reward: Box<dyn Reward + 'a>,
        config: EvaluateConfig,
    ) -> Result<Self, Error> {
        check("every", every > 0, "at least 1", every)?;
        check("held-out prompts", prompts.len() > 1, "at least two", prompts.len())?;
        Ok(Self { every, tokenizer, prompts, reward, config })
    }
}

impl Monitor<Policy> for HeldOut<'_> {
    fn every(&self) -> u64 {
        self.every
    }

    fn name(&self) -> &'static str {
        "held_out"
    }

    fn measure(&mut self, _: u64, policy: &Policy) -> Result<Vec<(String, f64)>, MonitorError> {
        let (lm, reference) = (policy.model(), policy.reference());
        let (reward, prompts) = (self.reward.as_mut(), &self.prompts);
        let made = evaluate(&lm, reference, self.tokenizer, prompts, reward, &self.config)
            .map_err(MonitorError::new)?;
        let summary = made.summary().map_err(MonitorError::new)?;
        let Summary { score, reward, kl, objective, entropy, length, eos_rate } = summary;
        let Estimate { value, interval: [low, high], .. } = objective;
        let numbers = [
            ("objective", value),
            ("objective_low", low),
            ("objective_high", high),
            ("reward", reward.value),
            ("score", score.value),
            ("kl", kl.value),
            ("entropy", entropy.value),
            ("length", length.value),
            ("eos_rate", eos_rate.value),
        ];
        Ok(numbers.into_iter().map(|(name, x)| (name.to_owned(), x)).collect())
    }
}
