//! What an iteration says of itself.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::{Algorithm, SelfCheck, rollout::Rollout};

/// Seconds of the parts of an iteration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Sampling answers.
    pub generation: f64,
    /// Rewards, and log-probabilities and values of the answers.
    pub scoring: f64,
    /// Forward and backward passes, and the optimizer.
    pub training: f64,
    /// What monitors measured of the policy, in none of the others.
    #[serde(default)]
    pub monitoring: f64,
}

/// What one iteration saw and did. Means are over answers unless said otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Iterations done, this one among them.
    pub step: u64,
    /// Score, before what a missing end costs.
    pub score: f64,
    /// Reward: the score after that.
    pub reward: f64,
    /// KL to the reference, estimated by the log-ratio of the answer (k1), in nats.
    pub kl: f64,
    /// `reward − kl_coef · kl`, what is maximized.
    pub objective: f64,
    /// Weight of the KL.
    pub kl_coef: f64,
    /// Entropy of the policy, mean over tokens, in nats.
    pub entropy: f64,
    /// Share of answers that the policy ended itself.
    pub eos_rate: f64,
    /// Tokens.
    pub length: f64,
    /// Loss, mean over tokens and over optimizer steps.
    pub loss: f64,
    /// Norm of the policy's gradient before clipping, mean over optimizer steps.
    pub grad_norm: f64,
    /// The same of the value function; 0 without one.
    pub value_grad_norm: f64,
    /// Share of tokens whose ratio was clipped, mean over optimizer steps; none without a clip.
    pub clip_frac: Option<f64>,
    /// Probability ratio to the policy that was frozen for the iteration, mean over tokens and over
    /// optimizer steps: far from 1, answers no longer stand for the policy.
    pub ratio_mean: f64,
    /// Its variance over tokens, mean over optimizer steps.
    pub ratio_variance: f64,
    /// KL from the policy that was frozen for the iteration (k3), in nats a token, at the last
    /// optimizer step.
    pub approx_kl: f64,
    /// Share of the returns' variance that values explain; none without a value function.
    pub explained_variance: Option<f64>,
    /// Learning rate of the policy.
    pub lr: f64,
    /// Optimizer steps made.
    pub updates: u64,
    /// Answers that had no score and were left out.
    pub unscored: usize,
    /// Difference between a token's log-probability in sampling and in scoring, root mean square, in
    /// nats.
    pub sampler_gap: f64,
    /// Answers a second, the whole iteration but for its monitors.
    pub episodes_per_s: f64,
    /// Where the time went.
    pub seconds: Seconds,
}

/// What an iteration leaves beside its numbers.
#[derive(Debug)]
pub struct Iteration {
    /// The numbers.
    pub report: Report,
    /// What monitors found of the policy as it is now, by name; see
    /// [`Monitors`](rl_core::monitor::Monitors).
    pub monitored: Vec<(String, f64)>,
    /// The answers that were trained on.
    pub rollouts: Vec<Rollout>,
    /// Their rewards.
    pub rewards: Vec<f64>,
    /// The check of the first iteration of this process.
    pub check: Option<SelfCheck>,
}

/// What one optimizer step saw.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Update {
    pub(super) loss: f64,
    pub(super) grad_norm: f64,
    pub(super) value_grad_norm: f64,
    pub(super) clip_frac: f64,
    pub(super) approx_kl: f64,
    /// Mean square of the log-ratio to the old policy.
    pub(super) log_ratio_square: f64,
    /// Means over tokens of ρ − 1, ρ the ratio to the old policy, and of its square.
    pub(super) off: f64,
    pub(super) off_square: f64,
}

