//! Random instances.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Gamma, StandardNormal};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use super::{Error, MdpConfig, TokenMdp};

/// Smallest share of a token before normalization, so that log-ratios stay moderate.
const SMALLEST: f64 = 1e-6;

/// How the tables of a random instance are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RandomTables {
    /// Reference policies come from a symmetric Dirichlet distribution with this concentration,
    /// above 0: 1 is uniform over all policies, less is more peaked.
    pub concentration: f64,
    /// Standard deviation of the score of a sequence, at least 0; the mean is 0.
    pub score_std: f64,
    /// Standard deviation of the reward of a step, at least 0; usual tasks have none.
    pub step_reward_std: f64,
}

impl Default for RandomTables {
    fn default() -> Self {
        Self { concentration: 1.0, score_std: 1.0, step_reward_std: 0.0 }
    }
}

impl RandomTables {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        let above = |x: f64| x > 0.0 && x.is_finite();
        let at_least = |x: f64| x >= 0.0 && x.is_finite();
        let expected = "a finite number, at least 0";
        Error::setting(
            "concentration",
            "a finite number above 0",
            self.concentration,
            above(self.concentration),
        )?;
        Error::setting("score_std", expected, self.score_std, at_least(self.score_std))?;
        Error::setting(
            "step_reward_std",
            expected,
            self.step_reward_std,
            at_least(self.step_reward_std),
        )
    }
}

impl TokenMdp {
    /// A random instance: Dirichlet reference policies, normal scores and rewards.
    ///
    /// Streams `reference`, `scores` and `step rewards` of the seed; shares of a token are at least a
    /// millionth, so a reference policy is a little less peaked than its distribution.
    ///
    /// # Errors
    /// [`Error::Setting`] for either configuration.
    ///
    /// # Examples
    /// ```
    /// use klq::oracle::{MdpConfig, RandomTables, TokenMdp, soft};
    /// use rl_core::seed::Seed;
    ///
    /// let mdp = TokenMdp::random(MdpConfig::default(), &RandomTables::default(), Seed::new(1))?;
    /// assert_eq!((mdp.states(), mdp.sequences().len()), (1 + 2 + 4, 1 + 2 + 4 * 3));
    /// assert!(soft::gap(&mdp, mdp.reference())? > 0.0);
    /// # Ok::<(), klq::oracle::Error>(())
    /// ```
    pub fn random(config: MdpConfig, tables: &RandomTables, seed: Seed) -> Result<Self, Error> {
        config.validate()?;
        tables.validate()?;
        let expected = "a finite number above 0";
        let gamma = Gamma::new(tables.concentration, 1.0).map_err(|_| Error::Setting {
            name: "concentration",
            expected,
            found: tables.concentration.to_string(),
        })?;
        let mut shares = seed.derive("reference", 0).rng();
        let mut scores = seed.derive("scores", 0).rng();
        let mut steps = seed.derive("step rewards", 0).rng();
        let vocab = config.vocab;
        let reference = |_: &[usize]| {
            let draws: Vec<f64> = (0..vocab).map(|_| gamma.sample(&mut shares)).collect();
            let least = SMALLEST * draws.iter().sum::<f64>().max(f64::MIN_POSITIVE / SMALLEST);
            let floored: Vec<f64> = draws.iter().map(|x| x.max(least)).collect();
            let total: f64 = floored.iter().sum();
            floored.iter().map(|x| x / total).collect()
        };
        let mdp = Self::new(config, reference, |_| tables.score_std * normal(&mut scores))?;
        mdp.with_step_rewards(|_, _| tables.step_reward_std * normal(&mut steps))
    }
}

/// A draw from the standard normal distribution.
pub(super) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}
