//! Losses per token, and what to watch beside them.

use serde::Serialize;

use super::masked;
use crate::{MathError, check};

/// Largest log-ratio that is exponentiated: e^20 is 5e8.
pub const MAX_LOG_RATIO: f64 = 20.0;

/// How far a policy has moved from the one that acted, over the tokens that count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RatioStats {
    /// Mean ratio; 1 in expectation while the tokens are the old policy's.
    pub mean: f64,
    /// Its unbiased variance; 0 for a single token.
    pub variance: f64,
    /// The largest ratio.
    pub max: f64,
    /// Share of tokens whose ratio is farther than ε from 1.
    pub clip_frac: f64,
    /// Estimate of the old policy's KL from the new, at least 0, nats per token.
    pub approx_kl: f64,
}

/// The policy-gradient loss of each token: `L_t = −A_t log π(a_t)`.
///
/// # Errors
/// [`MathError`] for slices of other lengths.
///
/// # Examples
/// ```
/// let loss = rl_core::reference::losses::policy_gradient(&[-0.5, -2.0], &[2.0, -1.0])?;
/// assert_eq!(loss, [1.0, -2.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn policy_gradient(log_probs: &[f64], advantages: &[f64]) -> Result<Vec<f64>, MathError> {
    check::length("advantages", advantages.len(), log_probs.len())?;
    Ok(log_probs.iter().zip(advantages).map(|(l, a)| -a * l).collect())
}

/// PPO's clipped policy loss of each token:
/// `L_t = max(−A_t ρ_t, −A_t clip(ρ_t, 1 − ε, 1 + ε))`, the log-ratio cut at [`MAX_LOG_RATIO`].
///
/// # Errors
/// [`MathError`] for slices of other lengths, and for an ε that is not positive.
///
/// # Examples
/// ```
/// let twice = [2_f64.ln(); 2];
/// let loss = rl_core::reference::losses::ppo_policy(&twice, &[0.0; 2], &[1.0, -1.0], 0.25)?;
/// assert_eq!(loss, [-1.25, 2.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn ppo_policy(
    log_probs: &[f64],
    old_log_probs: &[f64],
    advantages: &[f64],
    clip_coef: f64,
) -> Result<Vec<f64>, MathError> {
    check::length("advantages", advantages.len(), log_probs.len())?;
    check::positive("clip_coef", clip_coef)?;
    let log_ratios = log_ratios(log_probs, old_log_probs)?;
    let each = |(log_ratio, a): (f64, &f64)| {
        let ratio = log_ratio.exp();
        let clipped = ratio.clamp(1.0 - clip_coef, 1.0 + clip_coef);
        (-a * ratio).max(-a * clipped)
    };
    Ok(log_ratios.into_iter().zip(advantages).map(each).collect())
}

/// PPO's clipped policy loss, at most −c times the advantage where that is negative.
///
/// # Errors
/// As for [`ppo_policy`], and for a c below 1.
///
/// # Examples
/// ```
/// use rl_core::reference::losses::ppo_policy_dual_clip;
///
/// let loss = ppo_policy_dual_clip(&[8_f64.ln(); 2], &[0.0; 2], &[1.0, -1.0], 0.25, 3.0)?;
/// assert_eq!(loss, [-1.25, 3.0]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn ppo_policy_dual_clip(
    log_probs: &[f64],
    old_log_probs: &[f64],
    advantages: &[f64],
    clip_coef: f64,
    dual_clip: f64,
) -> Result<Vec<f64>, MathError> {
    let losses = ppo_policy(log_probs, old_log_probs, advantages, clip_coef)?;
    check::at_least_one("dual_clip", dual_clip)?;
    let each = |(loss, &a): (f64, &f64)| if a < 0.0 { loss.min(-dual_clip * a) } else { loss };
    Ok(losses.into_iter().zip(advantages).map(each).collect())
}

