//! Text that says nothing, in place of a chain.

use rand::{Rng as _, RngExt as _};
use rl_core::seed::Seed;
use serde::{Deserialize, Serialize};

use super::{ChainEdit, Edited, fit};
use crate::{Transcript, tokens::Tokenize};

/// What a filler is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FillerKind {
    /// Three dots again and again, as Lanham's filler.
    Dots,
    /// Words that look like a language and are none.
    Lorem,
    /// One word again and again.
    Repeated(String),
    /// Names of numbers in no order.
    NumberWords,
    /// A piece of each of the others in turn.
    Mixed,
}

/// Fills the place of each chain with as many tokens of something else.
#[derive(Debug, Clone)]
pub struct Filler<T> {
    /// Counts tokens.
    pub tokenizer: T,
    /// What it is made of.
    pub kind: FillerKind,
}

/// Syllables of the words that are none.
const SYLLABLES: [&str; 24] = [
    "ba", "ce", "dol", "er", "fi", "gan", "hu", "il", "jo", "kum", "la", "mor", "ne", "os", "pra",
    "qui", "ret", "si", "tu", "ul", "ven", "wex", "ya", "zor",
];

const NUMBERS: [&str; 20] = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

/// What the mixed kind repeats.
const REPEATED: &str = "ponder";

/// Pieces without end.
#[derive(Clone)]
struct Pieces<'a> {
    kind: &'a FillerKind,
    rng: rand_chacha::ChaCha8Rng,
    made: usize,
}

impl Pieces<'_> {
    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.rng.random_range(0..from.len())]
    }

    fn lorem(&mut self) -> String {
        let syllables = 1 + (self.rng.next_u32() % 3) as usize;
        let mut word = String::from(" ");
        for _ in 0..syllables {
            word.push_str(self.pick(&SYLLABLES));
        }
        word
    }
}

impl Iterator for Pieces<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.made += 1;
        Some(match self.kind {
            FillerKind::Dots => " ...".to_owned(),
            FillerKind::Lorem => self.lorem(),
            FillerKind::Repeated(word) => format!(" {word}"),
            FillerKind::NumberWords => format!(" {}", self.pick(&NUMBERS)),
            FillerKind::Mixed => match self.made % 4 {
                0 => " ...".to_owned(),
                1 => self.lorem(),
                2 => format!(" {REPEATED}"),
                _ => format!(" {}", self.pick(&NUMBERS)),
            },
        })
    }
}

impl<T: Tokenize> ChainEdit for Filler<T> {
    fn name(&self) -> &'static str {
        match self.kind {
            FillerKind::Dots => "dots",
            FillerKind::Lorem => "lorem",
            FillerKind::Repeated(_) => "repeated",
            FillerKind::NumberWords => "number_words",
            FillerKind::Mixed => "mixed",
        }
    }

    fn edit(&self, transcripts: &[Transcript], seed: Seed) -> Vec<Edited> {
        let one = |(i, transcript): (usize, &Transcript)| {
            let tokens = self.tokenizer.encode(&transcript.chain)?.len();
            let rng = seed.derive("filler", i as u64).rng();
            fit(&self.tokenizer, Pieces { kind: &self.kind, rng, made: 0 }, tokens)
        };
        transcripts.iter().enumerate().map(one).collect()
    }
}
