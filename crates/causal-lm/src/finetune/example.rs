//! What is trained on: token ids, and which of them count.

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    chat::{ChatTemplate, Message},
    tokenizer::Tokenizer,
};

/// What happens to an example that is longer than the configuration allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Overlong {
    /// The run does not start.
    #[default]
    Refuse,
    /// It is cut off at the end.
    Truncate,
    /// It is left out.
    Drop,
}

/// A sequence of tokens, some of which the model is to predict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    ids: Vec<u32>,
    /// True where the prediction of the token counts; false for the first, which nothing predicts.
    counts: Vec<bool>,
}

impl Example {
    /// Tokens of which those with a true in `counts` are to be predicted; the first never is.
    ///
    /// # Errors
    /// [`Error::Shape`] if the lengths differ.
    pub fn new(ids: Vec<u32>, mut counts: Vec<bool>) -> Result<Self, Error> {
        if ids.len() != counts.len() {
            return Err(Error::Shape {
                what: "counted tokens of an example".into(),
                expected: ids.len().to_string(),
                found: counts.len().to_string(),
            });
        }
        if let Some(first) = counts.first_mut() {
            *first = false;
        }
        Ok(Self { ids, counts })
    }

    /// Every token of a text, from the second on.
    pub fn text(ids: Vec<u32>) -> Self {
        let counts = (0..ids.len()).map(|i| i > 0).collect();
        Self { ids, counts }
    }

    /// A completion after a prompt that does not count.
    pub fn completion(prompt: &[u32], completion: &[u32]) -> Self {
        let ids: Vec<u32> = prompt.iter().chain(completion).copied().collect();
        let counts = (0..ids.len()).map(|i| i > 0 && i >= prompt.len()).collect();
        Self { ids, counts }
    }

    /// A conversation, of which the model's own turns count, what closes them among it.
    ///
    /// The text is cut where turns of the model begin and end, and the pieces are tokenized one by
    /// one: a generated answer, too, starts on a token of its own.
    ///
    /// # Errors
    /// [`Error::Template`] or [`Error::Tokenizer`].
    pub fn chat(
        template: &ChatTemplate,
        tokenizer: &Tokenizer,
        messages: &[Message],
    ) -> Result<Self, Error> {
        let rendered = template.render_spans(messages)?;
        let (mut ids, mut counts) = (Vec::new(), Vec::new());
        let mut push = |text: &str, counted: bool| -> Result<(), Error> {
            let piece = tokenizer.encode(text)?;
            counts.extend(std::iter::repeat_n(counted, piece.len()));
            ids.extend(piece);
            Ok(())
        };
        let mut at = 0;
        for span in rendered.assistant {
            push(&rendered.text[at..span.start], false)?;
            push(&rendered.text[span.clone()], true)?;
            at = span.end;
        }
        push(&rendered.text[at..], false)?;
        Self::new(ids, counts)
    }

    /// The tokens.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// True where the prediction of the token counts.
    pub fn counts(&self) -> &[bool] {
        &self.counts
    }

    /// Number of predictions that count.
    pub fn counted(&self) -> usize {
        self.counts.iter().filter(|&&c| c).count()
    }

    /// The example without what lies beyond `max_tokens`.
    pub(super) fn truncate(&mut self, max_tokens: usize) {
        self.ids.truncate(max_tokens);
        self.counts.truncate(max_tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_never_counts() {
        assert_eq!(Example::text(vec![4, 5, 6]).counts(), [false, true, true]);
        assert_eq!(Example::completion(&[4], &[5, 6]).counts(), [false, true, true]);
        assert_eq!(Example::completion(&[4, 5], &[6]).counts(), [false, false, true]);
        assert_eq!(Example::completion(&[], &[6]).counts(), [false]);
        assert_eq!(Example::new(vec![1, 2], vec![true, true]).unwrap().counted(), 1);
        assert!(Example::new(vec![1, 2], vec![true]).is_err());
    }
}
