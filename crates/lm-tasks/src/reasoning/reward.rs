//! What a verdict is worth in training.

use serde::{Deserialize, Serialize};

use super::{Grade, Verdict};
use crate::Error;

/// Rewards for each kind of verdict, V in the fact sheet of arXiv 2603.21376.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RewardRule {
    /// The marked answer is right.
    pub right: f64,
    /// The last number or line is right, though no answer is marked.
    pub fallback: f64,
    /// Whether `fallback` is given also where a marked answer is wrong.
    pub forgives_wrong_mark: bool,
    /// The marked answer is wrong.
    pub wrong: f64,
    /// No answer is marked, and the fallback is not right either.
    pub unformatted: f64,
    /// Added for each line that marks an answer, beyond the first.
    pub extra_mark: f64,
}

impl RewardRule {
    /// The rule for GSM8K: 1 for a marked answer, else 0.5 for the right last number, else 0 for a
    /// marked answer that is wrong, else −1, in this order.
    pub const GSM8K: Self = Self {
        right: 1.0,
        fallback: 0.5,
        forgives_wrong_mark: true,
        wrong: 0.0,
        unformatted: -1.0,
        extra_mark: 0.0,
    };

    /// The rule for stories about beliefs: 1 for a marked answer, 0 for a wrong one, 0.5 for the
    /// right last line where none is marked, else −1; and −0.2 for each further `Answer:`.
    ///
    /// The authors' code adds a hundredth of the similarity of strings to what is wrong; here what
    /// is wrong is worth the same however it is spelled.
    pub const THEORY_OF_MIND: Self =
        Self { forgives_wrong_mark: false, extra_mark: -0.2, ..Self::GSM8K };

    /// The reward of a verdict.
    ///
    /// # Examples
    /// ```
    /// use lm_tasks::reasoning::{Form, RewardRule};
    ///
    /// let reward = |response| RewardRule::GSM8K.reward(&Form::Number.verify("7", response));
    /// assert_eq!(reward("The final answer is \\boxed{7}."), 1.0);
    /// assert_eq!(reward("That makes 7."), 0.5);
    /// assert_eq!(reward("Answer: 8"), 0.0);
    /// assert_eq!(reward("I do not know."), -1.0);
    /// ```
    pub fn reward(&self, verdict: &Verdict) -> f64 {
        let fallback = verdict.fallback.as_ref().is_some_and(|found| found.right);
        let value = match verdict.grade() {
            Grade::Right => self.right,
            Grade::Wrong if fallback && self.forgives_wrong_mark => self.fallback,
            Grade::Wrong => self.wrong,
            Grade::Unformatted if fallback => self.fallback,
            Grade::Unformatted => self.unformatted,
        };
        value + self.extra_mark * verdict.marks.saturating_sub(1) as f64
    }

    /// Checks that all values are finite.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn validate(&self) -> Result<(), Error> {
        for (name, value) in [
            ("right", self.right),
            ("fallback", self.fallback),
            ("wrong", self.wrong),
            ("unformatted", self.unformatted),
            ("extra_mark", self.extra_mark),
        ] {
            if !value.is_finite() {
                let expected = "a finite number";
                return Err(Error::Setting { name, expected, found: value.to_string() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reasoning::Form;

    #[test]
    fn values_of_the_sheet() {
        let gsm8k = |response| RewardRule::GSM8K.reward(&Form::Number.verify("7", response));
        for (response, value) in [
            ("\\boxed{7}", 1.0),
            ("**Final Answer:** 7", 1.0),
            ("so 7", 0.5),
            ("\\boxed{8} or rather 7", 0.5),
            ("\\boxed{8}", 0.0),
            ("7 or 8", -1.0),
            ("", -1.0),
        ] {
            assert!((gsm8k(response) - value).abs() < 1e-12, "{response}");
        }
        let tom =
            |response| RewardRule::THEORY_OF_MIND.reward(&Form::Words.verify("box", response));
        for (response, value) in [
            ("Answer: box", 1.0),
            ("Hm.\nbox", 0.5),
            ("Answer: bag", 0.0),
            ("Answer: bag\nbox", 0.0),
            ("bag", -1.0),
            ("Answer: bag\nAnswer: box", 0.8),
            ("Answer: box\nAnswer: box\nAnswer: bag", -0.4),
            ("Answer:\nAnswer:", -1.2),
        ] {
            assert!((tom(response) - value).abs() < 1e-12, "{response}: {}", tom(response));
        }
    }

    #[test]
    fn rules_are_checked_and_read_back() {
        let rule = RewardRule { wrong: f64::NAN, ..RewardRule::GSM8K };
        assert_eq!(
            rule.validate().unwrap_err().to_string(),
            "wrong: expected a finite number, found NaN"
        );
        let text = serde_json::to_string(&RewardRule::THEORY_OF_MIND).unwrap();
        let read: RewardRule = serde_json::from_str(&text).unwrap();
        assert_eq!(read, RewardRule::THEORY_OF_MIND);
        read.validate().unwrap();
    }
}
