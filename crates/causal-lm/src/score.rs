//! Log-probabilities of a continuation given a context.
//!
//! Span boundaries are token boundaries by construction: context and continuation are given as ids
//! and never joined as text. Logits are made for a few positions at a time, so that nothing of the
//! size batch × length × vocabulary is ever held.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tch::{IndexOp as _, Kind, Tensor};

use crate::{CausalLm, Error, cache::KvCache, model::Layout};

/// A continuation whose tokens are scored, and what stands before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Tokens before the continuation; at least one.
    pub context: Vec<u32>,
    /// Tokens to score; may be empty.
    pub continuation: Vec<u32>,
}

impl Span {
    /// All tokens of a text from the second on, the first being context.
    pub fn of_text(ids: &[u32]) -> Self {
        let (first, rest) = ids.split_at(ids.len().min(1));
        Self { context: first.to_vec(), continuation: rest.to_vec() }
    }

    fn len(&self) -> usize {
        self.context.len() + self.continuation.len()
    }
}

/// How much is computed at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScoreConfig {
    /// Tokens of a batch, padding counted.
    pub batch_tokens: usize,
    /// Positions whose logits are held at once.
    pub logit_rows: usize,
}

impl Default for ScoreConfig {
    fn default() -> Self {
        Self { batch_tokens: 4096, logit_rows: 256 }
    }
}

/// Natural log-probabilities of every continuation's tokens, in the order of `spans`.
///
/// Spans are batched by length; those with the same context of more than one token have it
/// computed once.
///
/// # Errors
/// [`Error::Prompt`] for an empty context, a token outside the vocabulary or a span longer than the
/// context window; [`Error::NotFinite`] if the model's logits are NaN.
pub fn score(lm: &CausalLm, spans: &[Span], config: &ScoreConfig) -> Result<Vec<Vec<f32>>, Error> {
    for (i, span) in spans.iter().enumerate() {
        check(lm, i, span)?;
    }
    let _guard = tch::no_grad_guard();
    let mut out: Vec<Vec<f32>> = vec![Vec::new(); spans.len()];
    let (shared, mut alone) = group_by_context(spans);
    for group in shared {
        for (i, scores) in group.iter().zip(score_group(lm, spans, &group, config)?) {
            out[*i] = scores;
        }
    }
    alone.sort_by_key(|&i| spans[i].len());
    let mut rest = &alone[..];
    while !rest.is_empty() {
        // Lengths ascend: the longest of a batch is its last.
        let fit = (1..=rest.len())
            .take_while(|&n| n == 1 || n * spans[rest[n - 1]].len() <= config.batch_tokens)
            .last()
            .unwrap_or(1);
        let (batch, later) = rest.split_at(fit);
        for (i, scores) in batch.iter().zip(score_batch(lm, spans, batch, config)?) {
            out[*i] = scores;
        }
        rest = later;
    }
    Ok(out)
}

fn check(lm: &CausalLm, request: usize, span: &Span) -> Result<(), Error> {
    let bad = |expected: String, found: String| Err(Error::Prompt { request, expected, found });
    let vocab = lm.config().vocab;
    if span.context.is_empty() {
        return bad("at least one token before the first one scored".into(), "none".into());
    }
    if let Some(id) = span.context.iter().chain(&span.continuation).find(|&&t| t as usize >= vocab)
    {
        return bad(format!("token ids below {vocab}"), id.to_string());
    }
    if span.len() > lm.config().max_context {
        let expected = format!("at most {} tokens (the model's context)", lm.config().max_context);
        return bad(expected, format!("{} tokens", span.len()));
    }
    Ok(())
}

/// Groups that share a context worth sharing, and the spans that stand alone.
fn group_by_context(spans: &[Span]) -> (Vec<Vec<usize>>, Vec<usize>) {
    let mut slots: HashMap<&[u32], usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (i, span) in spans.iter().enumerate().filter(|(_, s)| !s.continuation.is_empty()) {
        let slot = *slots.entry(&span.context).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[slot].push(i);
    }
    let (shared, alone): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|g| g.len() > 1 && spans[g[0]].context.len() > 1);
    (shared, alone.into_iter().flatten().collect())
}

