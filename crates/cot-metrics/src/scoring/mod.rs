//! How likely a model finds an answer under several beginnings, and answers of its own.
//!
//! Everything is token ids: where an answer begins is known by construction, and no text is ever
//! joined and cut again. The arms of an example are rows of one forward pass in which whatever they
//! begin with alike is computed once ([`causal_lm::model::Layout::Shared`]).

mod asked;
mod cut;
mod local;
mod rollout;

use std::collections::HashMap;

pub use asked::{Asking, Question, Said, Unscored};
use causal_lm::{
    CausalLm,
    finetune::{Batch, Example, Packing},
    score::log_probs,
};
pub use cut::{Cut, Marker};
pub use local::{Format, LocalScorer, Named, Speaker};
pub use rollout::{Rollout, RolloutConfig, rollouts};
use serde::{Deserialize, Serialize};

use crate::{Error, Outcome};

/// What a model reads before an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// The question with all that asks for an answer.
    pub prompt: Vec<u32>,
    /// The chain of thought; may be empty.
    pub chain: Vec<u32>,
    /// What stands between chain and answer, such as `</think>`; may be empty.
    pub bridge: Vec<u32>,
}

impl Before {
    /// All of it, in order.
    pub fn ids(&self) -> Vec<u32> {
        [&self.prompt[..], &self.chain, &self.bridge].concat()
    }

    fn len(&self) -> usize {
        self.prompt.len() + self.chain.len() + self.bridge.len()
    }
}

/// One answer, and the beginnings under which it is scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name, for messages.
    pub id: String,
    /// The beginnings.
    pub arms: Vec<Before>,
    /// The answer; the token that ends it counts if it is here.
    pub answer: Vec<u32>,
}

/// How likely an answer is under one beginning.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ArmScore {
    /// Scored.
    Scored {
        /// Natural logarithm of its probability, the sum over its tokens; never above 0.
        log_prob: f64,
        /// Tokens of the answer.
        tokens: usize,
    },
    /// Beginning and answer do not fit into the model's context: nothing is cut, and there is no
    /// score.
    TooLong {
        /// Tokens there are.
        tokens: usize,
        /// Tokens that fit.
        limit: usize,
    },
}

impl ArmScore {
    /// The log-probability, if it was scored.
    pub fn log_prob(self) -> Option<f64> {
        match self {
            Self::Scored { log_prob, .. } => Some(log_prob),
            Self::TooLong { .. } => None,
        }
    }
}

impl From<ArmScore> for Outcome {
    fn from(score: ArmScore) -> Self {
        match score {
            ArmScore::Scored { log_prob, tokens } => Self::scored(log_prob, tokens),
            ArmScore::TooLong { tokens, limit } => Self::Failed(format!(
                "expected at most {limit} tokens, the model's context, found {tokens}"
            )),
        }
    }
}

/// How much is computed at once. Results do not depend on it beyond rounding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ScoreConfig {
    /// Cases whose rows are planned together.
    pub cases: usize,
    /// Tokens of one forward pass, shared ones counted once.
    pub pass_tokens: usize,
    /// Positions whose logits are held at once.
    pub logit_rows: usize,
    /// How rows share a pass.
    pub packing: Packing,
}

impl Default for ScoreConfig {
    /// Passes of 2,048 tokens, sharing what arms begin with.
    fn default() -> Self {
        Self { cases: 16, pass_tokens: 2048, logit_rows: 256, packing: Packing::Shared }
    }
}

impl ScoreConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the parameter.
    pub fn validate(&self) -> Result<(), Error> {
        let counts = [
            ("cases", self.cases),
            ("pass_tokens", self.pass_tokens),
            ("logit_rows", self.logit_rows),
        ];
        match counts.into_iter().find(|&(_, n)| n == 0) {
            None => Ok(()),
            Some((name, _)) => Err(Error::setting(name, "at least 1", "0")),
        }
    }
}

