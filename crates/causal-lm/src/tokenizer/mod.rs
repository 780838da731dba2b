//! Text to token ids and back.

mod check;
mod gguf;

use std::path::Path;

use rl_core::contain::contain;

use crate::{Error, gguf::Gguf};

/// A tokenizer, read from `tokenizer.json` or built from GGUF metadata.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Where it came from, for messages.
    file: String,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Tokenizer`].
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        Self::from_bytes(&bytes, &path.display().to_string())
    }

    /// Builds the tokenizer that a GGUF file describes.
    ///
    /// # Errors
    /// [`Error::Format`] naming the metadata key, or [`Error::Tokenizer`].
    pub fn from_gguf(file: &Gguf) -> Result<Self, Error> {
        let json = gguf::tokenizer_json(file)?;
        Self::build(json.to_string().as_bytes(), &file.path().display().to_string())
    }

    /// Parses the content of a `tokenizer.json`; `file` names it in errors.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn from_bytes(bytes: &[u8], file: &str) -> Result<Self, Error> {
        check::check(bytes, file)?;
        Self::build(bytes, file)
    }

    fn build(bytes: &[u8], file: &str) -> Result<Self, Error> {
        let inner = guarded(file, || {
            let mut inner = tokenizers::Tokenizer::from_bytes(bytes)?;
            // Published files may ask for truncation or padding; batches are ours to lay out.
            inner.with_truncation(None)?;
            inner.with_padding(None);
            Ok(inner)
        })?;
        Ok(Self { inner, file: file.to_owned() })
    }

    /// Ids of a text. Special tokens written in it are recognized; none is added.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] for text that the tokenizer has no tokens for.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let encoding = guarded(&self.file, || self.inner.encode_fast(text, false))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Ids of a text with what the tokenizer itself puts around it, such as a beginning-of-sequence
    /// token.
    ///
    /// # Errors
    /// As for [`Tokenizer::encode`].
    pub fn encode_with_special_tokens(&self, text: &str) -> Result<Vec<u32>, Error> {
        let encoding = guarded(&self.file, || self.inner.encode_fast(text, true))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Text of ids, special tokens written out.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the decoder refuses the tokens.
    pub fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        guarded(&self.file, || self.inner.decode(ids, false))
    }

    /// Text of ids without special tokens.
    ///
    /// # Errors
    /// As for [`Tokenizer::decode`].
    pub fn decode_text(&self, ids: &[u32]) -> Result<String, Error> {
        guarded(&self.file, || self.inner.decode(ids, true))
    }

    /// A decoder of ids that arrive one by one; special tokens are left out.
    pub fn stream(&self) -> TextStream<'_> {
        TextStream { tokenizer: self, ids: Vec::new(), from: 0, shown: 0 }
    }

    /// Number of tokens, special ones included.
    pub fn vocab(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Id of a token by its exact spelling in the vocabulary.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Spelling of a token in the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Refuses a tokenizer with ids that a model of `vocab` tokens has no embedding for.
    pub(crate) fn check_ids(&self, vocab: usize) -> Result<(), Error> {
        let beyond = |(token, id): (String, u32)| (id as usize >= vocab).then_some((id, token));
        match self.inner.get_vocab(true).into_iter().filter_map(beyond).min() {
            None => Ok(()),
            Some((id, token)) => Err(Error::Tokenizer {
                file: self.file.clone(),
                message: format!(
                    "expected ids below {vocab}, as many as the model has tokens, found {id} for \
                     {token:?}"
                ),
            }),
        }
    }

    /// The content of a `tokenizer.json` that other tools open.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if it cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, Error> {
        guarded(&self.file, || self.inner.to_string(false))
    }
}

/// What the tokenizers library gives. It panics over some of what a file can hold (a merge shorter
/// than its prefix, an unreadable character map, a span that cuts a character); that is an error of
/// the file like any other. A tokenizer is not changed by use, so that nothing is left half done.
fn guarded<T>(file: &str, work: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, Error> {
    let message = match contain(work) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => format!("expected one that its library can work with, found: {panic}"),
    };
    Err(Error::Tokenizer { file: file.to_owned(), message })
}

/// What stands for bytes that are no character, or not yet one.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// How many of those at the end of a text may still become a character: all bytes of one but the
/// last, each of which some decoders show by itself.
const MAX_INCOMPLETE: usize = 3;

/// Tokens after which the older ones are settled and no longer decoded again.
const MAX_PENDING: usize = 16;

/// Tokens that are decoded again for context: more than share a character, and some for decoders
/// that look at what stands before.
const CONTEXT: usize = 8;

/// Decodes ids one by one and shows text as soon as its characters are complete.
#[derive(Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<u32>,
    /// First id that is decoded again for context.
    from: usize,
    /// Bytes of the text of `ids[from..]` that have been shown.
    shown: usize,
}

impl TextStream<'_> {
    /// Takes the next id; returns the text that has become complete, possibly none.
    ///
    /// # Errors
    /// As for [`Tokenizer::decode`].
    pub fn push(&mut self, id: u32) -> Result<String, Error> {
        self.ids.push(id);
        let text = self.tokenizer.decode_text(&self.ids[self.from..])?;
        let complete = text.len() - incomplete(&text);
        let new = text.get(self.shown..complete).unwrap_or_default().to_owned();
        self.shown = self.shown.max(complete);
        if self.ids.len() - self.from >= MAX_PENDING {
            let held = text.len().saturating_sub(self.shown);
            self.from = self.ids.len() - CONTEXT;
            let context = self.tokenizer.decode_text(&self.ids[self.from..])?;
            self.shown = context.len().saturating_sub(held);
        }
        Ok(new)
    }

    /// What is left when no more ids come: an incomplete character shows as U+FFFD.
    ///
    /// # Errors
    /// As for [`Tokenizer::decode`].
    pub fn finish(&mut self) -> Result<String, Error> {
        let text = self.tokenizer.decode_text(&self.ids[self.from..])?;
        let rest = text.get(self.shown..).unwrap_or_default().to_owned();
        self.shown = text.len();
        Ok(rest)
    }
}

/// Bytes at the end of a text that may still become a character.
fn incomplete(text: &str) -> usize {
    let last = text.chars().rev().take(MAX_INCOMPLETE);
    last.take_while(|&c| c == REPLACEMENT).map(char::len_utf8).sum()
}