/// Spans of one context: it is read once, up to its last token; that token and each continuation
/// follow as a right-padded batch.
fn score_group(
    lm: &CausalLm,
    spans: &[Span],
    group: &[usize],
    config: &ScoreConfig,
) -> Result<Vec<Vec<f32>>, Error> {
    let context = &spans[group[0]].context;
    let (last, before) = (context[context.len() - 1], &context[..context.len() - 1]);
    let longest = group.iter().map(|&i| spans[i].continuation.len()).max().unwrap_or(0);
    let capacity = before.len() + longest;
    let mut prefix = KvCache::new(lm.config(), vec![0], capacity, lm.kind(), lm.device())?;
    let ids: Vec<i64> = before.iter().map(|&t| i64::from(t)).collect();
    let ids = Tensor::from_slice(&ids).unsqueeze(0).to_device(lm.device());
    let _ = lm.hidden_cached(&ids, &mut prefix)?;
    let mut out = Vec::with_capacity(group.len());
    for batch in group.chunks((config.batch_tokens / capacity).max(1)) {
        let rows: Vec<Vec<u32>> = batch
            .iter()
            .map(|&i| {
                let continuation = &spans[i].continuation;
                std::iter::once(last)
                    .chain(continuation[..continuation.len() - 1].iter().copied())
                    .collect()
            })
            .collect();
        let mut cache = prefix.select(&vec![0; batch.len()]);
        let hidden = lm.hidden_cached(&padded(&rows, lm), &mut cache)?;
        let wanted: Vec<Wanted<'_>> =
            batch.iter().map(|&i| Wanted { from: 0, targets: &spans[i].continuation }).collect();
        out.extend(pick(lm, &hidden, &wanted, config.logit_rows)?);
    }
    Ok(out)
}

/// Spans of different contexts as one right-padded batch.
fn score_batch(
    lm: &CausalLm,
    spans: &[Span],
    batch: &[usize],
    config: &ScoreConfig,
) -> Result<Vec<Vec<f32>>, Error> {
    let rows: Vec<Vec<u32>> = batch
        .iter()
        .map(|&i| spans[i].context.iter().chain(&spans[i].continuation).copied().collect())
        .collect();
    let layout = Layout::RightPadded(rows.iter().map(Vec::len).collect());
    let hidden = lm.hidden(&padded(&rows, lm), &layout)?;
    let wanted: Vec<Wanted<'_>> = batch
        .iter()
        .map(|&i| Wanted { from: spans[i].context.len() - 1, targets: &spans[i].continuation })
        .collect();
    pick(lm, &hidden, &wanted, config.logit_rows)
}

/// Rows of ids, padded on the right.
fn padded(rows: &[Vec<u32>], lm: &CausalLm) -> Tensor {
    let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
    let ids: Vec<i64> = rows
        .iter()
        .flat_map(|row| {
            let padding = std::iter::repeat_n(0, longest - row.len());
            row.iter().map(|&t| i64::from(t)).chain(padding)
        })
        .collect();
    Tensor::from_slice(&ids).view([rows.len() as i64, longest as i64]).to_device(lm.device())
}

/// The tokens predicted from position `from` of a row on.
struct Wanted<'a> {
    from: usize,
    targets: &'a [u32],
}

