//! Answers of the policy to a batch of prompts.

use causal_lm::{
    CausalLm,
    finetune::Example,
    generate::{Finish, Flow, Request, generate},
    tokenizer::Tokenizer,
};
use rl_core::seed::Seed;

use crate::{
    Error,
    config::RolloutConfig,
    grid::Grid,
    reward::{Answer, Prompt},
};

/// An answer and how likely its tokens were when they were drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// Index of the prompt.
    pub prompt: usize,
    /// Tokens, the end-of-turn token among them.
    pub ids: Vec<u32>,
    /// Text without special tokens.
    pub text: String,
    /// Whether an end-of-turn token ended it.
    pub ended: bool,
    /// Log-probability of each token as the sampler had it.
    pub log_probs: Vec<f32>,
}

impl Rollout {
    /// What a reward is told of it.
    pub fn answer<'a>(&'a self, prompts: &'a [Prompt]) -> Answer<'a> {
        let prompt = &prompts[self.prompt];
        Answer { prompt, ids: &self.ids, text: &self.text, ended: self.ended }
    }
}

/// Samples `group` answers to each of `chosen` prompts; answers of one prompt stand side by side.
///
/// # Errors
/// [`Error::Lm`] for a prompt that leaves no room for an answer, or NaN logits.
pub fn sample(
    lm: &CausalLm,
    tokenizer: &Tokenizer,
    prompts: &[Prompt],
    chosen: &[usize],
    group: usize,
    config: &RolloutConfig,
    seed: Seed,
) -> Result<Vec<Rollout>, Error> {
    let mut requests = Vec::with_capacity(chosen.len() * group);
    for (i, &prompt) in chosen.iter().enumerate() {
        for j in 0..group {
            let seed = seed.derive("answer", (i * group + j) as u64).value();
            requests.push((prompt, Request { prompt: prompts[prompt].ids.clone(), seed }));
        }
    }
    let (of, requests): (Vec<usize>, Vec<Request>) = requests.into_iter().unzip();
    let config = config.generate(&lm.config().eos);
    let made = generate(&lm.merged().packed(), &requests, &config, &mut |_| Flow::Continue)?;
    of.into_iter()
        .zip(made)
        .map(|(prompt, made)| {
            Ok(Rollout {
                prompt,
                text: tokenizer.decode_text(&made.ids)?,
                ended: made.finish == Finish::StopToken,
                ids: made.ids,
                log_probs: made.log_probs,
            })
        })
        .collect()
}

/// The answers as what is scored and trained on, and where their tokens are.
pub(crate) fn examples(rollouts: &[Rollout], prompts: &[Prompt]) -> (Vec<Example>, Grid) {
    let examples =
        rollouts.iter().map(|r| Example::completion(&prompts[r.prompt].ids, &r.ids)).collect();
    (examples, Grid::new(rollouts.iter().map(|r| r.ids.len()).collect()))
}
