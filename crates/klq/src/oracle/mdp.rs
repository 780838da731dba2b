//! The decision process: prefixes, tokens, a reference policy and rewards.

use serde::{Deserialize, Serialize};

use super::{Ending, Error, Policy};

/// Largest number of pairs of state and token that is accepted.
const MAX_PAIRS: usize = 10_000_000;

/// What a sequence gets that ends at the horizon without the end-of-sequence token.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CutOff {
    /// The score of its tokens, as if it were complete.
    #[default]
    Scored,
    /// This number in place of a score: 0 leaves it unscored, −1 is a usual penalty.
    Replaced {
        /// The number.
        score: f64,
    },
}

/// Sizes and coefficients of a [`TokenMdp`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct MdpConfig {
    /// Number of tokens, at least 2.
    pub vocab: usize,
    /// Token that ends a sequence, below `vocab`.
    pub eos: usize,
    /// Largest number of tokens of a sequence, at least 1; the end-of-sequence token counts.
    pub horizon: usize,
    /// Discount γ of a step, from 0 to 1; 1 is the sequence-level objective.
    pub gamma: f64,
    /// Temperature τ, above 0: what a nat of divergence from the reference costs.
    pub tau: f64,
    /// What becomes of sequences that reach the horizon.
    pub cut_off: CutOff,
}

impl Default for MdpConfig {
    /// Three tokens, three steps, γ = 1, τ = 0.3: large enough to be wrong in every way.
    fn default() -> Self {
        Self { vocab: 3, eos: 2, horizon: 3, gamma: 1.0, tau: 0.3, cut_off: CutOff::Scored }
    }
}

impl MdpConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the field.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { vocab, eos, horizon, gamma, tau, cut_off } = *self;
        Error::setting("vocab", "at least 2", vocab, vocab >= 2)?;
        Error::setting("eos", "a token of the vocabulary", eos, eos < vocab)?;
        Error::setting("horizon", "at least 1", horizon, horizon >= 1)?;
        Error::setting("gamma", "a number from 0 to 1", gamma, (0.0..=1.0).contains(&gamma))?;
        Error::setting("tau", "a finite number above 0", tau, tau > 0.0 && tau.is_finite())?;
        if let CutOff::Replaced { score } = cut_off {
            Error::setting("cut_off.replaced.score", "a finite number", score, score.is_finite())?;
        }
        let small = self.states().is_some_and(|s| s.saturating_mul(vocab) <= MAX_PAIRS);
        Error::setting("horizon", "at most ten million pairs of state and token", horizon, small)
    }

    /// `Σ_t (vocab − 1)^t` over t below the horizon; none if it is too large to be counted or held.
    fn states(&self) -> Option<usize> {
        let (mut level, mut total) = (1_usize, 0_usize);
        for _ in 0..self.horizon {
            total = total.checked_add(level)?;
            if total > MAX_PAIRS {
                return None;
            }
            level = level.checked_mul(self.vocab - 1)?;
        }
        Some(total)
    }
}

/// A token-level decision process with known tables.
///
/// A state is a prefix, an action a token, a step appends the token to the prefix. A sequence ends with
/// the end-of-sequence token or at the horizon; the value of what comes after is 0. The reward of a
/// step belongs to its action, so the score of a sequence is the reward of its last token.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenMdp {
    config: MdpConfig,
    /// Of every state but the empty prefix: the state one token shorter, and that token.
    parents: Vec<(usize, usize)>,
    /// State after the first token that does not end; none one token before the horizon.
    first_children: Vec<Option<usize>>,
    reference: Policy,
    rewards: Vec<f64>,
}

impl TokenMdp {
    /// A process from functions of tokens.
    ///
    /// `reference` gives the probabilities `[vocab]` after a prefix, `score` the score of a whole
    /// sequence, its end-of-sequence token included where it has one.
    ///
    /// # Errors
    /// [`Error::Setting`] for the configuration; [`Error::Distribution`] for probabilities that are
    /// not positive or do not sum to 1; [`Error::Length`]; [`Error::NotFinite`] for scores.
    pub fn new(
        config: MdpConfig,
        mut reference: impl FnMut(&[usize]) -> Vec<f64>,
        mut score: impl FnMut(&[usize]) -> f64,
    ) -> Result<Self, Error> {
        let mut mdp = Self::empty(config)?;
        let vocab = mdp.config.vocab;
        let mut log_probs = Vec::with_capacity(mdp.pairs());
        for state in 0..mdp.states() {
            let mut tokens = mdp.prefix(state);
            let probs = reference(&tokens);
            Error::length("reference", probs.len(), vocab)?;
            log_probs.extend(probs.iter().map(|p| p.ln()));
            for action in 0..vocab {
                let Some(ending) = mdp.ending(state, action) else { continue };
                tokens.push(action);
                mdp.rewards[state * vocab + action] = match (ending, mdp.config.cut_off) {
                    (Ending::CutOff, CutOff::Replaced { score }) => score,
                    _ => score(&tokens),
                };
                tokens.pop();
            }
        }
        let Self { config, rewards, .. } = mdp;
        Self::from_tables(config, log_probs, rewards)
    }

