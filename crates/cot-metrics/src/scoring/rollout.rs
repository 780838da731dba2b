//! Chains of thought and answers of the model's own.

use causal_lm::{
    CausalLm,
    generate::{Finish, Flow, GenerateConfig, Request, Sampling, Truncation, generate},
    tokenizer::Tokenizer,
};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use super::{Cut, Marker};
use crate::Error;

/// How a model answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RolloutConfig {
    /// Longest chain and answer together, in tokens.
    pub max_new_tokens: usize,
    /// What logits are divided by; 0 takes the likeliest token, as the published code does.
    pub temperature: f64,
    /// Answers generated together.
    pub batch_size: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for RolloutConfig {
    /// Greedy.
    fn default() -> Self {
        Self { max_new_tokens: 256, temperature: 0.0, batch_size: 32, seed: 0 }
    }
}

/// What a model said to a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Its tokens without the one that ended it.
    pub ids: Vec<u32>,
    /// The token that ended it; none where the limit did.
    pub end: Option<u32>,
    /// Chain and answer, or why they cannot be told apart.
    pub cut: Cut,
}

impl Rollout {
    /// The answer as it is scored: its tokens and the one that ended it, without which `1` and `12`
    /// would begin alike.
    pub fn scored_answer(&self) -> Option<Vec<u32>> {
        let Cut::Whole { answer, .. } = &self.cut else { return None };
        let end = self.end?;
        Some(answer.iter().copied().chain([end]).collect())
    }
}

/// Answers every prompt, and cuts what was said.
///
/// The model answers with its adapter merged, and its matrices arranged for steps of a few rows: a copy
/// of both for as long as this takes.
///
/// An answer that the limit ended has no end, and a chain that was never closed no answer: both are
/// said ([`Rollout::end`], [`Cut::Unmarked`]), and neither is to be scored.
///
/// # Errors
/// [`Error::Setting`] for a temperature below 0; [`Error::Lm`] for prompts that leave no room.
pub fn rollouts(
    lm: &CausalLm,
    tokenizer: Option<&Tokenizer>,
    prompts: &[Vec<u32>],
    marker: &Marker,
    config: &RolloutConfig,
) -> Result<Vec<Rollout>, Error> {
    let temperature = config.temperature;
    if !(temperature.is_finite() && temperature >= 0.0) {
        let expected = "a finite number, not below 0";
        return Err(Error::setting("temperature", expected, temperature));
    }
    let sampling = if temperature > 0.0 {
        Sampling::Random(Truncation { temperature, ..Truncation::default() })
    } else {
        Sampling::Greedy
    };
    let settings = GenerateConfig {
        max_new_tokens: config.max_new_tokens,
        sampling,
        stop_tokens: lm.config().eos.clone(),
        batch_size: config.batch_size,
        ..GenerateConfig::default()
    };
    let seed = |i: usize| Seed::new(config.seed).derive("rollout", i as u64).value();
    let requests: Vec<Request> = prompts
        .iter()
        .enumerate()
        .map(|(i, prompt)| Request { prompt: prompt.clone(), seed: seed(i) })
        .collect();
    let made = generate(&lm.merged().packed(), &requests, &settings, &mut |_| Flow::Continue)?;
    made.into_iter()
        .map(|completion| {
            let mut ids = completion.ids;
            let end = if completion.finish == Finish::StopToken { ids.pop() } else { None };
            let cut = marker.cut(tokenizer, &ids)?;
            Ok(Rollout { ids, end, cut })
        })
        .collect()
}
