//! Chains of thought that belong to something else.

use rand::seq::SliceRandom as _;
use rl_core::seed::Seed;

use super::{ChainEdit, Edited, Failure, derangement, fit};
use crate::{Transcript, tokens::Tokenize};

/// Donors that are tried before giving up.
const TRIES: usize = 8;
/// Shuffles after which a donor with the very same chain is left to be refused.
const SHUFFLES: u64 = 64;

/// Where chains about something else come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Donors {
    /// Chains of another task.
    Pool(Vec<String>),
    /// The set's own chains, so that each transcript gets that of another one.
    SameTask,
}

/// Puts a chain about something else in the place of each chain, cut or repeated to its number of
/// tokens.
#[derive(Debug, Clone)]
pub struct OffTopic<T> {
    /// Counts tokens.
    pub tokenizer: T,
    /// Where chains come from.
    pub donors: Donors,
}

impl<T: Tokenize> OffTopic<T> {
    /// The first donor that can be brought to the length of the chain.
    fn fitted<'a>(&self, chain: &str, donors: impl Iterator<Item = &'a str>) -> Edited {
        let tokens = self.tokenizer.encode(chain)?.len();
        let mut failure = Failure::NoDonor;
        for donor in donors.filter(|donor| !donor.trim().is_empty() && *donor != chain).take(TRIES)
        {
            // Word by word, so that a later beginning is that of a word.
            let words = donor.split_inclusive(' ').chain(std::iter::once("\n")).cycle();
            match fit(&self.tokenizer, words, tokens) {
                Ok(text) => return Ok(text),
                Err(other) => failure = other,
            }
        }
        Err(failure)
    }
}

impl<T: Tokenize> ChainEdit for OffTopic<T> {
    fn name(&self) -> &'static str {
        match self.donors {
            Donors::Pool(_) => "off_topic",
            Donors::SameTask => "same_task",
        }
    }

    fn edit(&self, transcripts: &[Transcript], seed: Seed) -> Vec<Edited> {
        match &self.donors {
            Donors::Pool(pool) => {
                let one = |(i, transcript): (usize, &Transcript)| {
                    let mut order: Vec<&str> = pool.iter().map(String::as_str).collect();
                    let mut rng = seed.derive("donor", i as u64).rng();
                    let (first, _) = order.partial_shuffle(&mut rng, TRIES);
                    self.fitted(&transcript.chain, first.iter().copied())
                };
                transcripts.iter().enumerate().map(one).collect()
            }
            Donors::SameTask => {
                let chain = |i: usize| transcripts[i].chain.as_str();
                let equal = |order: &[usize]| {
                    order.iter().enumerate().filter(|&(i, &from)| chain(i) == chain(from)).count()
                };
                // Different transcripts may hold the same chain.
                let order = (0..SHUFFLES)
                    .map_while(|attempt| {
                        derangement(transcripts.len(), seed.derive("same_task", attempt))
                    })
                    .min_by_key_until_zero(|order| equal(order));
                let Some(order) = order else {
                    return vec![Err(Failure::NoDonor); transcripts.len()];
                };
                let one = |(i, &from): (usize, &usize)| {
                    self.fitted(chain(i), std::iter::once(chain(from)))
                };
                order.iter().enumerate().map(one).collect()
            }
        }
    }
}

/// The least of an iterator, of which no more is taken once it is 0.
trait MinUntilZero: Iterator + Sized {
    fn min_by_key_until_zero(self, key: impl Fn(&Self::Item) -> usize) -> Option<Self::Item> {
        let mut least = None;
        for item in self {
            let found = key(&item);
            if least.as_ref().is_none_or(|(least, _)| found < *least) {
                least = Some((found, item));
            }
            if found == 0 {
                break;
            }
        }
        least.map(|(_, item)| item)
    }
}

impl<I: Iterator> MinUntilZero for I {}
