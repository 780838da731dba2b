//! What was read, from where, and how it is split.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Error, Layout, RowError};

/// Items with a record of where they came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dataset<T> {
    /// The items, in the order of the file.
    pub items: Vec<T>,
    /// Where they came from.
    pub provenance: Provenance,
}

/// Where a data set came from: what a run writes down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The file, or a name for data of our own.
    pub source: String,
    /// Layout of its rows.
    pub layout: Layout,
    /// The part it is, if it was split.
    pub split: Option<Split>,
    /// Rows read.
    pub rows: usize,
    /// Items kept.
    pub kept: usize,
    /// Rows that the options leave out.
    pub filtered: usize,
    /// Bad rows that were passed over.
    pub skipped: usize,
    /// The first few of them.
    pub first_skipped: Vec<RowError>,
    /// SHA-256 over the items in order, in hexadecimal. It is the same whatever container held them.
    pub digest: String,
}

/// What an item is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// For training.
    Train,
    /// For evaluation: held out.
    Evaluation,
}

impl Split {
    /// From a name that data sets publish, such as `train`, `valid1`, `validation` or `test`; none
    /// for another.
    ///
    /// # Examples
    /// ```
    /// use lm_tasks::Split;
    ///
    /// assert_eq!(Split::from_published("valid2"), Some(Split::Evaluation));
    /// assert_eq!(Split::from_published("default"), None);
    /// ```
    pub fn from_published(name: &str) -> Option<Self> {
        match name.trim_end_matches(|c: char| c.is_ascii_digit()) {
            "train" => Some(Self::Train),
            "dev" | "eval" | "evaluation" | "test" | "valid" | "validation" => {
                Some(Self::Evaluation)
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Train => "training",
            Self::Evaluation => "evaluation",
        })
    }
}

/// Something that can be read and split.
pub trait Item: Serialize {
    /// Its name, for messages.
    fn id(&self) -> &str;

    /// The split that was published with it.
    fn published_split(&self) -> Option<Split>;

    /// A text that is equal for items with the same prompt, so that they fall on the same side of a
    /// split.
    fn key(&self) -> String;
}

/// How to split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SplitRule {
    /// As the items say themselves.
    Published,
    /// By a hash of the prompt: the same on any machine and in any order, and items with the same
    /// prompt stay together.
    Hash {
        /// Expected share of items for evaluation, between 0 and 1.
        evaluation: f64,
        /// Another seed gives another split.
        seed: u64,
    },
}

/// The two sides of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct Splits<T> {
    /// For training.
    pub train: Dataset<T>,
    /// For evaluation.
    pub evaluation: Dataset<T>,
}

impl<T: Item> Dataset<T> {
    /// Splits by a rule; each side keeps the order and has a digest of its own.
    ///
    /// # Errors
    /// [`Error::Setting`] for a share that is not between 0 and 1, [`Error::NoSplit`] for an item
    /// without a published split, [`Error::EmptySplit`] if a side would have no items.
    ///
    /// # Examples
    /// ```
    /// use lm_tasks::{SplitRule, own};
    ///
    /// let splits = own::dialogue().split(SplitRule::Published)?;
    /// assert_eq!((splits.train.items.len(), splits.evaluation.items.len()), (192, 64));
    /// # Ok::<(), lm_tasks::Error>(())
    /// ```
    pub fn split(self, rule: SplitRule) -> Result<Splits<T>, Error> {
        if let SplitRule::Hash { evaluation, .. } = rule
            && !(evaluation > 0.0 && evaluation < 1.0)
        {
            return Err(Error::Setting {
                name: "evaluation",
                expected: "a number between 0 and 1, both excluded",
                found: evaluation.to_string(),
            });
        }
        let file = self.provenance.source.clone();
        let (mut train, mut evaluation) = (Vec::new(), Vec::new());
        for item in self.items {
            let side = match rule {
                SplitRule::Published => item
                    .published_split()
                    .ok_or_else(|| Error::NoSplit { file: file.clone(), id: item.id().into() })?,
                SplitRule::Hash { evaluation, seed } if unit(seed, &item.key()) < evaluation => {
                    Split::Evaluation
                }
                SplitRule::Hash { .. } => Split::Train,
            };
            match side {
                Split::Train => train.push(item),
                Split::Evaluation => evaluation.push(item),
            }
        }
        if train.is_empty() || evaluation.is_empty() {
            let (train, evaluation) = (train.len(), evaluation.len());
            return Err(Error::EmptySplit { file, train, evaluation });
        }
        let part = |items: Vec<T>, split| {
            let (kept, digest) = (items.len(), digest(&items));
            let provenance =
                Provenance { split: Some(split), kept, digest, ..self.provenance.clone() };
            Dataset { items, provenance }
        };
        Ok(Splits {
            train: part(train, Split::Train),
            evaluation: part(evaluation, Split::Evaluation),
        })
    }
}

/// SHA-256 over items in order, each as a line of JSON.
pub(crate) fn digest<T: Serialize>(items: &[T]) -> String {
    let mut hash = Sha256::new();
    for item in items {
        // Items hold nothing that JSON cannot.
        hash.update(serde_json::to_vec(item).unwrap_or_default());
        hash.update(b"\n");
    }
    hex(&hash.finalize())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A number in [0, 1) that a seed and a text determine.
pub(crate) fn unit(seed: u64, key: &str) -> f64 {
    let hash = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(key).finalize();
    let bits = hash[..8].iter().fold(0_u64, |bits, &byte| bits << 8 | u64::from(byte));
    // 53 bits, so that rounding cannot give 1.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_uniform_and_fixed() {
        let values: Vec<f64> = (0..10_000).map(|i| unit(3, &i.to_string())).collect();
        let mean = values.iter().sum::<f64>() / 1e4;
        // Five standard errors of a mean of 10 000 uniform values.
        assert!((mean - 0.5).abs() < 5.0 * (1.0_f64 / 12.0 / 1e4).sqrt(), "{mean}");
        assert!(values.iter().all(|x| (0.0..1.0).contains(x)));
        // A split must not move with a release. By Python's hashlib, of the seed as eight bytes and
        // the text.
        assert!((unit(1, "a") - 0.681_169_616_185_476).abs() < 1e-14);
    }
}
