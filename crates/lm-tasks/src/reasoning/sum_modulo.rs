//! Sums modulo a prime, by running sums.

use serde::{Deserialize, Serialize};

use super::{
    Chain, Form,
    draw::Draw,
    generate::{Generate, Instance, Worked, check_range},
};
use crate::Error;

/// Sums of numbers below a modulus: `17+45+99%113=`, with the chain `17+45=62;62+99=48;`. Its answer
/// is the last sum ([`Form::LastSum`]); for models of characters. 113 is the modulus of the authors'
/// toy path of arXiv 2603.21376.
///
/// Content: the numbers in any order, and the modulus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SumModulo {
    /// Fewest numbers, at least 2.
    pub min_terms: u64,
    /// Most numbers, at most 64.
    pub max_terms: u64,
    /// The modulus, 2 to 10⁹.
    pub modulus: u64,
}

impl Default for SumModulo {
    fn default() -> Self {
        Self { min_terms: 3, max_terms: 5, modulus: 113 }
    }
}

impl Generate for SumModulo {
    fn validate(&self) -> Result<(), Error> {
        let terms = (self.min_terms, self.max_terms);
        check_range("sum_modulo terms", terms, (2, 64), "a range within 2 to 64")?;
        let modulus = (self.modulus, self.modulus);
        check_range("sum_modulo modulus", modulus, (2, 1_000_000_000), "2 to 1000000000")
    }

    fn draw(&self, draw: &mut Draw) -> Box<dyn Instance> {
        let terms = draw.within(self.min_terms, self.max_terms);
        let terms = (0..terms).map(|_| draw.below(self.modulus)).collect();
        Box::new(Sum { terms, modulus: self.modulus })
    }
}

struct Sum {
    terms: Vec<u64>,
    modulus: u64,
}

impl Instance for Sum {
    fn key(&self) -> String {
        let mut terms = self.terms.clone();
        terms.sort_unstable();
        format!("{terms:?} mod {}", self.modulus)
    }

    fn prompt(&self) -> String {
        let terms: Vec<String> = self.terms.iter().map(u64::to_string).collect();
        format!("{}%{}=", terms.join("+"), self.modulus)
    }

    fn form(&self) -> Form {
        Form::LastSum { width: None }
    }

    fn styles(&self) -> usize {
        1
    }

    fn work(&self, _: usize, slip: Option<usize>) -> Worked {
        // As if a ten were carried that is not there.
        let error = if self.modulus > 10 { 10 } else { 1 };
        let mut sum = self.terms[0];
        let mut steps = Vec::new();
        for (i, term) in self.terms[1..].iter().enumerate() {
            let left = sum;
            sum = (sum + term + if slip == Some(i) { error } else { 0 }) % self.modulus;
            steps.push(format!("{left}+{term}={sum};"));
        }
        Worked { chain: Chain { steps }, answer: sum.to_string() }
    }

    fn difficulty(&self) -> Vec<(&'static str, u64)> {
        vec![("terms", self.terms.len() as u64), ("modulus", self.modulus)]
    }
}
