//! Reward of a summary: how much it helps a model to predict the text it is of.

use causal_lm::{
    CausalLm,
    score::{ScoreConfig, Span, score},
    tokenizer::Tokenizer,
};
use serde::{Deserialize, Serialize};

use super::{Answer, Reward};
use crate::{Error, algorithm::check};

/// Settings of the reconstruction reward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ReconstructionConfig {
    /// What each token of a summary costs, in nats a token of the text.
    pub length_cost: f64,
    /// What the gain is multiplied by, so that rewards are of order 1.
    pub scale: f64,
    /// Tokens scored in one pass, padding counted.
    pub batch_tokens: usize,
}

impl Default for ReconstructionConfig {
    fn default() -> Self {
        Self { length_cost: 0.002, scale: 4.0, batch_tokens: 4096 }
    }
}

/// How much a summary raises a model's log-probability of the text, less a cost of its length:
///
/// ```text
/// R = scale · ( (log p(text | summary) − log p(text | empty summary)) / tokens of the text
///               − length_cost · tokens of the summary )
/// ```
///
/// A summary that copies the text wins much and costs much; what is between is worth most. The model
/// is a frozen one, such as the policy's reference.
#[derive(Debug)]
pub struct Reconstruction<'a> {
    lm: CausalLm,
    tokenizer: &'a Tokenizer,
    config: ReconstructionConfig,
}

impl<'a> Reconstruction<'a> {
    /// The reward that `lm` gives.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn new(
        lm: CausalLm,
        tokenizer: &'a Tokenizer,
        config: ReconstructionConfig,
    ) -> Result<Self, Error> {
        let cost = config.length_cost;
        check("length_cost", cost.is_finite() && cost >= 0.0, "a number, not below 0", cost)?;
        let scale = config.scale;
        check("scale", scale.is_finite() && scale > 0.0, "a number above 0", scale)?;
        Ok(Self { lm, tokenizer, config })
    }

    /// The text after a summary, in pieces that are tokenized one by one.
    fn span(&self, summary: &str, text: &str) -> Result<Span, String> {
        let encode = |text: &str| self.tokenizer.encode(text).map_err(|e| e.to_string());
        let context = encode(&format!("Summary: {}\n\nFull text:", summary.trim()))?;
        Ok(Span { context, continuation: encode(&format!(" {}", text.trim()))? })
    }
}

impl Reward for Reconstruction<'_> {
    fn name(&self) -> &'static str {
        "reconstruction"
    }

    fn score(&mut self, answers: &[Answer<'_>]) -> Vec<Result<f64, String>> {
        let spans: Vec<Result<[Span; 2], String>> = answers
            .iter()
            .map(|answer| {
                let text = answer.prompt.source.as_deref();
                let text =
                    text.ok_or_else(|| format!("prompt {} has no text", answer.prompt.id))?;
                Ok([self.span(answer.text, text)?, self.span("", text)?])
            })
            .collect();
        // Answers to one prompt share the text without a summary.
        let mut distinct: Vec<Span> = Vec::new();
        let mut places = std::collections::HashMap::new();
        let mut place = |span: &Span| {
            let key = (span.context.clone(), span.continuation.clone());
            *places.entry(key).or_insert_with(|| {
                distinct.push(span.clone());
                distinct.len() - 1
            })
        };
        let wanted: Vec<Result<[usize; 2], String>> = spans
            .iter()
            .map(|spans| spans.as_ref().map(|s| [place(&s[0]), place(&s[1])]).map_err(Clone::clone))
            .collect();
        let config =
            ScoreConfig { batch_tokens: self.config.batch_tokens, ..ScoreConfig::default() };
        let scored = score(&self.lm, &distinct, &config).map_err(|e| e.to_string());
        let mean = |log_probs: &[f32]| {
            let sum: f64 = log_probs.iter().map(|&l| f64::from(l)).sum();
            sum / log_probs.len().max(1) as f64
        };
        answers
            .iter()
            .zip(wanted)
            .map(|(answer, wanted)| {
                let ([with, without], scored) = (wanted?, scored.as_ref().map_err(Clone::clone)?);
                let gain = mean(&scored[with]) - mean(&scored[without]);
                let cost = self.config.length_cost * answer.ids.len() as f64;
                Ok(self.config.scale * (gain - cost))
            })
            .collect()
    }
}
