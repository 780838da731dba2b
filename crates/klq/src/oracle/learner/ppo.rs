//! Proximal policy optimization with the divergence in the reward, as a baseline.

use serde::{Deserialize, Serialize};

use super::{Method, Parameters, Rollouts, Sample, Steps, gae, shaped_rewards, whiten};
use crate::oracle::{Error, TokenMdp};

/// What becomes of the advantages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Advantages {
    /// Nothing, so that steps vanish at the optimum.
    #[default]
    Plain,
    /// Mean 0 and standard deviation 1 over the batch, as most implementations do.
    Whitened,
}

/// PPO and its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Ppo {
    /// Largest change of the ratio that is rewarded, above 0; none for no clip.
    pub clip_coef: Option<f64>,
    /// Largest change of a value within a batch, above 0, in units of reward; none for no clip.
    pub value_clip: Option<f64>,
    /// Weight of the value loss, at least 0. With tables it changes nothing under Adam.
    pub vf_coef: f64,
    /// Whitening of advantages.
    pub advantages: Advantages,
}

impl Default for Ppo {
    /// The baseline of the paper's code, but advantages as they are.
    fn default() -> Self {
        Self {
            clip_coef: Some(0.2),
            value_clip: Some(0.2),
            vf_coef: 0.1,
            advantages: Advantages::Plain,
        }
    }
}

/// Loss of a mini-batch and what it is made of; all are means over its steps.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PpoLoss {
    /// `policy_loss + vf_coef value_loss`.
    pub loss: f64,
    /// `−min(ρ A, clip(ρ, 1 − ε, 1 + ε) A)`, `ρ = π_θ/π_old`.
    pub policy_loss: f64,
    /// `½ max((V_θ − R̂)², (clip(V_θ, V_old ± c) − R̂)²)`.
    pub value_loss: f64,
    /// ρ.
    pub ratio: f64,
    /// `(ρ − 1) − log ρ`, an estimate of `KL(π_old‖π_θ)` in nats.
    pub approx_kl: f64,
    /// Share of steps whose ratio is outside of the clip.
    pub clip_frac: f64,
}

impl Ppo {
    /// As [`Method::loss`], with its parts.
    ///
    /// # Panics
    /// If the gradient or a sample is one of another process.
    pub fn loss_parts(
        &self,
        mdp: &TokenMdp,
        parameters: &Parameters,
        samples: &[Sample],
        gradient: &mut [f64],
    ) -> PpoLoss {
        let mut row = vec![0.0; mdp.config().vocab];
        let (mut parts, weight) = (PpoLoss::default(), 1.0 / samples.len() as f64);
        let clip_coef = self.clip_coef.unwrap_or(f64::INFINITY);
        let value_clip = self.value_clip.unwrap_or(f64::INFINITY);
        for sample in samples {
            parameters.log_probs(sample.state, &mut row);
            let log_rho = row[sample.action] - sample.old_log_prob;
            let (rho, advantage) = (log_rho.exp(), sample.correction);
            let free = rho * advantage;
            let clipped = rho.clamp(1.0 - clip_coef, 1.0 + clip_coef) * advantage;
            // Where the clip is the smaller one it does not depend on the policy.
            let by_log_prob = if clipped < free { 0.0 } else { -free };

            let value = parameters.values()[sample.state];
            let near = value.clamp(sample.old_value - value_clip, sample.old_value + value_clip);
            let (error, near_error) = (value - sample.target, near - sample.target);
            let (square, by_value) = if near_error.abs() > error.abs() {
                (near_error * near_error, 0.0)
            } else {
                (error * error, error)
            };

            parts.policy_loss -= weight * free.min(clipped);
            parts.value_loss += weight * 0.5 * square;
            parts.ratio += weight * rho;
            parts.approx_kl += weight * (rho - 1.0 - log_rho);
            parts.clip_frac += weight * f64::from(u8::from((rho - 1.0).abs() > clip_coef));
            let by = [weight * by_log_prob, weight * self.vf_coef * by_value];
            parameters.add_gradient(gradient, [sample.state, sample.action], &row, by);
        }
        parts.loss = parts.policy_loss + self.vf_coef * parts.value_loss;
        parts
    }
}

impl Method for Ppo {
    fn validate(&self) -> Result<(), Error> {
        let above = |name, x: Option<f64>| {
            let held = x.is_none_or(|x| x > 0.0 && x.is_finite());
            Error::setting(name, "a finite number above 0", x.unwrap_or_default(), held)
        };
        above("clip_coef", self.clip_coef)?;
        above("value_clip", self.value_clip)?;
        let held = self.vf_coef >= 0.0 && self.vf_coef.is_finite();
        Error::setting("vf_coef", "a finite number, at least 0", self.vf_coef, held)
    }

    /// Advantages from rewards less the estimate k1 of the divergence, and `R̂ = V_old + A` before
    /// whitening.
    fn freeze(
        &self,
        mdp: &TokenMdp,
        parameters: &Parameters,
        batches: &[&Rollouts],
        gae_lambda: f64,
    ) -> Result<Vec<Sample>, Error> {
        let (gamma, tau) = (mdp.config().gamma, mdp.config().tau);
        let mut samples = Vec::new();
        for rollouts in batches {
            for row in Sample::rows(mdp, parameters, rollouts)?.chunks(rollouts.horizon) {
                let [rewards, values, log_ratios, _] = Sample::columns(mdp, row);
                let mask: Vec<bool> = row.iter().map(Option::is_some).collect();
                let steps = Steps {
                    rewards: &rewards,
                    values: &values,
                    log_ratios: &log_ratios,
                    mask: &mask,
                };
                let shaped = shaped_rewards(steps, tau)?;
                let advantages = gae(&shaped, &values, &mask, gamma, gae_lambda)?;
                for (sample, advantage) in row.iter().zip(advantages) {
                    samples.extend(sample.as_ref().map(|s| Sample {
                        correction: advantage,
                        target: s.old_value + advantage,
                        ..*s
                    }));
                }
            }
        }
        if self.advantages == Advantages::Whitened {
            let mut whitened: Vec<f64> = samples.iter().map(|s| s.correction).collect();
            whiten(&mut whitened);
            samples.iter_mut().zip(whitened).for_each(|(s, a)| s.correction = a);
        }
        Ok(samples)
    }

    fn loss(
        &self,
        mdp: &TokenMdp,
        parameters: &Parameters,
        samples: &[Sample],
        gradient: &mut [f64],
    ) -> f64 {
        self.loss_parts(mdp, parameters, samples, gradient).loss
    }
}
