//! Addition column by column, in sentences.

use serde::{Deserialize, Serialize};

use super::{
    Form,
    draw::Draw,
    generate::{Generate, Instance, Worked, check_range},
};
use crate::Error;

/// The sum of two numbers of several digits, worked out column by column in sentences.
///
/// Content: the two numbers in any order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Addition {
    /// Fewest digits of a number, at least 1.
    pub min_digits: u64,
    /// Most digits of a number, at most 9.
    pub max_digits: u64,
}

impl Default for Addition {
    fn default() -> Self {
        Self { min_digits: 2, max_digits: 4 }
    }
}

const COLUMNS: [&str; 9] = [
    "ones",
    "tens",
    "hundreds",
    "thousands",
    "ten thousands",
    "hundred thousands",
    "millions",
    "ten millions",
    "hundred millions",
];

impl Generate for Addition {
    fn validate(&self) -> Result<(), Error> {
        let digits = (self.min_digits, self.max_digits);
        check_range("addition digits", digits, (1, 9), "a range within 1 to 9")
    }

    fn draw(&self, draw: &mut Draw) -> Box<dyn Instance> {
        let mut number = || {
            let digits = draw.within(self.min_digits, self.max_digits) as u32;
            draw.within(10_u64.pow(digits - 1), 10_u64.pow(digits) - 1)
        };
        let (a, b) = (number(), number());
        Box::new(Sum { a, b, phrase: draw.index(3) })
    }
}

struct Sum {
    a: u64,
    b: u64,
    phrase: usize,
}

impl Sum {
    fn columns(&self) -> u32 {
        self.a.max(self.b).ilog10() + 1
    }
}

impl Instance for Sum {
    fn key(&self) -> String {
        format!("{} + {}", self.a.min(self.b), self.a.max(self.b))
    }

    fn prompt(&self) -> String {
        let Self { a, b, .. } = self;
        match self.phrase {
            0 => format!("What is {a} + {b}?"),
            1 => format!("Add {a} and {b}."),
            _ => format!("Work out the sum of {a} and {b}."),
        }
    }

    fn form(&self) -> Form {
        Form::Number
    }

    fn styles(&self) -> usize {
        3
    }

    fn work(&self, style: usize, slip: Option<usize>) -> Worked {
        let columns = self.columns();
        let mut lines = Vec::new();
        let (mut carry, mut sum) = (0, 0);
        for i in 0..columns {
            let place = 10_u64.pow(i);
            let (x, y) = (self.a / place % 10, self.b / place % 10);
            let error = u64::from(slip == Some(i as usize));
            let total = x + y + carry + error;
            let digit = total % 10;
            let column = COLUMNS[i as usize];
            let old = std::mem::replace(&mut carry, total / 10);
            sum += digit * place;
            lines.push(match style {
                0 => {
                    let old = if old == 0 { String::new() } else { format!(" + {old}") };
                    let rest = if carry == 0 { String::new() } else { format!(", carry {carry}") };
                    format!("The {column}: {x} + {y}{old} = {total}, write {digit}{rest}.")
                }
                1 => {
                    let old = if old == 0 { "" } else { " and the carried 1" };
                    let rest = if carry == 0 { "" } else { " and carry 1 over" };
                    format!("In the {column} column, {x} and {y}{old} make {total}; put down {digit}{rest}.")
                }
                _ => {
                    let old = if old == 0 { String::new() } else { format!(", plus {old} from before") };
                    let rest = if carry == 0 { "nothing is" } else { "1 is" };
                    format!("For the {column}, {x} plus {y}{old} gives {total}: the digit is {digit} and {rest} left over.")
                }
            });
        }
        sum += carry * 10_u64.pow(columns);
        if slip == Some(columns as usize) {
            sum += 1;
        }
        lines.push(match style {
            0 => format!("Together the digits are {sum}."),
            1 => format!("Read from the top, that is {sum}."),
            _ => format!("So the sum is {sum}."),
        });
        Worked::lines(lines, sum)
    }

    fn difficulty(&self) -> Vec<(&'static str, u64)> {
        let mut carries = 0;
        for i in 1..=self.columns() {
            let place = 10_u64.pow(i);
            carries += u64::from(self.a % place + self.b % place >= place);
        }
        vec![("digits", u64::from(self.columns())), ("carries", carries)]
    }
}
