//! Where in what a model has said its chain of thought ends and its answer begins.

use causal_lm::tokenizer::Tokenizer;

use crate::Error;

/// What stands between a chain of thought and an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// Tokens, such as that of `</think>`: what comes before their last occurrence is the chain.
    Tokens(Vec<u32>),
    /// A text, such as `Answer:`, whose last occurrence ends at the end of a token.
    Text(String),
}

/// The parts of what a model has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// A chain, the marker, and an answer of at least one token.
    Whole {
        /// Tokens before the marker.
        chain: Vec<u32>,
        /// Those of the marker.
        bridge: Vec<u32>,
        /// Those after it.
        answer: Vec<u32>,
    },
    /// The marker is not there: the chain was never closed.
    Unmarked,
    /// Nothing follows the marker.
    NoAnswer,
    /// A token holds the end of the marker and the beginning of the answer, so that the answer has
    /// no first token of its own.
    Merged {
        /// Its text.
        token: String,
    },
}

impl Marker {
    /// Cuts `ids`, from which the token that ended them has been taken.
    ///
    /// # Errors
    /// [`Error::Setting`] for an empty marker; [`Error::Lm`] for ids that the tokenizer has no text
    /// for.
    pub fn cut(&self, tokenizer: Option<&Tokenizer>, ids: &[u32]) -> Result<Cut, Error> {
        let found = match self {
            Self::Tokens(marker) if marker.is_empty() => None,
            Self::Tokens(marker) => {
                let at = ids.windows(marker.len()).rposition(|window| window == &marker[..]);
                return Ok(at.map_or(Cut::Unmarked, |at| parts(ids, at, at + marker.len())));
            }
            Self::Text(marker) => tokenizer.filter(|_| !marker.is_empty()).zip(Some(marker)),
        };
        let Some((tokenizer, marker)) = found else {
            let expected = "tokens, or a text and a tokenizer to read it with";
            return Err(Error::setting("marker", expected, "none"));
        };
        // Ends of the tokens in the text; bytes that are no text yet count when they are.
        let mut stream = tokenizer.stream();
        let (mut text, mut ends) = (String::new(), Vec::with_capacity(ids.len()));
        for &id in ids {
            text += &stream.push(id)?;
            ends.push(text.len());
        }
        text += &stream.finish()?;
        if let Some(last) = ends.last_mut() {
            *last = text.len();
        }
        let Some(start) = text.rfind(marker) else { return Ok(Cut::Unmarked) };
        let end = start + marker.len();
        // The first token that reaches into the marker, and the one it ends in.
        let first = ends.partition_point(|&e| e <= start);
        let last = ends.partition_point(|&e| e < end);
        if ends[last] > end {
            let token = tokenizer.decode_text(&ids[last..=last])?;
            let answers = !text[end..].trim().is_empty();
            return Ok(if answers { Cut::Merged { token } } else { Cut::NoAnswer });
        }
        if text[end..].trim().is_empty() {
            return Ok(Cut::NoAnswer);
        }
        Ok(parts(ids, first, last + 1))
    }
}

fn parts(ids: &[u32], start: usize, end: usize) -> Cut {
    if end == ids.len() {
        return Cut::NoAnswer;
    }
    let (chain, bridge) = (ids[..start].to_vec(), ids[start..end].to_vec());
    Cut::Whole { chain, bridge, answer: ids[end..].to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tokenizer of a few words, some of which run over the end of the marker.
    fn words() -> Tokenizer {
        let vocab = r#"{"so": 0, "A": 1, ":": 2, "7": 3, ":7": 4, "\n": 5, "é": 6}"#;
        let json = format!(
            r#"{{"version": "1.0", "decoder": {{"type": "Fuse"}},
                "model": {{"type": "WordLevel", "vocab": {vocab}, "unk_token": "so"}}}}"#
        );
        Tokenizer::from_bytes(json.as_bytes(), "words").unwrap()
    }

    fn text(ids: &[u32]) -> Cut {
        Marker::Text("A:".into()).cut(Some(&words()), ids).unwrap()
    }

    #[test]
    fn the_last_marker_counts() {
        let whole = |chain: &[u32], bridge: &[u32], answer: &[u32]| Cut::Whole {
            chain: chain.to_vec(),
            bridge: bridge.to_vec(),
            answer: answer.to_vec(),
        };
        assert_eq!(text(&[0, 5, 1, 2, 3]), whole(&[0, 5], &[1, 2], &[3]));
        assert_eq!(text(&[1, 2, 3, 5, 1, 2, 6, 3]), whole(&[1, 2, 3, 5], &[1, 2], &[6, 3]));
        assert_eq!(text(&[1, 2, 3]), whole(&[], &[1, 2], &[3]));
        let tokens = Marker::Tokens(vec![2, 2]);
        assert_eq!(tokens.cut(None, &[2, 2, 2, 3]).unwrap(), whole(&[2], &[2, 2], &[3]));
    }

    #[test]
    fn what_has_no_answer_is_said_and_never_scored() {
        assert_eq!(text(&[0, 3]), Cut::Unmarked);
        assert_eq!(text(&[]), Cut::Unmarked);
        assert_eq!(text(&[0, 1, 2]), Cut::NoAnswer);
        assert_eq!(text(&[0, 1, 2, 5]), Cut::NoAnswer, "only white space");
        assert_eq!(text(&[0, 1, 4]), Cut::Merged { token: ":7".into() });
        let tokens = Marker::Tokens(vec![2]);
        assert_eq!(tokens.cut(None, &[0, 2]).unwrap(), Cut::NoAnswer);
        assert_eq!(tokens.cut(None, &[0, 1]).unwrap(), Cut::Unmarked);
        assert!(Marker::Tokens(Vec::new()).cut(None, &[0]).is_err());
        assert!(Marker::Text("A:".into()).cut(None, &[0]).is_err());
    }
}
