//! Batched generation: prompts in, completions out, through any [`StepModel`].

mod sampling;
mod step;
mod stop;

use std::collections::{BTreeSet, HashMap};

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};
pub use sampling::{Sampling, Truncation};
use serde::{Deserialize, Serialize};
pub use step::StepModel;
pub use stop::{StopStrings, TextPiece};
use tch::Tensor;

use crate::Error;

/// How completions are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerateConfig {
    /// Longest completion in tokens.
    pub max_new_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Logits of tokens seen in prompt or completion are weakened by this factor; 1 leaves them.
    pub repetition_penalty: f64,
    /// Tokens that end a completion; the one that does is part of it.
    pub stop_tokens: Vec<u32>,
    /// Whether to report the log-probability of every chosen token.
    pub log_probs: bool,
    /// Rows computed together.
    pub batch_size: usize,
}

impl Default for GenerateConfig {
    fn default() -> Self {
        Self {
            max_new_tokens: 256,
            sampling: Sampling::Greedy,
            repetition_penalty: 1.0,
            stop_tokens: Vec::new(),
            log_probs: false,
            batch_size: 64,
        }
    }
}

impl GenerateConfig {
    /// Checks ranges.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the parameter.
    pub fn validate(&self) -> Result<(), Error> {
        self.sampling.validate()?;
        let bad = |name: &str, expected: &str, found: String| {
            Err(Error::Setting { name: name.into(), expected: expected.into(), found })
        };
        if self.max_new_tokens == 0 {
            return bad("max_new_tokens", "at least 1", "0".into());
        }
        if self.batch_size == 0 {
            return bad("batch_size", "at least 1", "0".into());
        }
        if !(self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0) {
            return bad(
                "repetition_penalty",
                "a positive number",
                self.repetition_penalty.to_string(),
            );
        }
        Ok(())
    }
}

/// One prompt and the seed of its row.
///
/// A row's draws depend on its own seed alone, not on the rows beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Token ids; at least one.
    pub prompt: Vec<u32>,
    /// Seed of the row's random numbers.
    pub seed: u64,
}

/// Why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// A stop token, the last of the completion.
    StopToken,
    /// The observer asked for it: a stop string was found.
    Observer,
    /// `max_new_tokens` were made.
    Length,
}

/// What one request gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The new tokens.
    pub ids: Vec<u32>,
    /// Natural logarithms of their probabilities at the sampling temperature, before any
    /// truncation; empty unless asked for.
    pub log_probs: Vec<f32>,
    /// Why it ended.
    pub finish: Finish,
}

/// One new token, as it is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewToken {
    /// Index of the request.
    pub request: usize,
    /// The token.
    pub id: u32,
    /// Whether a stop token or the length ended the row with it.
    pub last: bool,
}

/// What the observer wants for the row it was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// End this row.
    Stop,
}

/// Completes every request, in order.
///
/// Equal prompts are read once. Rows that have ended leave the batch. `observe` is told of every
/// token as it is chosen and may end a row.
///
/// # Errors
/// [`Error::Setting`] for a bad configuration, [`Error::Prompt`] for an empty prompt, one with a
/// token outside the vocabulary or one that leaves no room for `max_new_tokens`, all before any
/// work is done; [`Error::NotFinite`] for NaN logits.
pub fn generate<M: StepModel>(
    model: &M,
    requests: &[Request],
    config: &GenerateConfig,
    observe: &mut dyn FnMut(NewToken) -> Flow,
) -> Result<Vec<Completion>, Error> {
    config.validate()?;
    for (i, request) in requests.iter().enumerate() {
        check_prompt(model, i, &request.prompt, config.max_new_tokens)?;
    }
    let _guard = tch::no_grad_guard();
    let mut completions = Vec::with_capacity(requests.len());
    for (chunk_index, chunk) in requests.chunks(config.batch_size).enumerate() {
        let first = chunk_index * config.batch_size;
        completions.extend(complete_chunk(model, chunk, first, config, observe)?);
    }
    Ok(completions)
}

fn check_prompt<M: StepModel>(
    model: &M,
    request: usize,
    prompt: &[u32],
    max_new_tokens: usize,
) -> Result<(), Error> {
    let bad = |expected: String, found: String| Err(Error::Prompt { request, expected, found });
    if prompt.is_empty() {
        return bad("at least one token".into(), "none".into());
    }
    if let Some(id) = prompt.iter().find(|&&id| id as usize >= model.vocab()) {
        return bad(format!("token ids below {}", model.vocab()), id.to_string());
    }
    if prompt.len() + max_new_tokens > model.max_context() {
        let room = model.max_context().saturating_sub(max_new_tokens);
        let expected = format!(
            "at most {room} tokens (a context of {} less {max_new_tokens} new tokens)",
            model.max_context()
        );
        return bad(expected, format!("{} tokens", prompt.len()));
    }
    Ok(())
}