/// PPO's value loss of each step: `½ (V − R)²`, or half the larger of that square and the one of V
/// held within ε of its old value.
///
/// # Errors
/// [`MathError`] for slices of other lengths, and for an ε that is not positive.
///
/// # Examples
/// ```
/// use rl_core::reference::losses::ppo_value;
///
/// assert_eq!(ppo_value(&[1.0], &[0.0], &[2.0], None)?, [0.5]);
/// assert_eq!(ppo_value(&[1.0], &[0.0], &[2.0], Some(0.5))?, [1.125]);
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn ppo_value(
    values: &[f64],
    old_values: &[f64],
    returns: &[f64],
    clip_coef: Option<f64>,
) -> Result<Vec<f64>, MathError> {
    check::length("old_values", old_values.len(), values.len())?;
    check::length("returns", returns.len(), values.len())?;
    clip_coef.map_or(Ok(()), |clip| check::positive("clip_coef", clip))?;
    let each = |((&v, &old), &r): ((&f64, &f64), &f64)| {
        let free = (v - r) * (v - r);
        let clipped = clip_coef.map_or(v, |clip| v.clamp(old - clip, old + clip)) - r;
        free.max(clipped * clipped) / 2.0
    };
    Ok(values.iter().zip(old_values).zip(returns).map(each).collect())
}

/// How far the policy has moved from the one that acted.
///
/// # Errors
/// [`MathError`] for slices of other lengths, a mask that is true nowhere, and an ε that is not
/// positive.
///
/// # Examples
/// ```
/// let twice = [2_f64.ln(), 0.0];
/// let stats = rl_core::reference::losses::ratio_stats(&twice, &[0.0; 2], &[true; 2], 0.2)?;
/// assert_eq!((stats.mean, stats.max, stats.clip_frac), (1.5, 2.0, 0.5));
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn ratio_stats(
    log_probs: &[f64],
    old_log_probs: &[f64],
    mask: &[bool],
    clip_coef: f64,
) -> Result<RatioStats, MathError> {
    check::positive("clip_coef", clip_coef)?;
    check::length("mask", mask.len(), log_probs.len())?;
    let log_ratios = log_ratios(log_probs, old_log_probs)?;
    let each = |f: &dyn Fn(f64) -> f64| log_ratios.iter().map(|&l| f(l)).collect::<Vec<f64>>();
    let ratios = each(&f64::exp);
    let outside = each(&|l| f64::from(l.exp_m1().abs() > clip_coef));
    let kept = masked::kept(&ratios, mask, 1)?;
    Ok(RatioStats {
        mean: masked::mean(&ratios, mask)?,
        variance: if kept.len() > 1 { masked::var(&ratios, mask)? } else { 0.0 },
        max: kept.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        clip_frac: masked::mean(&outside, mask)?,
        approx_kl: masked::mean(&each(&|l| l.exp_m1() - l), mask)?.max(0.0),
    })
}

/// The share of the returns' variance that the values explain: `1 − var(R − V) / var R`; `None` if
/// fewer than two count or the returns do not vary.
///
/// # Errors
/// [`MathError`] for slices of other lengths.
///
/// # Examples
/// ```
/// use rl_core::reference::losses::explained_variance;
///
/// let [values, returns] = [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]];
/// assert_eq!(explained_variance(&values, &returns, &[true; 3])?, Some(0.75));
/// # Ok::<(), rl_core::MathError>(())
/// ```
pub fn explained_variance(
    values: &[f64],
    returns: &[f64],
    mask: &[bool],
) -> Result<Option<f64>, MathError> {
    check::length("returns", returns.len(), values.len())?;
    check::length("mask", mask.len(), values.len())?;
    if masked::count(mask) < 2.0 {
        return Ok(None);
    }
    let errors: Vec<f64> = returns.iter().zip(values).map(|(r, v)| r - v).collect();
    let total = masked::var(returns, mask)?;
    Ok((total > 0.0).then_some(1.0 - masked::var(&errors, mask)? / total))
}

/// ℓ of each token, cut at [`MAX_LOG_RATIO`].
fn log_ratios(log_probs: &[f64], old_log_probs: &[f64]) -> Result<Vec<f64>, MathError> {
    check::length("old_log_probs", old_log_probs.len(), log_probs.len())?;
    let each = |(new, old): (&f64, &f64)| (new - old).min(MAX_LOG_RATIO);
    Ok(log_probs.iter().zip(old_log_probs).map(each).collect())
}
