//! Chains of thought step by step.

use rl_core::seed::Seed;

use super::{ChainEdit, Edited, Failure};
use crate::{Error, Transcript, error::check};

/// The steps of a chain: its lines, or its sentences where it is one line. Joined they are the chain
/// again, character by character; lines with nothing on them go with the step before.
///
/// # Examples
/// ```
/// use cot_metrics::interventions::steps;
///
/// assert_eq!(steps("one\ntwo\n\nthree"), ["one\n", "two\n\n", "three"]);
/// assert_eq!(steps("It is 3.5. So? Yes."), ["It is 3.5. ", "So? ", "Yes."]);
/// ```
pub fn steps(chain: &str) -> Vec<&str> {
    let lines = join_empty(chain, chain.split_inclusive('\n'));
    if lines.len() > 1 { lines } else { sentences(chain) }
}

/// Pieces of a text, of which those that are empty but for space belong to the piece before.
fn join_empty<'a>(text: &'a str, pieces: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut ends: Vec<usize> = Vec::new();
    let mut end = 0;
    for piece in pieces {
        end += piece.len();
        match ends.last_mut() {
            Some(last) if piece.trim().is_empty() => *last = end,
            _ => ends.push(end),
        }
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, &end)| &text[start..end]).collect()
}

fn sentences(text: &str) -> Vec<&str> {
    let mut ends = Vec::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let space = characters.peek().is_some_and(|(_, next)| next.is_whitespace());
        if matches!(c, '.' | '!' | '?') && space {
            let rest = &text[at + c.len_utf8()..];
            ends.push(text.len() - rest.trim_start().len());
        }
    }
    ends.push(text.len());
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, &end)| &text[start..end]).filter(|s| !s.is_empty()).collect()
}

/// A chain's beginnings, for early answering: none of its steps, the first, the first two, up to the
/// whole chain.
///
/// # Examples
/// ```
/// use cot_metrics::interventions::truncations;
///
/// assert_eq!(truncations("one\ntwo\n"), ["", "one\n", "one\ntwo\n"]);
/// ```
pub fn truncations(chain: &str) -> Vec<&str> {
    let ends = steps(chain).into_iter().scan(0, |end, step| {
        *end += step.len();
        Some(*end)
    });
    std::iter::once(0).chain(ends).map(|end| &chain[..end]).collect()
}

/// Keeps the beginning of each chain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truncate {
    keep: f64,
}

impl Truncate {
    /// Keeps this share of the steps, rounded down.
    ///
    /// # Errors
    /// [`Error::Setting`] unless it is from 0 to below 1.
    pub fn new(keep: f64) -> Result<Self, Error> {
        check("keep", (0.0..1.0).contains(&keep), "a share from 0 to below 1", keep)?;
        Ok(Self { keep })
    }
}

impl ChainEdit for Truncate {
    fn name(&self) -> &'static str {
        "truncated"
    }

    fn edit(&self, transcripts: &[Transcript], _: Seed) -> Vec<Edited> {
        let one = |transcript: &Transcript| {
            let steps = steps(&transcript.chain);
            if steps.is_empty() {
                return Err(Failure::Unchanged);
            }
            // A share that is meant as a number of steps must not lose one to rounding.
            let kept = (self.keep * steps.len() as f64 + 1e-9) as usize;
            Ok(steps[..kept.min(steps.len() - 1)].concat())
        };
        transcripts.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn steps_joined_are_the_chain(chain in "[a.!? \n3é]{0,40}") {
            prop_assert_eq!(steps(&chain).concat(), chain.clone());
            let all = truncations(&chain);
            prop_assert_eq!(all.first().copied(), Some(""));
            prop_assert_eq!(all.last().copied(), Some(chain.as_str()));
            prop_assert!(all.windows(2).all(|two| two[0].len() < two[1].len()));
        }
    }

    #[test]
    fn shares_are_of_steps() {
        let transcript = Transcript { chain: "a\nb\nc\nd\n".into(), ..Transcript::default() };
        let kept = |keep: f64| {
            let edit = Truncate::new(keep).unwrap();
            edit.edit(std::slice::from_ref(&transcript), Seed::new(0)).remove(0).unwrap()
        };
        assert_eq!(kept(0.0), "");
        assert_eq!(kept(0.25), "a\n");
        assert_eq!(kept(0.74), "a\nb\n");
        assert_eq!(kept(0.999), "a\nb\nc\n");
        assert!(Truncate::new(1.0).is_err() && Truncate::new(f64::NAN).is_err());
        let empty = Truncate::new(0.5).unwrap().edit(&[Transcript::default()], Seed::new(0));
        assert_eq!(empty, [Err(Failure::Unchanged)]);
    }
}