/// A row still being completed.
struct Row {
    /// Index within the chunk.
    index: usize,
    rng: ChaCha8Rng,
    /// Tokens of prompt and completion, kept only for the repetition penalty.
    seen: BTreeSet<u32>,
}

fn complete_chunk<M: StepModel>(
    model: &M,
    chunk: &[Request],
    first: usize,
    config: &GenerateConfig,
    observe: &mut dyn FnMut(NewToken) -> Flow,
) -> Result<Vec<Completion>, Error> {
    let (mut state, mut logits) = prefill_distinct(model, chunk, config.max_new_tokens)?;
    let indices: Vec<usize> = (first..first + chunk.len()).collect();
    let seeds: Vec<u64> = chunk.iter().map(|request| request.seed).collect();
    model.assign(&mut state, &indices, &seeds);
    let penalize = (config.repetition_penalty - 1.0).abs() > 0.0;
    let mut rows: Vec<Row> = chunk
        .iter()
        .enumerate()
        .map(|(index, request)| Row {
            index,
            rng: ChaCha8Rng::seed_from_u64(request.seed),
            seen: if penalize { request.prompt.iter().copied().collect() } else { BTreeSet::new() },
        })
        .collect();
    let mut ended: Vec<bool> = vec![false; rows.len()]; // parallel to `rows`
    let mut done: Vec<Completion> = chunk
        .iter()
        .map(|_| Completion { ids: Vec::new(), log_probs: Vec::new(), finish: Finish::Length })
        .collect();
    for step in 1..=config.max_new_tokens {
        if penalize {
            let seen: Vec<Vec<i64>> =
                rows.iter().map(|r| r.seen.iter().map(|&t| i64::from(t)).collect()).collect();
            sampling::penalize_repetition(&logits, &seen, config.repetition_penalty);
        }
        let mut rngs: Vec<ChaCha8Rng> = rows.iter().map(|r| r.rng.clone()).collect();
        let tokens = sampling::choose(&logits, &config.sampling, &mut rngs)?;
        let log_probs = config
            .log_probs
            .then(|| sampling::log_probs(&logits, &tokens, config.sampling.temperature()));
        for (slot, (row, rng)) in rows.iter_mut().zip(rngs).enumerate() {
            row.rng = rng;
            if ended[slot] {
                continue;
            }
            let id = tokens[slot];
            let completion = &mut done[row.index];
            completion.ids.push(id);
            completion.log_probs.extend(log_probs.as_ref().map(|l| l[slot]));
            let stop = config.stop_tokens.contains(&id);
            let last = stop || step == config.max_new_tokens;
            let flow = observe(NewToken { request: first + row.index, id, last });
            ended[slot] = last || flow == Flow::Stop;
            completion.finish = match flow {
                _ if stop => Finish::StopToken,
                Flow::Stop => Finish::Observer,
                Flow::Continue => Finish::Length,
            };
            if penalize {
                row.seen.insert(id);
            }
        }
        let live: Vec<usize> = (0..rows.len()).filter(|&slot| !ended[slot]).collect();
        if live.is_empty() {
            break;
        }
        let mut tokens = tokens;
        if worth_leaving(rows.len(), live.len()) {
            state = model.select(&state, &live)?;
            tokens = live.iter().map(|&slot| tokens[slot]).collect();
            let mut slot = 0;
            rows.retain(|_| {
                slot += 1;
                !ended[slot - 1]
            });
            ended = vec![false; rows.len()];
        }
        logits = model.step(&mut state, &tokens)?;
    }
    Ok(done)
}

/// Leaving copies the cache of those who stay, so a large batch waits until an eighth has ended.
fn worth_leaving(rows: usize, live: usize) -> bool {
    (rows - live) * 8 >= rows
}

/// Reads each distinct prompt once and hands its state to every row that has it.
fn prefill_distinct<M: StepModel>(
    model: &M,
    chunk: &[Request],
    max_new_tokens: usize,
) -> Result<(M::State, Tensor), Error> {
    let mut slots: HashMap<&[u32], usize> = HashMap::new();
    let mut distinct: Vec<&[u32]> = Vec::new();
    let rows: Vec<usize> = chunk
        .iter()
        .map(|request| {
            *slots.entry(&request.prompt).or_insert_with(|| {
                distinct.push(&request.prompt);
                distinct.len() - 1
            })
        })
        .collect();
    let (state, logits) = model.prefill(&distinct, max_new_tokens)?;
    if distinct.len() == chunk.len() {
        return Ok((state, logits));
    }
    let index: Vec<i64> = rows.iter().map(|&r| r as i64).collect();
    let index = Tensor::from_slice(&index).to_device(logits.device());
    Ok((model.select(&state, &rows)?, logits.index_select(0, &index)))
}