/// Log-probability of every case's answer under each of its arms, in their order.
///
/// The model is used as it is, with its adapter if it has one. Arms that are equal are computed once,
/// so that an edit which changes nothing changes the score by exactly 0. Logits are turned into
/// log-probabilities in f32 whatever the weights' type.
///
/// Memory is that of the model and of one pass, however many cases there are.
///
/// # Errors
/// [`Error::Span`] for an answer of no tokens or an arm without a token before it;
/// [`Error::Setting`]; [`Error::Lm`] for a token outside the vocabulary or a log-probability that is
/// not a number.
pub fn score(
    lm: &CausalLm,
    cases: &[Case],
    config: &ScoreConfig,
) -> Result<Vec<Vec<ArmScore>>, Error> {
    config.validate()?;
    for case in cases {
        check(lm, case)?;
    }
    let _guard = tch::no_grad_guard();
    let mut out = Vec::with_capacity(cases.len());
    for chunk in cases.chunks(config.cases) {
        out.extend(score_chunk(lm, chunk, config)?);
    }
    Ok(out)
}

fn check(lm: &CausalLm, case: &Case) -> Result<(), Error> {
    let span = |what: &str, expected: String, found: String| {
        let what = format!("{}: {what}", case.id);
        Err(Error::Span { what, expected, found })
    };
    if case.answer.is_empty() {
        return span("answer", "at least one token".into(), "none".into());
    }
    if let Some(arm) = case.arms.iter().position(|arm| arm.len() == 0) {
        let what = format!("what stands before the answer in arm {arm}");
        return span(&what, "at least one token".into(), "none".into());
    }
    let vocab = lm.config().vocab;
    let before = case.arms.iter().flat_map(|arm| [&arm.prompt, &arm.chain, &arm.bridge]);
    let stranger = before.chain([&case.answer]).flatten().find(|&&id| id as usize >= vocab);
    match stranger {
        None => Ok(()),
        Some(id) => span("tokens", format!("ids below {vocab}"), id.to_string()),
    }
}

fn score_chunk(
    lm: &CausalLm,
    cases: &[Case],
    config: &ScoreConfig,
) -> Result<Vec<Vec<ArmScore>>, Error> {
    let limit = lm.config().max_context;
    let mut places: HashMap<(Vec<u32>, &[u32]), usize> = HashMap::new();
    let mut rows: Vec<Example> = Vec::new();
    // The row of each arm, or what it would have taken.
    let planned: Vec<Vec<Result<usize, usize>>> = cases
        .iter()
        .map(|case| {
            let arms = case.arms.iter().map(|arm| {
                let tokens = arm.len() + case.answer.len();
                if tokens > limit {
                    return Err(tokens);
                }
                let ids = arm.ids();
                Ok(*places.entry((ids, &case.answer)).or_insert_with_key(|(ids, answer)| {
                    rows.push(Example::completion(ids, answer));
                    rows.len() - 1
                }))
            });
            arms.collect()
        })
        .collect();
    let sums = sums(lm, &rows, config)?;
    let of_arm = |arm: Result<usize, usize>, tokens: usize| match arm {
        Ok(row) => ArmScore::Scored { log_prob: sums[row], tokens },
        Err(tokens) => ArmScore::TooLong { tokens, limit },
    };
    Ok(cases
        .iter()
        .zip(planned)
        .map(|(case, arms)| arms.into_iter().map(|arm| of_arm(arm, case.answer.len())).collect())
        .collect())
}

/// Of each row, the sum of the log-probabilities of the tokens that count.
fn sums(lm: &CausalLm, rows: &[Example], config: &ScoreConfig) -> Result<Vec<f64>, Error> {
    let refs: Vec<&Example> = rows.iter().collect();
    let longest = rows.iter().map(|row| row.ids().len()).max().unwrap_or(0);
    let (pass_tokens, device) = (config.pass_tokens, lm.device());
    let mut out = vec![0.0; rows.len()];
    for batch in Batch::plan(&refs, config.packing, longest, pass_tokens, device) {
        let hidden = lm.hidden(&batch.input_ids, &batch.layout)?;
        let states = hidden.flatten(0, 1).index_select(0, &batch.positions);
        let found = log_probs(lm, &states, &batch.targets, 1.0, config.logit_rows);
        let found: Vec<f32> = Vec::try_from(found).map_err(|source| causal_lm::Error::Torch {
            what: "reading log-probabilities".into(),
            source,
        })?;
        if let Some(at) = found.iter().position(|x| x.is_nan()) {
            return Err(Error::Lm(causal_lm::Error::NotFinite {
                what: format!("the log-probability of scored token {at}"),
                found: "NaN".into(),
            }));
        }
        let mut found = found.into_iter();
        for &row in &batch.examples {
            out[row] = found.by_ref().take(rows[row].counted()).map(f64::from).sum();
        }
    }
    Ok(out)
}