    /// A process from its tables.
    ///
    /// Rewards are taken as they are: [`MdpConfig::cut_off`] must already be part of them.
    ///
    /// # Shapes
    /// - `ref_log_probs`, `rewards`: `[states, vocab]`
    ///
    /// # Errors
    /// As for [`TokenMdp::new`].
    pub fn from_tables(
        config: MdpConfig,
        ref_log_probs: Vec<f64>,
        rewards: Vec<f64>,
    ) -> Result<Self, Error> {
        let mut mdp = Self::empty(config)?;
        Error::table("rewards", &rewards, mdp.pairs())?;
        mdp.reference = Policy::from_log_probs(&mdp, "reference", ref_log_probs)?;
        mdp.rewards = rewards;
        Ok(mdp)
    }

    /// The same process with `reward(prefix, token)` added to the reward of every step.
    ///
    /// # Errors
    /// [`Error::NotFinite`].
    pub fn with_step_rewards(
        mut self,
        mut reward: impl FnMut(&[usize], usize) -> f64,
    ) -> Result<Self, Error> {
        for state in 0..self.states() {
            let prefix = self.prefix(state);
            for action in 0..self.config.vocab {
                let index = self.index(state, action);
                self.rewards[index] += reward(&prefix, action);
            }
        }
        Error::table("rewards", &self.rewards, self.pairs())?;
        Ok(self)
    }

    /// States and transitions, uniform reference, no rewards.
    fn empty(config: MdpConfig) -> Result<Self, Error> {
        config.validate()?;
        let branches = config.vocab - 1;
        let (mut parents, mut first_children) = (vec![(0, 0)], Vec::new());
        let mut level = 0..1;
        for depth in 0..config.horizon {
            for state in level.clone() {
                if depth + 1 == config.horizon {
                    first_children.push(None);
                    continue;
                }
                first_children.push(Some(level.end + (state - level.start) * branches));
                let tokens = (0..config.vocab).filter(|&token| token != config.eos);
                parents.extend(tokens.map(|token| (state, token)));
            }
            level = level.end..parents.len();
        }
        let pairs = parents.len() * config.vocab;
        let reference = Policy::uniform(parents.len(), config.vocab);
        Ok(Self { config, parents, first_children, reference, rewards: vec![0.0; pairs] })
    }

    /// Sizes and coefficients.
    pub fn config(&self) -> &MdpConfig {
        &self.config
    }

    /// Number of prefixes that can be continued.
    ///
    /// They are numbered from the empty one, shorter before longer, and those of equal length in the
    /// order of their tokens; so a prefix has a larger number than those it begins with.
    pub fn states(&self) -> usize {
        self.parents.len()
    }

    /// Number of pairs of state and token: the size of every table `[states, vocab]`.
    pub fn pairs(&self) -> usize {
        self.states() * self.config.vocab
    }

    /// Place of a pair in such a table.
    pub fn index(&self, state: usize, action: usize) -> usize {
        state * self.config.vocab + action
    }

    /// Tokens of a state.
    ///
    /// # Panics
    /// If there is no such state.
    pub fn prefix(&self, mut state: usize) -> Vec<usize> {
        let mut tokens = Vec::new();
        while state > 0 {
            let (parent, token) = self.parents[state];
            tokens.push(token);
            state = parent;
        }
        tokens.reverse();
        tokens
    }

    /// State of a prefix; none if it holds an unknown or ending token or is as long as the horizon.
    pub fn state(&self, prefix: &[usize]) -> Option<usize> {
        let known = |token: &usize| *token < self.config.vocab;
        prefix.iter().all(known).then_some(())?;
        prefix.iter().try_fold(0, |state, &token| self.next(state, token))
    }

    /// State after a step; none where the sequence ends.
    pub fn next(&self, state: usize, action: usize) -> Option<usize> {
        if action == self.config.eos {
            return None;
        }
        let first = self.first_children[state]?;
        Some(first + action - usize::from(action > self.config.eos))
    }

