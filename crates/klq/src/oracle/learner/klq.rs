//! KL-regularised Q-learning: one squared error on `Q_θ = τ log(π_θ/π_b) + V_θ`.

use serde::{Deserialize, Serialize};

use super::{
    Method, Parameters, Rollouts, Sample, Steps, corrections, retrace_corrections,
    targets::{self, moments},
};
use crate::oracle::{Error, TokenMdp, operators};

/// What becomes of the corrections Δ before they enter the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Corrections {
    /// Nothing: the paper's method.
    #[default]
    Plain,
    /// Mean 0 and standard deviation 1 over the batch, as PPO does with advantages. The fixed point moves
    /// with it: at the optimum Δ vanishes, and whitening blows up what noise is left.
    Whitened,
}

/// Unit in which the error is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TargetScale {
    /// Units of reward: the paper's method.
    #[default]
    Reward,
    /// Standard deviations of the batch's targets: prediction and target are both divided by it, which
    /// leaves the minimum where it is.
    TargetStd,
}

/// How an error is punished.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Penalty {
    /// `e² / 2`: the paper's method.
    #[default]
    Squared,
    /// `e² / 2` up to `delta`, beyond it `delta (|e| − delta / 2)`.
    Huber {
        /// Where it turns straight, above 0, in the unit of [`TargetScale`].
        delta: f64,
    },
}

impl Penalty {
    /// Value and derivative at an error.
    fn at(self, error: f64) -> [f64; 2] {
        match self {
            Self::Huber { delta } if error.abs() > delta => {
                [delta * (error.abs() - 0.5 * delta), delta * error.signum()]
            }
            _ => [0.5 * error * error, error],
        }
    }
}

/// How far the prediction may move from the frozen one within a batch, as in PPO's value clip: the
/// larger of the penalties with and without the clip counts.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Clip {
    /// As far as the regression takes it: the paper's method.
    #[default]
    Off,
    /// `Q_θ` stays within `by` of `Q_old`.
    Q {
        /// Units of reward, above 0.
        by: f64,
    },
    /// `log(π_θ/π_b)` stays within `by` of `log(π_old/π_b)`; the value moves freely.
    Ratio {
        /// Nats, above 0.
        by: f64,
    },
    /// Both: first the log-ratio, then Q.
    Both {
        /// Units of reward, above 0.
        q: f64,
        /// Nats, above 0.
        ratio: f64,
    },
}

impl Clip {
    /// Bounds on Q and on the log-ratio.
    fn bounds(self) -> [f64; 2] {
        match self {
            Self::Off => [f64::INFINITY; 2],
            Self::Q { by } => [by, f64::INFINITY],
            Self::Ratio { by } => [f64::INFINITY, by],
            Self::Both { q, ratio } => [q, ratio],
        }
    }
}

/// Older batches that are trained on again, with targets made anew by Retrace.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Number of older batches, at least 1.
    pub batches: usize,
    /// Largest trace, above 0; Retrace takes 1.
    pub trace_clip: f64,
}

/// KLQ and its options; the default is the paper's method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Klq {
    /// Share α of the correction that a target takes, above 0, at most 1.
    pub alpha: f64,
    /// Whitening of corrections.
    pub corrections: Corrections,
    /// Unit of the error.
    pub target_scale: TargetScale,
    /// Form of the loss.
    pub penalty: Penalty,
    /// Bounds on the change within a batch.
    pub clip: Clip,
    /// Training on older batches; none is the paper's method.
    pub replay: Option<Replay>,
}

impl Default for Klq {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            corrections: Corrections::Plain,
            target_scale: TargetScale::Reward,
            penalty: Penalty::Squared,
            clip: Clip::Off,
            replay: None,
        }
    }
}

impl Klq {
    /// Freezes one batch: [`Sample`] for every valid step, with `Ĝ = Q_old + α Δ` as its target.
    fn freeze_batch(
        &self,
        mdp: &TokenMdp,
        parameters: &Parameters,
        rollouts: &Rollouts,
        gae_lambda: f64,
    ) -> Result<Vec<Sample>, Error> {
        let (gamma, tau) = (mdp.config().gamma, mdp.config().tau);
        let frozen = Sample::rows(mdp, parameters, rollouts)?;
        let mut samples = Vec::with_capacity(frozen.len());
        for row in frozen.chunks(rollouts.horizon) {
            let [rewards, values, log_ratios, log_rhos] = Sample::columns(mdp, row);
            let mask: Vec<bool> = row.iter().map(Option::is_some).collect();
            let steps =
                Steps { rewards: &rewards, values: &values, log_ratios: &log_ratios, mask: &mask };
            let deltas = match self.replay {
                None => corrections(steps, gamma, gae_lambda, tau)?,
                Some(Replay { trace_clip, .. }) => {
                    retrace_corrections(steps, &log_rhos, trace_clip, gamma, gae_lambda, tau)?
                }
            };
            let targets = targets::targets(steps, &deltas, self.alpha, tau)?;
            for (t, sample) in row.iter().enumerate() {
                let frozen =
                    |s: &Sample| Sample { correction: deltas[t], target: targets[t], ..*s };
                samples.extend(sample.as_ref().map(frozen));
            }
        }
        Ok(samples)
    }
}

