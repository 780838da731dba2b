//! From logits to one token a row.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::Error;

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// The most probable token; of equal ones the first.
    #[default]
    Greedy,
    /// A draw from the tempered and truncated distribution.
    Random(Truncation),
}

/// A tempered distribution and what is cut from its tail.
///
/// Applied in the order temperature, top-k, top-p, min-p, each to what the one before left over,
/// renormalized.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Truncation {
    /// Logits are divided by this; above 0.
    pub temperature: f64,
    /// Keep the `k` most probable tokens.
    pub top_k: Option<usize>,
    /// Keep the fewest most probable tokens whose probabilities reach this sum, in (0, 1].
    pub top_p: Option<f64>,
    /// Keep tokens at least this fraction as probable as the best one, in [0, 1].
    pub min_p: Option<f64>,
}

impl Default for Truncation {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: None, top_p: None, min_p: None }
    }
}

impl Truncation {
    fn is_full(&self) -> bool {
        self.top_k.is_none() && self.top_p.is_none() && self.min_p.is_none()
    }
}

impl Sampling {
    /// Checks ranges.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the parameter.
    pub fn validate(&self) -> Result<(), Error> {
        let Self::Random(t) = self else { return Ok(()) };
        let bad = |name: &str, expected: &str, found: String| {
            Err(Error::Setting { name: name.into(), expected: expected.into(), found })
        };
        if !(t.temperature.is_finite() && t.temperature > 0.0) {
            let expected = "a positive number (greedy decoding is a mode of its own)";
            return bad("temperature", expected, t.temperature.to_string());
        }
        match (t.top_k, t.top_p, t.min_p) {
            (Some(0), ..) => bad("top_k", "at least 1", "0".into()),
            (_, Some(p), _) if !(p > 0.0 && p <= 1.0) => {
                bad("top_p", "a number in (0, 1]", p.to_string())
            }
            (.., Some(p)) if !(0.0..=1.0).contains(&p) => {
                bad("min_p", "a number in [0, 1]", p.to_string())
            }
            _ => Ok(()),
        }
    }

    /// Temperature of the distribution whose log-probabilities are reported.
    pub fn temperature(&self) -> f64 {
        match self {
            Self::Greedy => 1.0,
            Self::Random(t) => t.temperature,
        }
    }
}

/// One token a row, and the greatest logit of each row for the check that logits are finite.
///
/// # Shapes
/// - `logits`: `[rows, vocab]`, f32
/// - `rngs`: one a row; each draw takes exactly one number from its row's stream
///
/// # Errors
/// [`Error::NotFinite`] if a row holds NaN or nothing above −∞.
pub(crate) fn choose(
    logits: &Tensor,
    sampling: &Sampling,
    rngs: &mut [ChaCha8Rng],
) -> Result<Vec<u32>, Error> {
    let (best, argmax) = logits.max_dim(-1, false);
    let best = to_vec(&best);
    if let Some(row) = best.iter().position(|v| !v.is_finite()) {
        return Err(Error::NotFinite {
            what: format!("the greatest logit of row {row}"),
            found: best[row].to_string(),
        });
    }
    let Sampling::Random(truncation) = sampling else {
        let ids: Vec<i64> = Vec::try_from(argmax).unwrap_or_default();
        return Ok(ids.into_iter().map(|id| id as u32).collect());
    };
    let probs = (logits / truncation.temperature).softmax(-1, Kind::Float); // [rows, vocab]
    let vocab = probs.size()[1] as usize;
    let flat = to_vec(&probs.flatten(0, -1));
    Ok(flat.chunks(vocab).zip(rngs).map(|(p, rng)| draw(p, truncation, rng.random())).collect())
}

/// The token at the quantile `u` in [0, 1) of the truncated distribution.
fn draw(probs: &[f32], truncation: &Truncation, u: f64) -> u32 {
    if truncation.is_full() {
        return quantile(probs.iter().enumerate().map(|(i, &p)| (i as u32, p)), u);
    }
    quantile(truncate(probs, truncation).into_iter(), u)
}

/// Walks the (unnormalized) distribution to the fraction `u` of its mass.
fn quantile(entries: impl Iterator<Item = (u32, f32)> + Clone, u: f64) -> u32 {
    let total: f64 = entries.clone().map(|(_, p)| f64::from(p)).sum();
    let target = u * total;
    let (mut mass, mut last) = (0.0, 0);
    for (id, p) in entries {
        if p > 0.0 {
            mass += f64::from(p);
            last = id;
            if mass > target {
                break;
            }
        }
    }
    last
}

/// What is left of a distribution, most probable first.
pub(crate) fn truncate(probs: &[f32], truncation: &Truncation) -> Vec<(u32, f32)> {
    // A token less probable than this has, with all that are below it, too little mass to be needed
    // for `top_p`, so that only the few above it must be sorted.
    let floor = truncation.top_p.map_or(0.0, |p| (1.0 - p) / probs.len() as f64) as f32 * 0.99;
    let mut kept: Vec<(u32, f32)> = probs
        .iter()
        .enumerate()
        .filter(|&(_, &p)| p >= floor && p > 0.0)
        .map(|(i, &p)| (i as u32, p))
        .collect();
    let descending = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    let mut mass = 1.0;
    if let Some(k) = truncation.top_k
        && k < kept.len()
    {
        kept.select_nth_unstable_by(k - 1, descending);
        kept.truncate(k);
        mass = kept.iter().map(|&(_, p)| f64::from(p)).sum();
    }
    kept.sort_unstable_by(descending);
    if let Some(top_p) = truncation.top_p {
        let mut before = 0.0;
        let enough = kept.iter().position(|&(_, p)| {
            before += f64::from(p);
            before >= top_p * mass
        });
        kept.truncate(enough.map_or(kept.len(), |i| i + 1));
    }
    if let (Some(min_p), Some(&(_, best))) = (truncation.min_p, kept.first()) {
        kept.retain(|&(_, p)| f64::from(p) >= min_p * f64::from(best));
    }
    kept
}

/// Divides positive logits of tokens that have occurred by `penalty`, multiplies negative ones.
///
/// Source: CTRL, arXiv 1909.05858, §4.1, in the form that leaves a logit's sign.
pub(crate) fn penalize_repetition(logits: &Tensor, seen: &[Vec<i64>], penalty: f64) {
    for (row, ids) in seen.iter().enumerate() {
        let row = logits.get(row as i64);
        let index = Tensor::from_slice(ids).to_device(row.device());
        let old = row.index_select(0, &index);
        let new = (&old * penalty).where_self(&old.lt(0.0), &(&old / penalty));
        let _ = row.shallow_clone().index_copy_(0, &index, &new);
    }
}

/// Log-probabilities of the chosen tokens under the tempered, untruncated distribution.
pub(crate) fn log_probs(logits: &Tensor, tokens: &[u32], temperature: f64) -> Vec<f32> {
    let logits = logits / temperature;
    let index: Vec<i64> = tokens.iter().map(|&t| i64::from(t)).collect();
    let index = Tensor::from_slice(&index).unsqueeze(1).to_device(logits.device());
    let picked = logits.gather(1, &index, false).squeeze_dim(1);
    to_vec(&(picked - logits.logsumexp([-1], false)))
}

fn to_vec(t: &Tensor) -> Vec<f32> {
    let mut out = vec![0_f32; t.numel()];
    let len = out.len();
    t.to_device(tch::Device::Cpu).to_kind(Kind::Float).contiguous().copy_data(&mut out, len);
    out
}
