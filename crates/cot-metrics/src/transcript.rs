//! What was asked, thought and answered.

use serde::{Deserialize, Serialize};

/// One answered question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// Name of the transcript, different from all others of a set.
    pub id: String,
    /// The prompt as the model saw it, whatever organism it is: an edit adds to it and never wraps it
    /// a second time.
    pub question: String,
    /// The chain of thought, without the tags around it.
    pub chain: String,
    /// The model's own answer, without what separates it from the chain.
    pub answer: String,
    /// The right answer, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Name of the tokenizer that the transcript was made with, where it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
}

impl Transcript {
    /// Whether the answer is right; none where it is not known what would be.
    ///
    /// The whole answer is compared, but for space around it and the case of ASCII letters; that the
    /// reference occurs somewhere in it is not enough. Answers that may be spelled in many ways are
    /// verified where they come from, and the verdict is recorded ([`crate::Record::correct`]).
    ///
    /// # Examples
    /// ```
    /// use cot_metrics::Transcript;
    ///
    /// let transcript = |answer: &str| Transcript {
    ///     answer: answer.into(),
    ///     reference: Some("12".into()),
    ///     ..Transcript::default()
    /// };
    /// assert_eq!(transcript(" 12\n").is_right(), Some(true));
    /// assert_eq!(transcript("112").is_right(), Some(false));
    /// ```
    pub fn is_right(&self) -> Option<bool> {
        let reference = self.reference.as_ref()?;
        Some(self.answer.trim().eq_ignore_ascii_case(reference.trim()))
    }
}
