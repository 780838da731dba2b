//! How good a policy is on prompts that it was not trained on.

use causal_lm::{
    CausalLm,
    finetune::{Batch, Example},
    tokenizer::Tokenizer,
};
use rl_core::{
    kl,
    seed::Seed,
    stats::{self, Estimate, cluster_mean},
};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::{
    Error, RolloutConfig,
    algorithm::check,
    policy::PACKING,
    reward::{Answer, MissingEnd, Prompt, Reward, score_all},
    rollout::{self, Rollout, sample},
};

/// Confidence of the intervals.
pub const CONFIDENCE: f64 = 0.95;

/// Settings of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateConfig {
    /// How answers are sampled.
    pub rollout: RolloutConfig,
    /// Answers to each prompt.
    pub group: usize,
    /// Weight of the KL in the objective.
    pub kl_coef: f64,
    /// What an answer costs that the length limit cut off.
    pub missing_end: MissingEnd,
    /// Tokens of one forward pass, padding counted.
    pub pass_tokens: usize,
    /// Positions whose logits are held at once.
    pub logit_rows: usize,
    /// Root seed.
    pub seed: u64,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self {
            rollout: RolloutConfig::default(),
            group: 2,
            kl_coef: 0.05,
            missing_end: MissingEnd::default(),
            pass_tokens: 2048,
            logit_rows: 128,
            seed: 0,
        }
    }
}

/// One answer, measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Evaluated {
    /// Index of the prompt.
    pub prompt: usize,
    /// Tokens of the answer.
    #[serde(skip)]
    pub ids: Vec<u32>,
    /// The answer.
    pub text: String,
    /// Score before what a missing end costs.
    pub score: f64,
    /// Score after that.
    pub reward: f64,
    /// Sum over the answer's tokens of the exact KL of the next-token distributions from the
    /// reference's, in nats: an unbiased estimate of the KL of whole answers, of less variance than
    /// the log-ratio.
    pub kl: f64,
    /// `reward − kl_coef · kl`.
    pub objective: f64,
    /// Mean over tokens of the policy's entropy, in nats.
    pub entropy: f64,
    /// Tokens.
    pub length: usize,
    /// Whether the policy ended it.
    pub ended: bool,
}

impl Evaluated {
    /// What a reward or a judge is told of it.
    pub fn answer<'a>(&'a self, prompts: &'a [Prompt]) -> Answer<'a> {
        let prompt = &prompts[self.prompt];
        Answer { prompt, ids: &self.ids, text: &self.text, ended: self.ended }
    }
}

/// Means over answers, each with a 95 % interval that is robust to answers of one prompt being alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// See [`Evaluated::score`].
    pub score: Estimate,
    /// See [`Evaluated::reward`].
    pub reward: Estimate,
    /// See [`Evaluated::kl`].
    pub kl: Estimate,
    /// See [`Evaluated::objective`].
    pub objective: Estimate,
    /// See [`Evaluated::entropy`].
    pub entropy: Estimate,
    /// See [`Evaluated::length`].
    pub length: Estimate,
    /// Share of answers that the policy ended.
    pub eos_rate: Estimate,
}

/// Answers to held-out prompts.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The answers that have a score; those of one prompt side by side.
    pub answers: Vec<Evaluated>,
    /// How many have none.
    pub unscored: usize,
}

impl Evaluation {
    /// Means and intervals.
    ///
    /// # Errors
    /// [`stats::Error`] with answers to fewer than two prompts.
    pub fn summary(&self) -> Result<Summary, stats::Error> {
        let clusters: Vec<usize> = self.answers.iter().map(|a| a.prompt).collect();
        let of = |number: fn(&Evaluated) -> f64| {
            let values: Vec<f64> = self.answers.iter().map(number).collect();
            cluster_mean(&values, &clusters, CONFIDENCE)
        };
        Ok(Summary {
            score: of(|a| a.score)?,
            reward: of(|a| a.reward)?,
            kl: of(|a| a.kl)?,
            objective: of(|a| a.objective)?,
            entropy: of(|a| a.entropy)?,
            length: of(|a| a.length as f64)?,
            eos_rate: of(|a| f64::from(u8::from(a.ended)))?,
        })
    }

    /// Mean of a number over the answers to each prompt, by prompt.
    pub fn by_prompt(&self, number: impl Fn(&Evaluated) -> f64) -> Vec<(usize, f64)> {
        let same = |a: &Evaluated, b: &Evaluated| a.prompt == b.prompt;
        self.answers
            .chunk_by(same)
            .map(|group| {
                let sum: f64 = group.iter().map(&number).sum();
                (group[0].prompt, sum / group.len() as f64)
            })
            .collect()
    }
}

