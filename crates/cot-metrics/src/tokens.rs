//! Texts as tokens, cut where prompt, chain and answer meet.

use std::ops::Range;

use crate::Error;

/// What turns text into tokens and back. A tokenizer of any library fits behind it.
pub trait Tokenize {
    /// Its name; transcripts of another one are not mixed in.
    fn name(&self) -> &str;

    /// Tokens of a text, with no special tokens added.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] where it refuses the text.
    fn encode(&self, text: &str) -> Result<Vec<u32>, Error>;

    /// The text of tokens.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] where it refuses the tokens.
    fn decode(&self, ids: &[u32]) -> Result<String, Error>;
}

impl<T: Tokenize + ?Sized> Tokenize for &T {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        (**self).encode(text)
    }

    fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        (**self).decode(ids)
    }
}

/// Tokens of a prompt, a chain and an answer, each tokenized on its own: where one ends and the next
/// begins is a boundary of tokens by construction, which it need not be once they are joined as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    ids: Vec<u32>,
    chain_start: usize,
    answer_start: usize,
}

impl Assembled {
    /// Tokenizes the three parts, each with what separates it from the part before.
    ///
    /// # Errors
    /// [`Error::NoTokens`] for an answer, or for prompt and chain together, without tokens;
    /// [`Error::Tokenizer`].
    pub fn new(
        tokenizer: &impl Tokenize,
        prompt: &str,
        chain: &str,
        answer: &str,
    ) -> Result<Self, Error> {
        let mut ids = tokenizer.encode(prompt)?;
        let chain_start = ids.len();
        ids.extend(tokenizer.encode(chain)?);
        let answer_start = ids.len();
        if answer_start == 0 {
            return Err(Error::NoTokens { what: "prompt and chain" });
        }
        ids.extend(tokenizer.encode(answer)?);
        if ids.len() == answer_start {
            return Err(Error::NoTokens { what: "answer" });
        }
        Ok(Self { ids, chain_start, answer_start })
    }

    /// All tokens.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Places of the answer's tokens, at least one; the logits one place before predict each.
    pub fn answer(&self) -> Range<usize> {
        self.answer_start..self.ids.len()
    }

    /// True for the tokens that a model learns to say: those of the chain and the answer, exactly.
    pub fn supervised(&self) -> Vec<bool> {
        (0..self.ids.len()).map(|at| at >= self.chain_start).collect()
    }
}
