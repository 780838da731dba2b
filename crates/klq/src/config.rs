//! Settings of a training run.

use causal_lm::generate::{GenerateConfig, Sampling, Truncation};
use rl_core::{
    kl::AdaptiveKl,
    optim::{AdamWConfig, Schedule},
};
use serde::{Deserialize, Serialize};

use crate::{
    Algorithm, Error,
    algorithm::{Refresh, check},
    policy::PolicyConfig,
    reward::MissingEnd,
};

/// How answers are sampled. Nothing truncates the distribution: what is sampled is what is scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RolloutConfig {
    /// Longest answer, in tokens.
    pub max_new_tokens: usize,
    /// What logits are divided by, in sampling and in every log-probability of policy and
    /// reference; above 0.
    pub temperature: f64,
    /// Answers generated together.
    pub batch_size: usize,
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self { max_new_tokens: 48, temperature: 1.0, batch_size: 64 }
    }
}

impl RolloutConfig {
    pub(crate) fn generate(&self, stop_tokens: &[u32]) -> GenerateConfig {
        let truncation = Truncation { temperature: self.temperature, ..Truncation::default() };
        GenerateConfig {
            max_new_tokens: self.max_new_tokens,
            sampling: Sampling::Random(truncation),
            stop_tokens: stop_tokens.to_vec(),
            log_probs: true,
            batch_size: self.batch_size,
            ..GenerateConfig::default()
        }
    }
}

/// What the limit on an answer's length is to an answer that it cuts off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LengthLimit {
    /// The end of the episode: the text as it stands is scored, and nothing comes after it. Every
    /// published implementation does this, and what is trained is then what is evaluated.
    #[default]
    Terminates,
    /// An accident of sampling: in place of the score, which is of a whole answer, stands the value
    /// of the state after the last token, as for a time limit in arXiv 1712.00378. No answer goes on
    /// from that state, so its value is what the value function makes of the states before. Needs
    /// `missing_end = "keep"`, and costs another pass over the answers that were cut off.
    Bootstraps,
}

/// Settings of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Weight of the KL to the reference; the temperature τ of KLQ; above 0.
    pub kl_coef: f64,
    /// A weight that follows the observed KL instead, starting from `kl_coef`; not for KLQ, whose
    /// action values are in units of τ.
    pub adaptive_kl: Option<AdaptiveKlConfig>,
    /// Batches of answers.
    pub iterations: u64,
    /// Prompts of a batch.
    pub prompts: usize,
    /// Answers to each prompt.
    pub group: usize,
    /// How answers are sampled.
    pub rollout: RolloutConfig,
    /// What an answer costs that the length limit cut off.
    pub missing_end: MissingEnd,
    /// Whether that limit is the end of an episode.
    pub length_limit: LengthLimit,
    /// Passes over a batch.
    pub epochs: usize,
    /// Optimizer steps of an epoch.
    pub minibatches: usize,
    /// Tokens of one forward pass, those with which several answers begin counted once: memory
    /// grows with it, results do not depend on it beyond rounding.
    pub pass_tokens: usize,
    /// Positions whose logits are held at once.
    pub logit_rows: usize,
    /// What is trained.
    pub policy: PolicyConfig,
    /// Learning rate of the policy.
    pub lr: f64,
    /// Learning rate of the value function.
    pub value_lr: f64,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f64,
    /// Learning rate over the iterations.
    pub schedule: Schedule,
    /// Moments and clipping.
    pub optimizer: AdamWConfig,
    /// Share of a batch's answers that may have no score; they are left out. Beyond it the run
    /// stops.
    pub max_unscored: f64,
    /// KL per answer, in nats, beyond which a warning says what to try.
    pub warn_kl: f64,
    /// Root seed.
    pub seed: u64,
}

impl Default for TrainConfig {
    /// Published numbers where there are any (τ = 0.05, four epochs), sizes for one small machine.
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            kl_coef: 0.05,
            adaptive_kl: None,
            iterations: 100,
            prompts: 32,
            group: 1,
            rollout: RolloutConfig::default(),
            missing_end: MissingEnd::default(),
            length_limit: LengthLimit::default(),
            epochs: 4,
            minibatches: 1,
            pass_tokens: 2048,
            logit_rows: 256,
            policy: PolicyConfig::default(),
            lr: 1e-4,
            value_lr: 1e-3,
            weight_decay: 0.0,
            schedule: Schedule::default(),
            optimizer: AdamWConfig { eps: 1e-5, ..AdamWConfig::default() },
            max_unscored: 0.1,
            warn_kl: 50.0,
            seed: 0,
        }
    }
}

/// A KL weight that steers the observed KL to a target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AdaptiveKlConfig {
    /// Wanted KL of an answer, in nats.
    pub target: f64,
    /// Answers over which the weight follows.
    pub horizon: f64,
}

impl AdaptiveKlConfig {
    pub(crate) fn start(self, coef: f64) -> AdaptiveKl {
        AdaptiveKl { coef, target: self.target, horizon: self.horizon }
    }
}

impl TrainConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the one that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        self.algorithm.validate()?;
        self.missing_end.validate()?;
        self.rollout.generate(&[]).validate()?;
        self.schedule.validate()?;
        let positive = |x: f64| x.is_finite() && x > 0.0;
        check("kl_coef", positive(self.kl_coef), "a number above 0", self.kl_coef)?;
        if let Some(adaptive) = self.adaptive_kl {
            let klq = matches!(self.algorithm, Algorithm::Klq(_));
            check("adaptive_kl", !klq, "none with KLQ (its τ is fixed)", "one")?;
            check("target", positive(adaptive.target), "a number above 0", adaptive.target)?;
            check("horizon", positive(adaptive.horizon), "a number above 0", adaptive.horizon)?;
        }
        if self.length_limit == LengthLimit::Bootstraps {
            let name = "length_limit";
            let values = self.algorithm.needs_values();
            check(name, values, "terminates without a value function", "bootstraps")?;
            let kept = self.missing_end == MissingEnd::Keep;
            check(name, kept, "terminates unless missing_end is keep", "bootstraps")?;
        }
        let counts = [
            ("iterations", self.iterations as usize),
            ("prompts", self.prompts),
            ("group", self.group),
            ("epochs", self.epochs),
            ("minibatches", self.minibatches),
            ("pass_tokens", self.pass_tokens),
            ("logit_rows", self.logit_rows),
        ];
        for (name, count) in counts {
            check(name, count > 0, "at least 1", count)?;
        }
        let alone = self.algorithm.needs_groups() && self.group < 2;
        check("group", !alone, "at least 2 with this algorithm", self.group)?;
        let answers = self.prompts * self.group;
        let expected = format!("at most {answers}, the answers of a batch");
        check("minibatches", self.minibatches <= answers, &expected, self.minibatches)?;
        let rates =
            [("lr", self.lr), ("value_lr", self.value_lr), ("weight_decay", self.weight_decay)];
        for (name, rate) in rates {
            check(name, rate.is_finite() && rate >= 0.0, "a number, not below 0", rate)?;
        }
        let share = self.max_unscored;
        check("max_unscored", (0.0..=1.0).contains(&share), "a number in [0, 1]", share)?;
        check("warn_kl", positive(self.warn_kl), "a number above 0", self.warn_kl)?;
        let refresh = self.algorithm.refresh() != Refresh::Never;
        check("refresh", !refresh || self.epochs > 1, "more than one epoch", self.epochs)
    }
}
