//! Texts cut into words, digits and single characters.

/// A piece of a text. Pieces joined are the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// As many ASCII letters as there are.
    Word(&'a str),
    /// One ASCII digit.
    Digit(&'a str),
    /// Any other character.
    Other(char),
}

pub(super) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = if first.is_ascii_alphabetic() {
            rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(match first {
            'a'..='z' | 'A'..='Z' => Piece::Word(piece),
            '0'..='9' => Piece::Digit(piece),
            other => Piece::Other(other),
        })
    })
}

/// How a word is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Small,
    /// The first letter is a capital, and there may be no other.
    Title,
    Capitals,
}

impl Case {
    /// None for other mixtures.
    pub(super) fn of(word: &str) -> Option<Self> {
        let capital = |b: u8| b.is_ascii_uppercase();
        let (first, rest) = word.as_bytes().split_first()?;
        match (capital(*first), rest) {
            (false, rest) if !rest.iter().any(|&b| capital(b)) => Some(Self::Small),
            (true, rest) if !rest.iter().any(|&b| capital(b)) => Some(Self::Title),
            (true, rest) if rest.iter().all(|&b| capital(b)) => Some(Self::Capitals),
            _ => None,
        }
    }

    pub(super) fn give(self, word: &str) -> String {
        match self {
            Self::Small => word.to_owned(),
            Self::Title => word[..1].to_ascii_uppercase() + &word[1..],
            Self::Capitals => word.to_ascii_uppercase(),
        }
    }
}