impl Method for Klq {
    fn validate(&self) -> Result<(), Error> {
        operators::check_alpha(self.alpha)?;
        let above = |name, x: f64| {
            Error::setting(name, "a finite number above 0", x, x > 0.0 && x.is_finite())
        };
        if let Penalty::Huber { delta } = self.penalty {
            above("penalty.huber.delta", delta)?;
        }
        match self.clip {
            Clip::Off => {}
            Clip::Q { by } => above("clip.q.by", by)?,
            Clip::Ratio { by } => above("clip.ratio.by", by)?,
            Clip::Both { q, ratio } => {
                above("clip.both.q", q)?;
                above("clip.both.ratio", ratio)?;
            }
        }
        if let Some(Replay { batches, trace_clip }) = self.replay {
            Error::setting("replay.batches", "at least 1", batches, batches >= 1)?;
            above("replay.trace_clip", trace_clip)?;
        }
        Ok(())
    }

    fn older_batches(&self) -> usize {
        self.replay.map_or(0, |replay| replay.batches)
    }

    fn freeze(
        &self,
        mdp: &TokenMdp,
        parameters: &Parameters,
        batches: &[&Rollouts],
        gae_lambda: f64,
    ) -> Result<Vec<Sample>, Error> {
        let mut samples = Vec::new();
        for rollouts in batches {
            samples.extend(self.freeze_batch(mdp, parameters, rollouts, gae_lambda)?);
        }
        if self.corrections == Corrections::Whitened {
            let mut whitened: Vec<f64> = samples.iter().map(|s| s.correction).collect();
            targets::whiten(&mut whitened);
            for (sample, delta) in samples.iter_mut().zip(whitened) {
                sample.target += self.alpha * (delta - sample.correction);
                sample.correction = delta;
            }
        }
        if self.target_scale == TargetScale::TargetStd {
            let targets: Vec<f64> = samples.iter().map(|s| s.target).collect();
            let scale = moments(&targets).map_or(1.0, |(_, std)| 1.0 / (std + 1e-8));
            for sample in &mut samples {
                sample.error_scale = scale;
            }
        }
        Ok(samples)
    }

    /// `mean ½ (Q_θ − Ĝ)²` (6), or what the options make of it.
    fn loss(
        &self,
        mdp: &TokenMdp,
        parameters: &Parameters,
        samples: &[Sample],
        gradient: &mut [f64],
    ) -> f64 {
        let tau = mdp.config().tau;
        let [q_bound, ratio_bound] = self.clip.bounds();
        let mut row = vec![0.0; mdp.config().vocab];
        let (mut loss, weight) = (0.0, 1.0 / samples.len() as f64);
        for sample in samples {
            parameters.log_probs(sample.state, &mut row);
            let log_ratio = row[sample.action] - sample.ref_log_prob;
            let value = parameters.values()[sample.state];
            let free = tau * log_ratio + value;
            let penalty = |q: f64| self.penalty.at(sample.error_scale * (q - sample.target));

            let old_log_ratio = sample.old_log_prob - sample.ref_log_prob;
            let near = log_ratio.clamp(old_log_ratio - ratio_bound, old_log_ratio + ratio_bound);
            let inner = tau * near + value;
            let old = tau * old_log_ratio + sample.old_value;
            let clipped = inner.clamp(old - q_bound, old + q_bound);

            let [mut found, mut slope] = penalty(free);
            let mut by = [tau, 1.0];
            let [other, other_slope] = penalty(clipped);
            if other > found {
                [found, slope] = [other, other_slope];
                let inside = f64::from(u8::from(clipped.to_bits() == inner.to_bits()));
                by = [tau * f64::from(u8::from(near.to_bits() == log_ratio.to_bits())), 1.0]
                    .map(|b| b * inside);
            }
            loss += weight * found;
            let slope = weight * sample.error_scale * slope;
            let pair = [sample.state, sample.action];
            parameters.add_gradient(gradient, pair, &row, by.map(|b| slope * b));
        }
        loss
    }
}
