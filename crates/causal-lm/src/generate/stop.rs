//! Text as it grows, and strings that end it.

/// What can safely be shown of a growing text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextPiece {
    /// Text that no stop string can take back any more.
    pub text: String,
    /// Whether a stop string has ended the text.
    pub stopped: bool,
}

/// Looks for stop strings in text that arrives in pieces.
///
/// Text that may turn out to be the beginning of a stop string is held back until it is known.
///
/// # Examples
/// ```
/// use causal_lm::generate::StopStrings;
/// let mut stop = StopStrings::new(vec!["###".into()]);
/// assert_eq!(stop.push("so #").text, "so ");
/// let end = stop.push("## and on");
/// assert_eq!((end.text.as_str(), end.stopped), ("", true));
/// ```
#[derive(Debug, Clone)]
pub struct StopStrings {
    stops: Vec<String>,
    held: String,
}

impl StopStrings {
    /// Empty strings are never found.
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops: stops.into_iter().filter(|s| !s.is_empty()).collect(), held: String::new() }
    }

    /// Takes the next piece; the text before the earliest stop string comes back.
    pub fn push(&mut self, piece: &str) -> TextPiece {
        self.held.push_str(piece);
        if let Some(at) = self.stops.iter().filter_map(|s| self.held.find(s.as_str())).min() {
            let text = self.held[..at].to_owned();
            self.held.clear();
            return TextPiece { text, stopped: true };
        }
        let keep = self.stops.iter().map(|s| overlap(&self.held, s)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        TextPiece { text: std::mem::replace(&mut self.held, rest), stopped: false }
    }

    /// What was held back, when no more text comes.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Bytes at the end of `text` that begin `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    (1..=stop.len().min(text.len()))
        .rev()
        .find(|&n| {
            stop.is_char_boundary(n)
                && text.is_char_boundary(text.len() - n)
                && text.ends_with(&stop[..n])
        })
        .unwrap_or(0)
}
