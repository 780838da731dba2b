//! Texts of a given number of tokens, which they keep when they are written down and read again.

use crate::{Error, interventions::Failure, tokens::Tokenize};

/// Beginnings of the source that are tried.
const STARTS: usize = 12;
/// Characters around the cut that are tried.
const REACH: usize = 12;

/// Whether a text has exactly `tokens` tokens and is the same once decoded and encoded again.
///
/// # Errors
/// [`Error::Tokenizer`].
pub fn survives(
    tokenizer: &(impl Tokenize + ?Sized),
    text: &str,
    tokens: usize,
) -> Result<bool, Error> {
    let ids = tokenizer.encode(text)?;
    if ids.len() != tokens {
        return Ok(false);
    }
    let decoded = tokenizer.decode(&ids)?;
    Ok(decoded == text && tokenizer.encode(&decoded)?.len() == tokens)
}

/// A text of exactly `tokens` tokens, made of the pieces in turn: as many as are needed, and cut.
///
/// The cut first goes between tokens; where the text then encodes to another number, as it does
/// where the cut splits a word that the tokenizer has whole, cuts at characters nearby are tried, and
/// later beginnings. What is returned [`survives`].
///
/// # Errors
/// [`Failure::TokenCount`] where no such text was found, as from pieces without tokens;
/// [`Failure::Tokenizer`].
///
/// # Examples
/// ```
/// use cot_metrics::{Error, interventions::fit, tokens::Tokenize};
///
/// /// One token for each character.
/// struct Characters;
///
/// impl Tokenize for Characters {
///     fn name(&self) -> &str {
///         "characters"
///     }
///
///     fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
///         Ok(text.chars().map(u32::from).collect())
///     }
///
///     fn decode(&self, ids: &[u32]) -> Result<String, Error> {
///         Ok(ids.iter().filter_map(|&id| char::from_u32(id)).collect())
///     }
/// }
///
/// let pieces = ["so ", "it goes "];
/// assert_eq!(fit(&Characters, pieces.iter().cycle(), 14).unwrap(), "so it goes so ");
/// ```
pub fn fit<S: AsRef<str>>(
    tokenizer: &(impl Tokenize + ?Sized),
    pieces: impl Iterator<Item = S> + Clone,
    tokens: usize,
) -> Result<String, Failure> {
    if tokens == 0 {
        return Ok(String::new());
    }
    let mut start = pieces;
    for _ in 0..STARTS {
        let text = at_least(tokenizer, start.clone(), tokens)?;
        if let Some(text) = cut(tokenizer, &text, tokens)? {
            return Ok(text);
        }
        if start.next().is_none() {
            break;
        }
    }
    Err(Failure::TokenCount { expected: tokens })
}

/// Pieces joined until there are so many tokens; fewer where the pieces end or are empty.
fn at_least<S: AsRef<str>>(
    tokenizer: &(impl Tokenize + ?Sized),
    mut pieces: impl Iterator<Item = S>,
    tokens: usize,
) -> Result<String, Failure> {
    let mut text = String::new();
    // A token takes a byte at least of most tokenizers, and four of most texts.
    let mut enough_bytes = 4 * tokens;
    let most_bytes = 64 * tokens + 1024;
    loop {
        let mut ended = true;
        // Empty pieces must not go on for ever.
        for piece in pieces.by_ref().take(tokens.max(64)) {
            ended = false;
            text.push_str(piece.as_ref());
            if text.len() >= enough_bytes {
                break;
            }
        }
        let found = tokenizer.encode(&text)?.len();
        if ended || text.is_empty() || found > tokens || text.len() >= most_bytes {
            return Ok(text);
        }
        enough_bytes = text.len() + 4 * (tokens + 1 - found);
    }
}

fn cut(
    tokenizer: &(impl Tokenize + ?Sized),
    text: &str,
    tokens: usize,
) -> Result<Option<String>, Failure> {
    let ids = tokenizer.encode(text)?;
    if ids.len() < tokens {
        return Ok(None);
    }
    let between = tokenizer.decode(&ids[..tokens])?;
    if survives(tokenizer, &between, tokens)? {
        return Ok(Some(between));
    }
    let ends: Vec<usize> =
        text.char_indices().map(|(at, _)| at).chain(std::iter::once(text.len())).collect();
    let near = ends.partition_point(|&end| end < between.len());
    for distance in 0..=REACH {
        for at in [near.checked_sub(distance), Some(near + distance)].into_iter().flatten() {
            let Some(&end) = ends.get(at) else { continue };
            if survives(tokenizer, &text[..end], tokens)? {
                return Ok(Some(text[..end].to_owned()));
            }
        }
    }
    Ok(None)
}
