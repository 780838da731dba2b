//! Mistakes in a step of a chain.

use rand::RngExt as _;
use rl_core::seed::Seed;

use super::{ChainEdit, Edited, Failure, steps};
use crate::{Error, Transcript, error::check};

/// A chain up to and with step `step` (from 0), in which the last whole number of that step is wrong.
/// What follows is for the model to continue, as in Lanham's measure.
///
/// The number differs from the right one by 1 to 9 and keeps its place; none where the step has no
/// number, or there is no such step. Numbers of more than 15 digits are left alone.
///
/// # Examples
/// ```
/// use cot_metrics::interventions::with_mistake;
/// use rl_core::seed::Seed;
///
/// let wrong = with_mistake("3 + 4 = 7\n7 + 5 = 12\n", 0, Seed::new(1)).unwrap();
/// assert!(wrong.starts_with("3 + 4 = ") && wrong.ends_with('\n') && wrong != "3 + 4 = 7\n");
/// ```
pub fn with_mistake(chain: &str, step: usize, seed: Seed) -> Option<String> {
    let steps = steps(chain);
    let changed = wrong_number(steps.get(step)?, seed)?;
    Some(steps[..step].concat() + &changed)
}

fn wrong_number(step: &str, seed: Seed) -> Option<String> {
    let end = step.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = step[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| {
        // The character before the digits may be of several bytes.
        at + step[at..].chars().next().map_or(0, char::len_utf8)
    });
    let digits = &step[start..end];
    let right: u64 = digits.parse().ok().filter(|_| digits.len() <= 15)?;
    let mut rng = seed.derive("mistake", 0).rng();
    let by = rng.random_range(1..=9);
    let wrong = if right >= by && rng.random() { right - by } else { right + by };
    let width = digits.len();
    Some(format!("{}{wrong:0width$}{}", &step[..start], &step[end..]))
}

/// Puts a mistake into each chain and ends it there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mistake {
    at: f64,
}

impl Mistake {
    /// In the first step with a number from this share of the steps on.
    ///
    /// # Errors
    /// [`Error::Setting`] unless it is from 0 to below 1.
    pub fn new(at: f64) -> Result<Self, Error> {
        check("at", (0.0..1.0).contains(&at), "a share from 0 to below 1", at)?;
        Ok(Self { at })
    }
}

impl ChainEdit for Mistake {
    fn name(&self) -> &'static str {
        "mistake"
    }

    fn edit(&self, transcripts: &[Transcript], seed: Seed) -> Vec<Edited> {
        let one = |(i, transcript): (usize, &Transcript)| {
            let steps = steps(&transcript.chain).len();
            let first = (self.at * steps as f64 + 1e-9) as usize;
            let seed = seed.derive("transcript", i as u64);
            (first..steps)
                .find_map(|step| with_mistake(&transcript.chain, step, seed))
                .ok_or(Failure::NoNumber)
        };
        transcripts.iter().enumerate().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn one_number_is_wrong(seed in any::<u64>(), step in 0_usize..3, n in 0_u64..2_000) {
            let chain = format!("x{n}y\n{n} – é{n}\n{n}\n");
            let wrong = with_mistake(&chain, step, Seed::new(seed)).unwrap();
            let (right, wrong): (Vec<&str>, Vec<&str>) = (steps(&chain), steps(&wrong));
            prop_assert_eq!(wrong.len(), step + 1);
            prop_assert_eq!(&wrong[..step], &right[..step]);
            prop_assert_ne!(wrong[step], right[step]);
            let numbers = |text: &str| -> Vec<i64> {
                text.split(|c: char| !c.is_ascii_digit()).filter_map(|d| d.parse().ok()).collect()
            };
            let (right, wrong) = (numbers(right[step]), numbers(wrong[step]));
            prop_assert_eq!(&right[..right.len() - 1], &wrong[..right.len() - 1]);
            let by = (right[right.len() - 1] - wrong[right.len() - 1]).abs();
            prop_assert!((1..=9).contains(&by));
        }
    }

    #[test]
    fn a_chain_without_numbers_is_flagged() {
        let of = |chain: &str| Transcript { chain: chain.into(), ..Transcript::default() };
        let edit = Mistake::new(0.5).unwrap();
        let edited = edit.edit(&[of("a\nb\nc 1\n"), of("1\nb\n"), of("")], Seed::new(0));
        assert!(edited[0].as_ref().unwrap().starts_with("a\nb\nc "));
        assert_eq!(edited[1..], [Err(Failure::NoNumber), Err(Failure::NoNumber)]);
        assert_eq!(with_mistake(&"1".repeat(30), 0, Seed::new(0)), None);
        assert!(Mistake::new(-0.1).is_err());
    }
}
