//! What a scorer says of a sample.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A number, or why there is none.
///
/// A failure is never a number: what could not be judged is [`Unscored`](Self::Unscored), what broke
/// is [`Error`](Self::Error), and neither enters a mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Judged; finite.
    Scored(f64),
    /// Nothing to judge, and why: an answer that cannot be parsed, a judge that abstains.
    Unscored(String),
    /// The sample or its judge failed, and how.
    Error(String),
}

impl Verdict {
    /// The number, if there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Scored(value) => Some(*value),
            Self::Unscored(_) | Self::Error(_) => None,
        }
    }
}

/// A verdict with what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The verdict.
    pub verdict: Verdict,
    /// What was judged, in short: an answer, an act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Why, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// Evidence and further measures.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

impl Score {
    /// A score that is a number. One that is not finite is an error of the scorer's.
    pub fn number(value: f64) -> Self {
        Self::from(if value.is_finite() {
            Verdict::Scored(value)
        } else {
            Verdict::Error(format!("expected a finite score, found {value}"))
        })
    }

    /// No number, since there is nothing to judge.
    pub fn unscored(reason: impl Into<String>) -> Self {
        Self::from(Verdict::Unscored(reason.into()))
    }

    /// No number, since something failed.
    pub fn error(reason: impl Into<String>) -> Self {
        Self::from(Verdict::Error(reason.into()))
    }

    /// The same with an explanation.
    #[must_use]
    pub fn because(mut self, explanation: impl Into<String>) -> Self {
        self.explanation = Some(explanation.into());
        self
    }

    /// The same with what was judged, in short.
    #[must_use]
    pub fn answered(mut self, answer: impl Into<String>) -> Self {
        self.answer = Some(answer.into());
        self
    }

    /// The same with one more piece of evidence.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// The same, where a number that a scorer built itself and that is not finite is an error.
    #[must_use]
    pub fn checked(self) -> Self {
        match self.verdict {
            Verdict::Scored(value) if !value.is_finite() => {
                Self { verdict: Self::number(value).verdict, ..self }
            }
            _ => self,
        }
    }
}

impl From<Verdict> for Score {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, answer: None, explanation: None, metadata: Map::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_never_becomes_one() {
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(Score::number(bad).verdict.value(), None);
            assert!(matches!(
                Score::from(Verdict::Scored(bad)).checked().verdict,
                Verdict::Error(_)
            ));
        }
        assert_eq!(Score::unscored("empty").verdict.value(), None);
        assert_eq!(Score::error("gone").checked().verdict.value(), None);
        assert_eq!(Score::number(0.0).checked().verdict.value(), Some(0.0));
    }

    #[test]
    fn the_written_form_never_changes() {
        let score = Score::number(0.25).because("kept its share").with("share", 20);
        let text = serde_json::to_string(&score).unwrap();
        assert_eq!(
            text,
            r#"{"verdict":{"scored":0.25},"explanation":"kept its share","metadata":{"share":20}}"#
        );
        assert_eq!(serde_json::from_str::<Score>(&text).unwrap(), score);
    }
}
