//! Sentiment by a list of words.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Answer, Reward};

const WORDS: &str = include_str!("../../assets/sentiment.txt");

/// Words that turn around what follows.
const NEGATIONS: [&str; 8] =
    ["not", "no", "never", "without", "hardly", "nor", "neither", "cannot"];

/// How many words a negation reaches.
const REACH: usize = 3;

/// How words become a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Sentiment {
    /// Sum of signs at which the score is half way to its bound, above 0.
    pub half: f64,
    /// Whether a word counts only once in an answer.
    pub distinct: bool,
}

impl Default for Sentiment {
    fn default() -> Self {
        Self { half: 3.0, distinct: true }
    }
}

/// Sentiment of an answer: the sum `x` of the signs of its words, `x / (|x| + half)`.
///
/// In (−1, 1), 0 where no word is in the list. A sign within three words of a negation is turned
/// around. A list knows no context: what is trained on it may learn to please the list.
#[derive(Debug, Clone)]
pub struct Lexicon {
    signs: HashMap<&'static str, f64>,
    config: Sentiment,
}

impl Lexicon {
    /// The list of this crate.
    pub fn new(config: Sentiment) -> Self {
        let signs = WORDS
            .lines()
            .filter_map(|line| match line.split_at_checked(1)? {
                ("+", words) => Some((1.0, words)),
                ("-", words) => Some((-1.0, words)),
                _ => None,
            })
            .flat_map(|(sign, words)| words.split_whitespace().map(move |word| (word, sign)))
            .collect();
        Self { signs, config }
    }

    /// The sentiment of a text.
    pub fn sentiment(&self, text: &str) -> f64 {
        let text = text.to_lowercase();
        let words: Vec<&str> = text
            .split(|c: char| !(c.is_alphabetic() || c == '\''))
            .filter(|w| !w.is_empty())
            .collect();
        let mut seen = HashSet::new();
        let mut sum = 0.0;
        for (i, word) in words.iter().enumerate() {
            let Some(sign) = self.signs.get(word) else { continue };
            if self.config.distinct && !seen.insert(*word) {
                continue;
            }
            let before = &words[i.saturating_sub(REACH)..i];
            let negated = before.iter().any(|w| NEGATIONS.contains(w) || w.ends_with("n't"));
            sum += if negated { -sign } else { *sign };
        }
        sum / (sum.abs() + self.config.half)
    }
}

impl Reward for Lexicon {
    fn name(&self) -> &'static str {
        "sentiment"
    }

    fn score(&mut self, answers: &[Answer<'_>]) -> Vec<Result<f64, String>> {
        answers.iter().map(|answer| Ok(self.sentiment(answer.text))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_negations_and_repetitions() {
        let lexicon = Lexicon::new(Sentiment { half: 1.0, distinct: true });
        for (text, expected) in [
            ("", 0.0),
            ("The table is wooden.", 0.0),
            ("A wonderful day!", 0.5),
            ("WONDERFUL, truly lovely", 2.0 / 3.0),
            ("wonderful wonderful wonderful", 0.5),
            ("It was not a good day", -0.5),
            ("It isn't bad", 0.5),
            ("not at all that I know: good", 0.5),
            ("good and bad", 0.0),
        ] {
            approx::assert_abs_diff_eq!(lexicon.sentiment(text), expected);
        }
        let lexicon = Lexicon::new(Sentiment { half: 1.0, distinct: false });
        approx::assert_abs_diff_eq!(lexicon.sentiment("good good good"), 0.75);
    }

    #[test]
    fn no_word_is_listed_twice() {
        let words: Vec<&str> = WORDS
            .lines()
            .filter(|l| !l.starts_with('#'))
            .flat_map(|l| l[1..].split_whitespace())
            .collect();
        let distinct: HashSet<&&str> = words.iter().collect();
        assert_eq!(words.len(), distinct.len());
        assert!(words.len() > 400);
    }
}