    /// How a step ends the sequence; none if it does not.
    pub fn ending(&self, state: usize, action: usize) -> Option<Ending> {
        if action == self.config.eos {
            return Some(Ending::Eos);
        }
        self.first_children[state].is_none().then_some(Ending::CutOff)
    }

    /// The frozen policy that divergence is measured from, `π_b`.
    pub fn reference(&self) -> &Policy {
        &self.reference
    }

    /// Reward of every pair, `[states, vocab]`.
    pub fn rewards(&self) -> &[f64] {
        &self.rewards
    }

    /// `r + γ V(s')` of a pair, with the value of an ending 0.
    pub(crate) fn backup(&self, state: usize, action: usize, values: &[f64]) -> f64 {
        let after = self.next(state, action).map_or(0.0, |next| values[next]);
        self.rewards[self.index(state, action)] + self.config.gamma * after
    }

    /// Refuses a policy of another process.
    pub(crate) fn check(&self, argument: &'static str, policy: &Policy) -> Result<(), Error> {
        Error::length(argument, policy.log_probs().len(), self.pairs())?;
        Error::length(argument, policy.row(0).len(), self.config.vocab)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_numbered_by_length_and_order() {
        let config = MdpConfig { vocab: 4, eos: 1, horizon: 3, ..MdpConfig::default() };
        let mdp = TokenMdp::new(config, |_| vec![0.25; 4], |_| 0.0).unwrap();
        assert_eq!((mdp.states(), mdp.pairs()), (1 + 3 + 9, 52));
        for state in 0..mdp.states() {
            assert_eq!(mdp.state(&mdp.prefix(state)), Some(state));
        }
        assert_eq!(mdp.prefix(4), [0, 0]);
        assert_eq!(mdp.prefix(12), [3, 3]);
        assert_eq!(mdp.next(2, 3), mdp.state(&[2, 3]));
        assert_eq!((mdp.state(&[1]), mdp.state(&[4]), mdp.state(&[0, 0, 0])), (None, None, None));
        assert_eq!(mdp.ending(12, 0), Some(Ending::CutOff));
        assert_eq!((mdp.ending(0, 1), mdp.ending(0, 0)), (Some(Ending::Eos), None));
    }

    #[test]
    fn rewards_are_where_sequences_end() {
        let config = MdpConfig {
            vocab: 2,
            eos: 0,
            horizon: 2,
            cut_off: CutOff::Replaced { score: -1.0 },
            ..MdpConfig::default()
        };
        let score = |tokens: &[usize]| 10.0 * tokens.len() as f64;
        let mdp = TokenMdp::new(config, |_| vec![0.5; 2], score).unwrap();
        assert_eq!(mdp.rewards(), [10.0, 0.0, 20.0, -1.0]);
        let mdp = mdp.with_step_rewards(|prefix, token| (prefix.len() + token) as f64).unwrap();
        assert_eq!(mdp.rewards(), [10.0, 1.0, 21.0, 1.0]);
    }

    #[test]
    fn bad_input_is_named() {
        let with =
            |config| TokenMdp::new(config, |_| vec![0.5; 2], |_| 0.0).unwrap_err().to_string();
        let base = MdpConfig { vocab: 2, eos: 0, ..MdpConfig::default() };
        assert_eq!(
            with(MdpConfig { eos: 2, ..base.clone() }),
            "eos: expected a token of the vocabulary, found 2"
        );
        assert!(with(MdpConfig { vocab: 90, horizon: 50, ..base.clone() }).starts_with("horizon"));
        assert!(with(MdpConfig { tau: 0.0, ..base.clone() }).starts_with("tau"));
        assert!(with(MdpConfig { gamma: f64::NAN, ..base.clone() }).starts_with("gamma"));
        let error = TokenMdp::new(base.clone(), |_| vec![1.0, 0.0], |_| 0.0).unwrap_err();
        assert!(matches!(error, Error::Distribution { state: 0, .. }), "{error}");
        let error = TokenMdp::new(base.clone(), |_| vec![1.0], |_| 0.0).unwrap_err();
        assert!(matches!(error, Error::Length { expected: 2, found: 1, .. }), "{error}");
        let error = TokenMdp::new(base, |_| vec![0.5; 2], |_| f64::NAN).unwrap_err();
        assert!(matches!(error, Error::NotFinite { argument: "rewards", .. }), "{error}");
    }
}