impl Update {
    /// Takes in the log-ratios of a pass, of which each token counts `weight`.
    pub(super) fn observe(&mut self, log_ratio: &Tensor, clip_coef: Option<f64>, weight: f64) {
        let _guard = tch::no_grad_guard();
        // The policy of now is the sample's successor: k3 the other way around estimates KL(old‖new).
        let kl = rl_core::kl::k3(&-log_ratio).sum(Kind::Double).double_value(&[]);
        self.approx_kl += kl * weight;
        let off = log_ratio.expm1(); // ρ − 1
        let mean = |x: Tensor| x.sum(Kind::Double).double_value(&[]) * weight;
        self.log_ratio_square += mean(log_ratio.square());
        self.off_square += mean(off.square());
        if let Some(clip) = clip_coef {
            self.clip_frac += mean(off.abs().gt(clip));
        }
        self.off += mean(off);
    }
}

#[derive(Debug, Default)]
pub(super) struct Updates {
    pub(super) count: u64,
    pub(super) loss: f64,
    pub(super) grad_norm: f64,
    pub(super) value_grad_norm: f64,
    pub(super) clip_frac: f64,
    pub(super) approx_kl: f64,
    pub(super) ratio_mean: f64,
    pub(super) ratio_variance: f64,
    pub(super) first_ratio_gap: f64,
    pub(super) lr_factor: f64,
}

impl Updates {
    /// Share of tokens whose ratio was clipped; none where the algorithm does not.
    pub(super) fn clip_frac(&self, algorithm: &Algorithm) -> Option<f64> {
        algorithm.clip_coef().map(|_| self.clip_frac / self.count as f64)
    }

    pub(super) fn add(&mut self, update: Update) {
        if self.count == 0 {
            self.first_ratio_gap = update.log_ratio_square.sqrt();
        }
        self.count += 1;
        self.loss += update.loss;
        self.grad_norm += update.grad_norm;
        self.value_grad_norm += update.value_grad_norm;
        self.clip_frac += update.clip_frac;
        self.approx_kl = update.approx_kl;
        self.ratio_mean += 1.0 + update.off;
        self.ratio_variance += update.off_square - update.off.powi(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens of two passes count as if they had been in one.
    #[test]
    fn what_a_step_sees_of_ratios() {
        let log_ratios = [0.3_f64, -0.1, 0.0, -0.6, 0.15];
        let mut update = Update::default();
        for pass in [&log_ratios[..2], &log_ratios[2..]] {
            update.observe(&Tensor::from_slice(pass), Some(0.2), 0.2);
        }
        let mut updates = Updates::default();
        updates.add(update);
        let ratios = log_ratios.map(f64::exp);
        let mean = |of: &dyn Fn(f64) -> f64| ratios.iter().map(|&r| of(r)).sum::<f64>() / 5.0;
        let center = mean(&|r| r);
        approx::assert_abs_diff_eq!(updates.ratio_mean, center, epsilon = 1e-12);
        let variance = mean(&|r| (r - center).powi(2));
        approx::assert_abs_diff_eq!(updates.ratio_variance, variance, epsilon = 1e-12);
        let kl = mean(&|r| r - 1.0 - r.ln());
        approx::assert_abs_diff_eq!(updates.approx_kl, kl, epsilon = 1e-12);
        let gap = mean(&|r| r.ln().powi(2)).sqrt();
        approx::assert_abs_diff_eq!(updates.first_ratio_gap, gap, epsilon = 1e-12);
        let ppo = Algorithm::Ppo(crate::algorithm::PpoConfig::default());
        approx::assert_abs_diff_eq!(updates.clip_frac(&ppo).unwrap(), 0.4, epsilon = 1e-12);
        updates.add(Update { clip_frac: 0.2, ..Update::default() });
        approx::assert_abs_diff_eq!(updates.clip_frac(&ppo).unwrap(), 0.3, epsilon = 1e-12);
        // A later step of another size does not move what the first one was.
        updates.add(Update { log_ratio_square: 9.0, ..Update::default() });
        approx::assert_abs_diff_eq!(updates.first_ratio_gap, gap, epsilon = 1e-12);
    }
}