/// Log-probabilities of the wanted tokens, a chunk of positions at a time.
fn pick(
    lm: &CausalLm,
    hidden: &Tensor,
    wanted: &[Wanted<'_>],
    logit_rows: usize,
) -> Result<Vec<Vec<f32>>, Error> {
    let states: Vec<Tensor> = wanted
        .iter()
        .enumerate()
        .map(|(row, w)| hidden.i(row as i64).narrow(0, w.from as i64, w.targets.len() as i64))
        .collect();
    let states = Tensor::cat(&states, 0); // [wanted tokens, hidden]
    let targets: Vec<i64> =
        wanted.iter().flat_map(|w| w.targets.iter().map(|&t| i64::from(t))).collect();
    let targets = Tensor::from_slice(&targets).to_device(hidden.device());
    let [flat] = in_chunks(lm, &states, &targets, 1.0, logit_rows, |logits, targets| {
        [token_log_probs(&logits, targets)]
    });
    let flat: Vec<f32> = Vec::try_from(flat).unwrap_or_default();
    if let Some(at) = flat.iter().position(|v| v.is_nan()) {
        return Err(Error::NotFinite {
            what: format!("the log-probability of scored token {at}"),
            found: "NaN".into(),
        });
    }
    let mut flat = flat.into_iter();
    Ok(wanted.iter().map(|w| flat.by_ref().take(w.targets.len()).collect()).collect())
}

/// What the model says of given next tokens.
#[derive(Debug)]
pub struct Predictions {
    /// Log-probabilities of the tokens, `[n]`, f32.
    pub log_probs: Tensor,
    /// Entropies `−Σ p log p` of the distributions they come from, in nats, `[n]`, f32.
    pub entropy: Tensor,
}

/// Log-probabilities of `targets` and entropies under `softmax(logits / temperature)`, a chunk of
/// positions at a time and without gradient.
///
/// # Shapes
/// - `states`: `[n, hidden]`, after the final norm
/// - `targets`: `[n]`, integers
pub fn predictions(
    lm: &CausalLm,
    states: &Tensor,
    targets: &Tensor,
    temperature: f64,
    logit_rows: usize,
) -> Predictions {
    let [log_probs, entropy] =
        in_chunks(lm, states, targets, temperature, logit_rows, |logits, targets| {
            let log_softmax = logits.log_softmax(-1, Kind::Float);
            let log_probs = log_softmax.gather(1, &targets.unsqueeze(1), false).squeeze_dim(1);
            let negative = log_softmax.exp().g_mul_(&log_softmax);
            [log_probs, -negative.sum_dim_intlist(-1, false, Kind::Float)]
        });
    Predictions { log_probs, entropy }
}

/// The log-probabilities of [`predictions`] alone, the same to the bit.
pub fn log_probs(
    lm: &CausalLm,
    states: &Tensor,
    targets: &Tensor,
    temperature: f64,
    logit_rows: usize,
) -> Tensor {
    let [log_probs] = in_chunks(lm, states, targets, temperature, logit_rows, |logits, targets| {
        let log_softmax = logits.log_softmax(-1, Kind::Float);
        [log_softmax.gather(1, &targets.unsqueeze(1), false).squeeze_dim(1)]
    });
    log_probs
}

/// What `of_chunk` says of the scaled logits and the targets of each chunk of positions.
fn in_chunks<const N: usize>(
    lm: &CausalLm,
    states: &Tensor,
    targets: &Tensor,
    temperature: f64,
    logit_rows: usize,
    of_chunk: impl Fn(Tensor, &Tensor) -> [Tensor; N],
) -> [Tensor; N] {
    let _guard = tch::no_grad_guard();
    let none = || vec![Tensor::zeros([0], (Kind::Float, states.device()))];
    let mut all: [Vec<Tensor>; N] = std::array::from_fn(|_| none());
    let chunk = logit_rows.max(1) as i64;
    for (states, targets) in states.split(chunk, 0).iter().zip(targets.split(chunk, 0)) {
        let mut logits = lm.logits(states);
        if (temperature - 1.0).abs() > 0.0 {
            logits /= temperature;
        }
        for (all, part) in all.iter_mut().zip(of_chunk(logits, &targets)) {
            all.push(part);
        }
    }
    all.map(|parts| Tensor::cat(&parts, 0))
}

/// `logit − logsumexp` of each row's target.
///
/// # Shapes
/// - `logits`: `[rows, vocab]`, f32
/// - `targets`: `[rows]`
/// - returns: `[rows]`
fn token_log_probs(logits: &Tensor, targets: &Tensor) -> Tensor {
    let picked = logits.gather(1, &targets.unsqueeze(1), false).squeeze_dim(1);
    (picked - logits.logsumexp([-1], false)).to_kind(Kind::Float)
}
