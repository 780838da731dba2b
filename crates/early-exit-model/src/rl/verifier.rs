//! What says how good an answer is.

use causal_lm::tokenizer::Tokenizer;

use crate::engine::Exit;

/// An answer as a verifier sees it.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Index of the prompt.
    pub prompt: usize,
    /// Tokens, the one that ended it among them.
    pub ids: &'a [u32],
    /// Whether a stop token ended it.
    pub ended: bool,
    /// Exits of its tokens after the first.
    pub exits: &'a [Exit],
}

/// A score of answers.
pub trait Verifier {
    /// The score, or why there is none.
    ///
    /// # Errors
    /// One sentence. The answer is then left out.
    fn verify(&mut self, answer: &Answer<'_>) -> Result<f64, String>;
}

impl<F: FnMut(&Answer<'_>) -> Result<f64, String>> Verifier for F {
    fn verify(&mut self, answer: &Answer<'_>) -> Result<f64, String> {
        self(answer)
    }
}

/// A verifier of texts: a function of the prompt's index and of the answer without special tokens.
pub struct TextVerifier<'a, F> {
    /// Makes text of tokens.
    pub tokenizer: &'a Tokenizer,
    /// The score of a text.
    pub score: F,
}

impl<F: FnMut(usize, &str) -> Result<f64, String>> Verifier for TextVerifier<'_, F> {
    fn verify(&mut self, answer: &Answer<'_>) -> Result<f64, String> {
        let text = self.tokenizer.decode_text(answer.ids).map_err(|e| e.to_string())?;
        (self.score)(answer.prompt, &text)
    }
}
