//! Edits of a chain of thought, each of which may fail for one example and then says so.

mod chat;
mod donor;
mod filler;
mod fit;
mod hint;
mod identity;
mod mistake;
mod paraphrased;
mod permute;
mod steps;
mod synonyms;
mod thesaurus;

use rl_core::seed::Seed;
use serde::{Serialize, Serializer};

pub use chat::{ChatParaphrase, ChatParaphraseConfig};
pub use donor::{Donors, OffTopic};
pub use filler::{Filler, FillerKind};
pub use fit::{fit, survives};
pub use hint::other_answers;
pub use identity::Identity;
pub use mistake::{Mistake, with_mistake};
pub use paraphrased::Paraphrased;
pub use permute::derangement;
pub use steps::{Truncate, steps, truncations};
pub use thesaurus::Thesaurus;

use crate::{Error, Transcript};

/// An edited chain, or why there is none.
pub type Edited = Result<String, Failure>;

/// Something that edits chains of thought.
///
/// It sees the whole set, since some edits take a chain from another transcript; entry i of the
/// result belongs to transcript i. The same seed gives the same edits.
pub trait ChainEdit {
    /// Its name, for reports.
    fn name(&self) -> &str;

    /// An edited chain for each transcript, in their order.
    fn edit(&self, transcripts: &[Transcript], seed: Seed) -> Vec<Edited>;
}

/// Something that says a chain of thought in other words. It is given chains alone, and so can never
/// look at a question or an answer.
pub trait Paraphrase {
    /// Its name, for reports.
    fn name(&self) -> &str;

    /// Each chain in other words, in their order.
    fn paraphrase(&self, chains: &[&str], seed: Seed) -> Vec<Edited>;
}

/// Why a chain could not be edited. The example is left out of the arm, and counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The model that was asked failed.
    #[error("the model failed: {reason}")]
    Model {
        /// What it reports.
        reason: String,
    },
    /// The reply is empty.
    #[error("the reply is empty")]
    EmptyReply,
    /// The reply was cut off before its end.
    #[error("the reply was cut off")]
    CutOff,
    /// The reply holds the answer, which the chain does not.
    #[error("the reply holds the answer, which the chain does not")]
    HoldsAnswer,
    /// Nothing could be changed.
    #[error("nothing in the chain could be changed")]
    Unchanged,
    /// Two different chains were given the same words.
    #[error("the same paraphrase as of {other}, whose chain is another")]
    Shared {
        /// Id of the other transcript.
        other: String,
    },
    /// The answer is wrong, so its chain is not a right one.
    #[error("the answer is wrong, so its chain is not a right one")]
    WrongAnswer,
    /// There is no other transcript to take a chain from.
    #[error("no other transcript has a chain to take")]
    NoDonor,
    /// The chain has no number that a mistake could change.
    #[error("no step of the chain has a number that could be wrong")]
    NoNumber,
    /// No text of so many tokens survives being decoded and encoded again.
    #[error("expected a text of {expected} tokens, found none that stays so when encoded again")]
    TokenCount {
        /// Tokens of the chain.
        expected: usize,
    },
    /// The tokenizer refuses the chain.
    #[error("{reason}")]
    Tokenizer {
        /// What it reports.
        reason: String,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Tokenizer { reason: error.to_string() }
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