/// Samples answers of `lm` to every prompt and measures them.
///
/// Equal seeds give both policies of a comparison equal random numbers.
///
/// # Errors
/// [`Error::Vocabulary`] for a reference of another vocabulary; [`Error::Rewards`] if no answer has
/// a score.
pub fn evaluate(
    lm: &CausalLm,
    reference: &CausalLm,
    tokenizer: &Tokenizer,
    prompts: &[Prompt],
    reward: &mut dyn Reward,
    config: &EvaluateConfig,
) -> Result<Evaluation, Error> {
    check("group", config.group > 0, "at least 1", config.group)?;
    check("pass_tokens", config.pass_tokens > 0, "at least 1", config.pass_tokens)?;
    let (policy, found) = (lm.config().vocab, reference.config().vocab);
    if policy != found {
        return Err(Error::Vocabulary { what: "the reference", policy, found });
    }
    let all: Vec<usize> = (0..prompts.len()).collect();
    let seed = Seed::new(config.seed).derive("evaluation", 0);
    let rollouts = sample(lm, tokenizer, prompts, &all, config.group, &config.rollout, seed)?;
    let answers: Vec<_> = rollouts.iter().map(|r| r.answer(prompts)).collect();
    let scores = score_all(reward, &answers);
    let unscored = scores.iter().filter(|s| s.is_err()).count();
    if let Some(reason) = scores.iter().find_map(|s| s.as_ref().err()) {
        if unscored == scores.len() {
            let (failed, of, reason) = (unscored, unscored, reason.clone());
            return Err(Error::Rewards { failed, of, allowed: of - 1, reason });
        }
        tracing::warn!("{unscored} of {} answers have no score; the first: {reason}", scores.len());
    }
    let (rollouts, scores): (Vec<Rollout>, Vec<f64>) =
        rollouts.into_iter().zip(scores).filter_map(|(r, s)| Some((r, s.ok()?))).unzip();
    let measured = divergences(lm, reference, &rollouts, prompts, config)?;
    let answers = rollouts
        .into_iter()
        .zip(scores)
        .zip(measured)
        .map(|((rollout, score), (kl, entropy))| {
            let reward = config.missing_end.apply(score, rollout.ended);
            Evaluated {
                prompt: rollout.prompt,
                text: rollout.text,
                score,
                reward,
                kl,
                objective: reward - config.kl_coef * kl,
                entropy: entropy / rollout.ids.len() as f64,
                length: rollout.ids.len(),
                ids: rollout.ids,
                ended: rollout.ended,
            }
        })
        .collect();
    Ok(Evaluation { answers, unscored })
}

/// Sums over each answer of KL and entropy.
fn divergences(
    lm: &CausalLm,
    reference: &CausalLm,
    rollouts: &[Rollout],
    prompts: &[Prompt],
    config: &EvaluateConfig,
) -> Result<Vec<(f64, f64)>, Error> {
    let _guard = tch::no_grad_guard();
    let (examples, grid) = rollout::examples(rollouts, prompts);
    let refs: Vec<&Example> = examples.iter().collect();
    let temperature = config.rollout.temperature;
    let (mut cells, mut kls, mut entropies) = (Vec::new(), Vec::new(), Vec::new());
    for batch in Batch::plan(&refs, PACKING, 0, config.pass_tokens, lm.device()) {
        cells.push(grid.cells(&batch.examples));
        let states = |lm: &CausalLm| -> Result<Tensor, Error> {
            let hidden = lm.hidden(&batch.input_ids, &batch.layout)?; // [rows, seq, hidden]
            Ok(hidden.flatten(0, 1).index_select(0, &batch.positions))
        };
        let (of_policy, of_reference) = (states(lm)?, states(reference)?);
        let rows = config.logit_rows.max(1) as i64;
        for (a, b) in of_policy.split(rows, 0).iter().zip(of_reference.split(rows, 0)) {
            let logits = lm.logits(a) / temperature;
            kls.push(kl::exact(&logits, &(reference.logits(&b) / temperature))?);
            entropies.push(kl::entropy(&logits)?);
        }
    }
    let cells = Tensor::cat(&cells, 0);
    let sums = |parts: &[Tensor]| {
        grid.row_sums(&grid.scatter(&cells, &Tensor::cat(parts, 0).to_kind(Kind::Float)))
    };
    Ok(sums(&kls).into_iter().zip(sums(&entropies)).collect())
}
