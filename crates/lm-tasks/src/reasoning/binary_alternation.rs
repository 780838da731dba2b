//! Fewest swaps to make a binary text alternate.

use serde::{Deserialize, Serialize};

use super::{
    Form,
    draw::Draw,
    generate::{Generate, Instance, Worked, check_range, check_share, counted, listed},
};
use crate::Error;

/// The fewest swaps of two characters, neighbors or not, that make a text of zeros and ones
/// alternate; −1 if none do. Ranges and shares are those of the published task, in words of ours.
///
/// Content: the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct BinaryAlternation {
    /// Fewest characters, at least 1.
    pub min_length: u64,
    /// Most characters, at most 1,000. Those without a solution may have one more, as published.
    pub max_length: u64,
    /// Share of texts that can be made to alternate.
    pub solvable: f64,
}

impl Default for BinaryAlternation {
    fn default() -> Self {
        Self { min_length: 10, max_length: 30, solvable: 0.8 }
    }
}

impl Generate for BinaryAlternation {
    fn validate(&self) -> Result<(), Error> {
        let length = (self.min_length, self.max_length);
        let expected = "a range within 1 to 1000";
        check_range("binary_alternation length", length, (1, 1_000), expected)?;
        check_share("binary_alternation solvable", self.solvable)
    }

    fn draw(&self, draw: &mut Draw) -> Box<dyn Instance> {
        let length = draw.within(self.min_length, self.max_length);
        let more = draw.below(2);
        let mut count = [length / 2; 2];
        if !length.is_multiple_of(2) {
            count[more as usize] += 1;
        }
        if !draw.chance(self.solvable) {
            // Now they differ by two.
            count[more as usize] += if length.is_multiple_of(2) { 2 } else { 1 };
        }
        let mut bits = vec![0; count[0] as usize];
        bits.resize((count[0] + count[1]) as usize, 1);
        draw.shuffle(&mut bits);
        Box::new(Bits { bits, phrase: draw.index(2) })
    }
}

struct Bits {
    bits: Vec<u8>,
    phrase: usize,
}

impl Bits {
    fn text(&self) -> String {
        self.bits.iter().map(u8::to_string).collect()
    }

    /// Positions, from 1, that differ from the alternating text that starts with a bit.
    fn differing(&self, first: u8) -> Vec<usize> {
        let differs = |(i, &bit): (usize, &u8)| (bit != (first ^ (i % 2) as u8)).then_some(i + 1);
        self.bits.iter().enumerate().filter_map(differs).collect()
    }
}

impl Instance for Bits {
    fn key(&self) -> String {
        self.text()
    }

    fn prompt(&self) -> String {
        let text = self.text();
        let rule = "In an alternating text no two neighbors are the same: 0101 and 101 alternate, \
                    0110 does not.";
        match self.phrase {
            0 => format!(
                "{rule} A swap exchanges any two characters, whether they are neighbors or not. What \
                 is the smallest number of swaps that makes this binary text alternate? Give -1 if no \
                 swaps can do it.\n\n{text}"
            ),
            _ => format!(
                "Here is a binary text: {text}\n\n{rule} You may exchange two characters at any \
                 places, again and again. How few exchanges make the text alternate? If it cannot be \
                 done, answer -1."
            ),
        }
    }

    fn form(&self) -> Form {
        Form::Number
    }

    fn styles(&self) -> usize {
        3
    }

    fn work(&self, style: usize, slip: Option<usize>) -> Worked {
        let mut ones = self.bits.iter().copied().map(usize::from).sum::<usize>();
        let zeros = self.bits.len() - ones;
        if slip == Some(0) && zeros.abs_diff(ones) > 1 {
            // Miscounted, so that it seems possible.
            ones = zeros;
        }
        let mut lines = vec![match style {
            0 => format!("There are {} and {}.", counted(zeros, "zero"), counted(ones, "one")),
            1 => format!("I count {zeros} times 0 and {ones} times 1."),
            _ => format!("Zeros: {zeros}. Ones: {ones}."),
        }];
        let apart = zeros.abs_diff(ones);
        if apart > 1 && slip != Some(1) {
            lines.push(match style {
                0 => format!("They differ by {apart}, so the text cannot alternate: -1."),
                1 => format!(
                    "With {apart} more of one kind, no order alternates, which is answered by -1."
                ),
                _ => format!("Difference: {apart}, more than 1, so it is impossible. Result: -1."),
            });
            return Worked::lines(lines, -1);
        }
        lines.push(match style {
            0 => format!("They differ by {apart}, so the text can alternate."),
            1 => "So there is an order that alternates.".to_owned(),
            _ => format!("Difference: {apart}, at most 1, so it is possible."),
        });
        let starts: &[u8] = match zeros.cmp(&ones) {
            std::cmp::Ordering::Greater => &[0],
            std::cmp::Ordering::Less => &[1],
            std::cmp::Ordering::Equal => &[0, 1],
        };
        let mut all_swaps = Vec::new();
        for &first in starts {
            let places = self.differing(first);
            let wrong = usize::from(slip == Some(lines.len()));
            let swaps = places.len() / 2 + wrong;
            let (count, listed) = (places.len() + 2 * wrong, listed(&places));
            lines.push(match style {
                0 => format!(
                    "Starting with {first}, the places that differ are {listed}: {count} of them, and \
                     a swap mends two, so {}.", counted(swaps, "swap")
                ),
                1 => format!(
                    "If it begins with {first}, wrong characters stand at {listed}. That is {count}, \
                     or {} of two.", counted(swaps, "exchange")
                ),
                _ => format!("Start {first}: wrong at {listed}; {count} / 2 = {swaps}."),
            });
            all_swaps.push(swaps);
        }
        let fewest = all_swaps.iter().min().copied().unwrap_or(0);
        let answer = fewest + usize::from(slip == Some(lines.len()));
        lines.push(match (style, &all_swaps[..]) {
            (0, [a, b]) => format!("The smaller of {a} and {b} is {answer}."),
            (1, [_, _]) => format!("The better start needs {answer}."),
            (2, [a, b]) => format!("min({a}, {b}) = {answer}."),
            (0, _) => format!("So it takes {}.", counted(answer, "swap")),
            (1, _) => format!("No other start is possible, so it takes {answer}."),
            (_, _) => format!("Result: {answer}."),
        });
        Worked::lines(lines, answer)
    }

    fn difficulty(&self) -> Vec<(&'static str, u64)> {
        vec![("length", self.bits.len() as u64)]
    }
}
