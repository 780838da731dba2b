//! Paraphrases by a list of words.

use std::collections::BTreeMap;

use rand::RngExt as _;
use rl_core::seed::Seed;

use super::{Edited, Failure, Paraphrase, synonyms::GROUPS};

/// Exchanges words for others that mean the same, in one pass, wherever it knows one.
///
/// The fallback where there is no chat model. Numbers, names, marks and the order of words stay; a
/// word at the beginning of a sentence keeps its capital. It knows short words of reasoning, no
/// grammar, and no words that could be an answer.
#[derive(Debug, Clone)]
pub struct Thesaurus {
    others: BTreeMap<&'static str, Vec<&'static str>>,
}

impl Default for Thesaurus {
    fn default() -> Self {
        let mut others = BTreeMap::new();
        for group in GROUPS {
            for word in *group {
                let rest = group.iter().copied().filter(|other| other != word).collect();
                others.insert(*word, rest);
            }
        }
        Self { others }
    }
}

impl Thesaurus {
    fn swap(&self, word: &str, rng: &mut impl rand::Rng) -> Option<String> {
        let lower = word.to_ascii_lowercase();
        let others = self.others.get(lower.as_str())?;
        let other = others[rng.random_range(0..others.len())];
        let rest = &word[1..];
        if word == lower {
            Some(other.to_owned())
        } else if rest == rest.to_ascii_lowercase() {
            Some(other[..1].to_ascii_uppercase() + &other[1..])
        } else {
            None
        }
    }
}

impl Paraphrase for Thesaurus {
    fn name(&self) -> &'static str {
        "thesaurus"
    }

    fn paraphrase(&self, chains: &[&str], seed: Seed) -> Vec<Edited> {
        let one = |(i, chain): (usize, &&str)| {
            let mut rng = seed.derive("thesaurus", i as u64).rng();
            let mut out = String::with_capacity(chain.len());
            let mut changed = false;
            for piece in words(chain) {
                match self.swap(piece, &mut rng) {
                    Some(other) => {
                        changed = true;
                        out.push_str(&other);
                    }
                    None => out.push_str(piece),
                }
            }
            if changed { Ok(out) } else { Err(Failure::Unchanged) }
        };
        chains.iter().enumerate().map(one).collect()
    }
}

/// A text in words and what is between them. A word is letters of ASCII, and no part of what has
/// digits, hyphens or other letters in it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let inner = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '\'' | '’');
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest.find(|c| inner(c) != inner(first)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn groups_are_sound() {
        let mut seen = BTreeSet::new();
        for word in GROUPS.iter().copied().flatten() {
            assert!(word.bytes().all(|b| b.is_ascii_lowercase()) && word.len() > 1, "{word}");
            assert!(seen.insert(*word), "{word} is in two groups");
        }
        for group in GROUPS {
            assert!(group.len() > 1, "{group:?}");
        }
        // Words that could be the answer to a question are left alone.
        for answer in ["yes", "no", "monday", "one", "zero", "first", "not", "none", "all"] {
            assert!(!seen.contains(answer), "{answer}");
        }
    }

    #[test]
    fn words_are_exchanged_and_numbers_stay() {
        let chain = "So the smaller of 12 and 7 is 7.\nThus so-called SO x2 é3so: 4.";
        let reply = Thesaurus::default().paraphrase(&[chain], Seed::new(3)).remove(0).unwrap();
        let [first, second] = [0, 1].map(|i| reply.lines().nth(i).unwrap());
        assert!(first.ends_with("of 12 and 7 is 7."), "{first}");
        assert!(!first.starts_with("So ") && first.starts_with(char::is_uppercase), "{first}");
        assert!(second.ends_with(" so-called SO x2 é3so: 4."), "{second}");
    }

    #[test]
    fn the_same_seed_gives_the_same_words_and_what_cannot_change_is_flagged() {
        let thesaurus = Thesaurus::default();
        let chains = ["So it takes 3.", "12 + 7 = 19"];
        let [one, again] = [5, 5].map(|seed| thesaurus.paraphrase(&chains, Seed::new(seed)));
        assert_eq!(one, again);
        assert_eq!(one[1], Err(Failure::Unchanged));
    }

    proptest! {
        #[test]
        fn any_text_is_answered_and_digits_stay(chain in "(so|The|smaller|[ -~]|é|\n){0,20}") {
            let digits = |text: &str| -> String {
                text.chars().filter(|c| !c.is_alphabetic()).collect()
            };
            if let Ok(reply) = &Thesaurus::default().paraphrase(&[&chain], Seed::new(1))[0] {
                prop_assert_eq!(digits(reply), digits(&chain));
                prop_assert_ne!(reply, &chain);
            }
        }

        #[test]
        fn words_joined_are_the_text(text in any::<String>()) {
            prop_assert_eq!(words(&text).collect::<String>(), text);
        }
    }
}
