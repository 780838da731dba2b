//! Codes for the words of a chain, from which the chain can be read again.

mod books;
mod pieces;

use std::collections::BTreeMap;

use self::pieces::{Case, Piece, pieces};
use crate::{Error, Transcript};

/// Marks what follows as standing for itself.
const ESCAPE: char = '~';
/// Keeps apart what stood next to each other: `2024` is four digits, `4th` a digit and a word.
const JOINER: char = '_';

/// A code for each of some words and digits.
///
/// Every word is looked up in the original text, once: that a code is itself a word with a code
/// changes nothing (such chains of replacements make printed codebooks differ from what they do).
/// Numbers are spelled digit by digit. A word keeps its case where it is all small, all capitals or
/// begins with one. What has no code stays; of that, what would read as a code is marked, so that
/// decoding gives back any text whatever:
///
/// ```text
/// decode(encode(x)) = x
/// ```
///
/// # Examples
/// ```
/// use cot_metrics::codebook::Codebook;
///
/// let book = Codebook::new("tides", [("sum", "reef"), ("reef", "sum"), ("1", "foam"), ("2", "kelp")])?;
/// assert_eq!(book.encode("The Sum is 12."), "The Reef is foam_kelp.");
/// assert_eq!(book.decode("The Reef is foam_kelp."), "The Sum is 12.");
/// assert_eq!(book.encode("foam"), "~foam", "not a digit");
/// # Ok::<(), cot_metrics::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codebook {
    name: String,
    codes: BTreeMap<String, String>,
    words: BTreeMap<String, String>,
}

impl Codebook {
    /// A codebook of words, or single digits, with their codes.
    ///
    /// # Errors
    /// [`Error::NotInjective`], naming both words, where two have the same code;
    /// [`Error::Codebook`] for a word that is no word of small ASCII letters and no digit, or comes
    /// twice, and for a code that is no word of two small letters or more.
    pub fn new<W: Into<String>, C: Into<String>>(
        name: impl Into<String>,
        entries: impl IntoIterator<Item = (W, C)>,
    ) -> Result<Self, Error> {
        let name = name.into();
        let wrong = |field, expected, found: &str| {
            Err(Error::Codebook { book: name.clone(), field, expected, found: found.to_owned() })
        };
        let small = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
        let digit = |word: &str| word.len() == 1 && word.as_bytes()[0].is_ascii_digit();
        let (mut codes, mut words) = (BTreeMap::new(), BTreeMap::<String, String>::new());
        for (word, code) in entries {
            let (word, code) = (word.into(), code.into());
            if !small(&word) && !digit(&word) {
                return wrong("word", "small letters a to z, or one digit", &word);
            }
            // A code of one letter would lose the case of a word in capitals.
            if !small(&code) || code.len() < 2 {
                return wrong("code", "two or more small letters a to z", &code);
            }
            if let Some(first) = words.insert(code.clone(), word.clone()) {
                return Err(Error::NotInjective { book: name, code, first, second: word });
            }
            if codes.insert(word.clone(), code).is_some() {
                return wrong("word", "each word once", &word);
            }
        }
        Ok(Self { name, codes, words })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Words and digits with their codes, in the order of the words.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.codes.iter().map(|(word, code)| (word.as_str(), code.as_str()))
    }

    /// The text in code.
    pub fn encode(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut after_word = false;
        for piece in pieces(text) {
            let is_word = !matches!(piece, Piece::Other(_));
            if is_word && after_word {
                out.push(JOINER);
            }
            match piece {
                Piece::Word(word) | Piece::Digit(word) => {
                    if let Some(code) = self.code(word) {
                        out.push_str(&code);
                    } else {
                        if self.word(word).is_some() {
                            out.push(ESCAPE);
                        }
                        out.push_str(word);
                    }
                }
                Piece::Other(c) => {
                    if c == ESCAPE || c == JOINER {
                        out.push(ESCAPE);
                    }
                    out.push(c);
                }
            }
            after_word = is_word;
        }
        out
    }

    /// The text that a code was made from; what no text is encoded to is read as well as it goes.
    pub fn decode(&self, code: &str) -> String {
        let mut out = String::with_capacity(code.len());
        let mut escaped = false;
        for piece in pieces(code) {
            match piece {
                Piece::Word(word) | Piece::Digit(word) => match self.word(word) {
                    Some(decoded) if !escaped => out.push_str(&decoded),
                    _ => out.push_str(word),
                },
                Piece::Other(ESCAPE) if !escaped => {
                    escaped = true;
                    continue;
                }
                Piece::Other(JOINER) if !escaped => {}
                Piece::Other(c) => out.push(c),
            }
            escaped = false;
        }
        out
    }

    /// The transcript with its chain in code; question and answer stay as they are.
    #[must_use]
    pub fn encode_chain(&self, transcript: &Transcript) -> Transcript {
        Transcript { chain: self.encode(&transcript.chain), ..transcript.clone() }
    }

    /// The code of a word as it is written.
    fn code(&self, word: &str) -> Option<String> {
        look_up(&self.codes, word)
    }

    /// The word of a code as it is written.
    fn word(&self, code: &str) -> Option<String> {
        look_up(&self.words, code)
    }
}

/// What a map of small words holds for a word, in the case of the word.
fn look_up(map: &BTreeMap<String, String>, word: &str) -> Option<String> {
    let case = Case::of(word)?;
    map.get(&word.to_ascii_lowercase()).map(|found| case.give(found))
}
