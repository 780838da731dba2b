//! Sums of numbers of fixed width, in a short and a long format.

use serde::{Deserialize, Serialize};

use super::{
    Chain, Form,
    draw::Draw,
    generate::{Generate, Instance, Worked, check_range, check_share},
};
use crate::Error;

/// The task of the prototype in the fact sheet of arXiv 2603.21376: `123+956+789=`, the sum modulo
/// 10^digits, by running sums, for models of characters. The first character of a response picks its
/// format.
///
/// ```text
/// S123+956=079;079+789=868;              S, then each sum, top digit first: 25 characters
/// L123+956=090710079;079+789=181608868;  L, and before each sum its carry and digit, column by
///                                        column from the right: 37 characters
/// ```
///
/// With the token that ends a text these are the 26 and 38 tokens of the sheet. The answer is the
/// last sum ([`Form::LastSum`]); both formats are in [`super::Problem::chains`].
///
/// Content: the operands in any order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RunningSum {
    /// Numbers to add, 2 to 64.
    pub terms: u64,
    /// Digits of each number and each sum, zeros in front included, 1 to 9.
    pub digits: u64,
    /// Share of problems whose first chain is in the long format.
    pub long_share: f64,
}

impl Default for RunningSum {
    /// The prototype's, both formats equally often.
    fn default() -> Self {
        Self { terms: 3, digits: 3, long_share: 0.5 }
    }
}

impl Generate for RunningSum {
    fn validate(&self) -> Result<(), Error> {
        check_range("running_sum terms", (self.terms, self.terms), (2, 64), "2 to 64")?;
        check_range("running_sum digits", (self.digits, self.digits), (1, 9), "1 to 9")?;
        check_share("running_sum long_share", self.long_share)
    }

    fn draw(&self, draw: &mut Draw) -> Box<dyn Instance> {
        let digits = self.digits as u32;
        let terms = (0..self.terms).map(|_| draw.below(10_u64.pow(digits))).collect();
        Box::new(Sum { terms, digits, long_share: self.long_share })
    }
}

struct Sum {
    terms: Vec<u64>,
    digits: u32,
    long_share: f64,
}

impl Sum {
    fn padded(&self, number: u64) -> String {
        format!("{number:0width$}", width = self.digits as usize)
    }

    /// Carry and digit of each column from the right.
    fn scratch(&self, a: u64, b: u64, sum: u64) -> String {
        let column = |i| {
            let (place, next) = (10_u64.pow(i), 10_u64.pow(i + 1));
            let carry = u64::from(a % next + b % next >= next);
            [carry.to_string(), (sum / place % 10).to_string()]
        };
        (0..self.digits).flat_map(column).collect()
    }
}

impl Instance for Sum {
    fn key(&self) -> String {
        let mut terms = self.terms.clone();
        terms.sort_unstable();
        format!("{terms:?} of {} digits", self.digits)
    }

    fn prompt(&self) -> String {
        let terms: Vec<String> = self.terms.iter().map(|&term| self.padded(term)).collect();
        format!("{}=", terms.join("+"))
    }

    fn form(&self) -> Form {
        Form::LastSum { width: Some(self.digits as usize) }
    }

    fn styles(&self) -> usize {
        2
    }

    fn style(&self, draw: &mut Draw) -> usize {
        usize::from(draw.chance(self.long_share))
    }

    fn work(&self, style: usize, slip: Option<usize>) -> Worked {
        let modulus = 10_u64.pow(self.digits);
        let mut sum = self.terms[0];
        let mut steps = vec![if style == 0 { "S" } else { "L" }.to_owned()];
        for (i, &term) in self.terms[1..].iter().enumerate() {
            let left = sum;
            // The top digit is the hardest, and the first to go wrong.
            let error = if slip == Some(i + 1) { modulus / 10 } else { 0 };
            sum = (left + term + error) % modulus;
            let scratch = if style == 0 { String::new() } else { self.scratch(left, term, sum) };
            let [left, term, sum] = [left, term, sum].map(|n| self.padded(n));
            steps.push(format!("{left}+{term}={scratch}{sum};"));
        }
        Worked { chain: Chain { steps }, answer: self.padded(sum) }
    }

    fn difficulty(&self) -> Vec<(&'static str, u64)> {
        vec![("terms", self.terms.len() as u64), ("digits", u64::from(self.digits))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_those_of_the_sheet() {
        let sum = Sum { terms: vec![123, 956, 789], digits: 3, long_share: 0.0 };
        assert_eq!(sum.prompt(), "123+956+789=");
        let [short, long] = [0, 1].map(|style| sum.work(style, None));
        assert_eq!(short.chain.text(), "S123+956=079;079+789=868;");
        assert_eq!(long.chain.text(), "L123+956=090710079;079+789=181608868;");
        assert_eq!((short.chain.text().len() + 1, long.chain.text().len() + 1), (26, 38));
        assert_eq!((short.answer.as_str(), long.answer.as_str()), ("868", "868"));
    }
}
