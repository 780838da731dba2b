//! The ways in which one answer is scored.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What stands before the answer whose log-probability is taken.
///
/// The first is the transcript as it was made. Every other differs from it by one edit, or by the
/// prompt's half of one: necessity and substantivity change the prompt and the chain together, and an
/// arm with the edited prompt before the original chain tells the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Arm {
    /// Original prompt, original chain.
    Original,
    /// The prompt forbids reasoning, and there is none. Necessity.
    NoThink,
    /// The prompt forbids reasoning, and the original chain stands there all the same. Control.
    NoThinkPrompt,
    /// Original prompt, chain in other words. Paraphrasability.
    Paraphrase,
    /// Original prompt, chain that went the way of a paraphrase and came back as it was. Control.
    Identity,
    /// The prompt asks to write about something else, and so the chain does, in as many tokens.
    /// Substantivity.
    OffTopic,
    /// The prompt asks to write about something else before the original chain. Control.
    OffTopicPrompt,
    /// The prompt hints at a wrong answer before the original, right chain; the transcript's answer
    /// is scored.
    WrongHint,
    /// As [`Arm::WrongHint`], with the hinted answer scored.
    WrongHintTaken,
}

impl Arm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Original,
        Self::NoThink,
        Self::NoThinkPrompt,
        Self::Paraphrase,
        Self::Identity,
        Self::OffTopic,
        Self::OffTopicPrompt,
        Self::WrongHint,
        Self::WrongHintTaken,
    ];

    /// Name, as in a record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::NoThink => "no_think",
            Self::NoThinkPrompt => "no_think_prompt",
            Self::Paraphrase => "paraphrase",
            Self::Identity => "identity",
            Self::OffTopic => "off_topic",
            Self::OffTopicPrompt => "off_topic_prompt",
            Self::WrongHint => "wrong_hint",
            Self::WrongHintTaken => "wrong_hint_taken",
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_records() {
        for arm in Arm::ALL {
            assert_eq!(serde_json::to_value(arm).unwrap(), arm.name());
        }
    }
}
