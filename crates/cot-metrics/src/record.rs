//! Log-probabilities of an answer, arm by arm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Arm, Undefined};

/// Up to this many nats above 0 a log-probability is a rounded 0.
const ROUNDING: f64 = 1e-4;

/// What is known of one example: the log-probability of its answer in each arm.
///
/// As JSON, an outcome is a number, an object or a reason why there is none:
/// `{"id": "a", "correct": true, "arms": {"original": -0.1, "no_think": {"log_prob": -2.3, "tokens": 1},
/// "paraphrase": {"failed": "the reply is empty"}}}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Name of the example.
    pub id: String,
    /// Whether the answer is right, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correct: Option<bool>,
    /// What came of each arm that was tried.
    pub arms: BTreeMap<Arm, Outcome>,
}

/// What came of scoring an arm. A failure is never a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub enum Outcome {
    /// It was scored.
    Scored(AnswerScore),
    /// It was not: the reason, as a sentence.
    Failed(String),
}

/// The log-probability of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerScore {
    /// Sum over the answer's tokens, in nats; at most 0.
    pub log_prob: f64,
    /// Number of the answer's tokens, where it is known. All arms of one answer have the same.
    pub tokens: Option<usize>,
}

impl Record {
    /// Negative log-likelihood of the answer in an arm, in nats.
    ///
    /// # Errors
    /// [`Undefined`] where the arm is missing or failed, where its number is infinite, not a number or
    /// above 0, and where the answer has another number of tokens than in the original arm.
    pub fn nll(&self, arm: Arm) -> Result<f64, Undefined> {
        let AnswerScore { log_prob, tokens } = match self.arms.get(&arm) {
            None => return Err(Undefined::Missing { arm }),
            Some(Outcome::Failed(reason)) => {
                return Err(Undefined::Failed { arm, reason: reason.clone() });
            }
            Some(Outcome::Scored(score)) => *score,
        };
        if !log_prob.is_finite() {
            return Err(Undefined::NotFinite { arm, found: log_prob });
        }
        if log_prob > ROUNDING {
            return Err(Undefined::Positive { arm, found: log_prob });
        }
        if let (Some(found), Some(expected)) = (tokens, self.tokens())
            && found != expected
            && arm != Arm::WrongHintTaken
        {
            return Err(Undefined::Tokens { arm, expected, found });
        }
        if tokens == Some(0) {
            return Err(Undefined::NoTokens { arm });
        }
        Ok((-log_prob).max(0.0))
    }

    /// Tokens of the answer in the original arm.
    fn tokens(&self) -> Option<usize> {
        match self.arms.get(&Arm::Original) {
            Some(Outcome::Scored(score)) => score.tokens,
            _ => None,
        }
    }
}

impl Outcome {
    /// A scored arm.
    pub fn scored(log_prob: f64, tokens: usize) -> Self {
        Self::Scored(AnswerScore { log_prob, tokens: Some(tokens) })
    }
}

/// An outcome as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Raw {
    Number(f64),
    Scored(RawScored),
    Failed(RawFailed),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScored {
    log_prob: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFailed {
    failed: String,
}

impl TryFrom<Raw> for Outcome {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        match raw {
            Raw::Number(log_prob) => Ok(Self::Scored(AnswerScore { log_prob, tokens: None })),
            Raw::Scored(RawScored { log_prob, tokens }) => {
                Ok(Self::Scored(AnswerScore { log_prob, tokens }))
            }
            Raw::Failed(RawFailed { failed }) if failed.is_empty() => {
                Err("failed: expected a reason, found an empty text".to_owned())
            }
            Raw::Failed(RawFailed { failed }) => Ok(Self::Failed(failed)),
        }
    }
}

impl From<Outcome> for Raw {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            // JSON has no infinities, and a number that is not one is no score.
            Outcome::Scored(score) if !score.log_prob.is_finite() => {
                Self::Failed(RawFailed { failed: format!("the score is {}", score.log_prob) })
            }
            Outcome::Scored(AnswerScore { log_prob, tokens }) => {
                Self::Scored(RawScored { log_prob, tokens })
            }
            Outcome::Failed(failed) => Self::Failed(RawFailed { failed }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(arms: &str) -> Record {
        serde_json::from_str(&format!(r#"{{"id": "a", "arms": {arms}}}"#)).unwrap()
    }

    #[test]
    fn outcomes_are_read_in_all_their_forms() {
        let read = record(
            r#"{"original": {"log_prob": -0.5, "tokens": 2}, "no_think": -1,
                "paraphrase": {"failed": "the reply is empty"}}"#,
        );
        assert_eq!(read.arms[&Arm::Original], Outcome::scored(-0.5, 2));
        assert_eq!(read.nll(Arm::NoThink), Ok(1.0));
        let reason = "the reply is empty".to_owned();
        assert_eq!(
            read.nll(Arm::Paraphrase),
            Err(Undefined::Failed { arm: Arm::Paraphrase, reason })
        );
        assert_eq!(read.nll(Arm::OffTopic), Err(Undefined::Missing { arm: Arm::OffTopic }));
        let text = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), read);
    }

    #[test]
    fn what_is_no_log_probability_is_no_number() {
        let arm = Arm::Original;
        let nll = |log_prob| {
            let score = AnswerScore { log_prob, tokens: None };
            Record { arms: [(arm, Outcome::Scored(score))].into(), ..Record::default() }.nll(arm)
        };
        assert!(matches!(nll(f64::NAN), Err(Undefined::NotFinite { .. })));
        assert!(matches!(nll(f64::NEG_INFINITY), Err(Undefined::NotFinite { .. })));
        assert_eq!(nll(0.1), Err(Undefined::Positive { arm, found: 0.1 }));
        assert_eq!(nll(1e-7), Ok(0.0));
        assert_eq!(nll(-0.0), Ok(0.0));
    }

    #[test]
    fn answers_of_other_tokens_are_not_compared() {
        let read = record(
            r#"{"original": {"log_prob": -0.5, "tokens": 2}, "no_think": {"log_prob": -1, "tokens": 3},
                "wrong_hint_taken": {"log_prob": -1, "tokens": 3},
                "off_topic": {"log_prob": 0, "tokens": 0}}"#,
        );
        let arm = Arm::NoThink;
        assert_eq!(read.nll(arm), Err(Undefined::Tokens { arm, expected: 2, found: 3 }));
        assert_eq!(read.nll(Arm::WrongHintTaken), Ok(1.0));
        assert!(read.nll(Arm::OffTopic).is_err());
        let empty = record(r#"{"original": {"log_prob": 0, "tokens": 0}}"#);
        assert_eq!(empty.nll(Arm::Original), Err(Undefined::NoTokens { arm: Arm::Original }));
    }

    #[test]
    fn unknown_fields_and_arms_are_refused() {
        for arms in [
            r#"{"orginal": -1}"#,
            r#"{"original": {"log_prob": -1, "token": 1}}"#,
            r#"{"original": {"failed": ""}}"#,
            r#"{"original": "x"}"#,
        ] {
            let text = format!(r#"{{"id": "a", "arms": {arms}}}"#);
            assert!(serde_json::from_str::<Record>(&text).is_err(), "{arms}");
        }
    }
}
