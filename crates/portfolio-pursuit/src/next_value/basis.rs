//! Linear regressions on functions of the portfolio.

use serde::{Deserialize, Serialize};

use super::{NextValue, least_squares};
use crate::Error;

/// Functions of a portfolio ρ whose sum, weighted, stands for its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// 1 and every `ρ_i`, as published. Its k knows nothing of the portfolio: a fixed subsidy.
    Linear,
    /// All products of degree 2 and below.
    Quadratic,
    /// 1, every `ρ_i`, and max(`ρ_i` − knot, 0) for knots of each category: piecewise linear and
    /// separable. Exact where no customer is in two categories and every count is a knot.
    Hinges {
        /// Knots of each category.
        knots: Vec<Vec<f64>>,
    },
}

impl Basis {
    /// Hinges with a knot at each count from 1 to `most`.
    pub fn hinges_at_every_count(categories: usize, most: u32) -> Self {
        Self::Hinges { knots: vec![(1..=most).map(f64::from).collect(); categories] }
    }

    /// The functions' values at a portfolio, the constant first.
    pub fn functions(&self, portfolio: &[u32]) -> Vec<f64> {
        let counts: Vec<f64> = portfolio.iter().map(|&n| f64::from(n)).collect();
        let mut out = vec![1.0];
        out.extend(&counts);
        match self {
            Self::Linear => {}
            Self::Quadratic => {
                for (i, x) in counts.iter().enumerate() {
                    out.extend(counts[i..].iter().map(|y| x * y));
                }
            }
            Self::Hinges { knots } => {
                for (x, knots) in counts.iter().zip(knots) {
                    out.extend(knots.iter().map(|knot| (x - knot).max(0.0)));
                }
            }
        }
        out
    }
}

/// Weighted least squares on a basis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    basis: Basis,
    coefficients: Vec<f64>,
}

impl Regression {
    /// A regression that is 0 until it is fitted.
    pub fn new(basis: Basis) -> Self {
        Self { basis, coefficients: Vec::new() }
    }

    /// The functions it sums.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// Their weights; none before a fit.
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }
}

impl NextValue for Regression {
    fn fit(
        &mut self,
        portfolios: &[Vec<u32>],
        values: &[f64],
        weights: &[f64],
    ) -> Result<(), Error> {
        if values.is_empty() {
            return Err(Error::setting("samples", "at least one", 0));
        }
        for (name, found) in [("values", values.len()), ("weights", weights.len())] {
            if found != portfolios.len() {
                return Err(Error::Length { name, expected: portfolios.len(), found });
            }
        }
        let rows: Vec<Vec<f64>> = portfolios.iter().map(|p| self.basis.functions(p)).collect();
        self.coefficients = least_squares(&rows, values, weights);
        Ok(())
    }

    fn value(&self, portfolio: &[u32]) -> f64 {
        self.basis.functions(portfolio).iter().zip(&self.coefficients).map(|(f, c)| f * c).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portfolio::Members;

    fn grid() -> Vec<Vec<u32>> {
        (0..6).flat_map(|i| (0..6).map(move |j| vec![i, j])).collect()
    }

    fn fitted(basis: Basis, value: impl Fn(&[u32]) -> f64) -> Regression {
        let portfolios = grid();
        let values: Vec<f64> = portfolios.iter().map(|p| value(p)).collect();
        let mut model = Regression::new(basis);
        model.fit(&portfolios, &values, &vec![1.0; values.len()]).unwrap();
        model
    }

    #[test]
    fn each_basis_holds_what_it_should() {
        let line = |p: &[u32]| 3.0 + 2.0 * f64::from(p[0]) - f64::from(p[1]);
        let square = |p: &[u32]| f64::from(p[0] * p[1]) - f64::from(p[1] * p[1]) / 2.0;
        let separable = |p: &[u32]| f64::from(p[0]).sin() + f64::from(p[1]).exp();
        let hinges = Basis::hinges_at_every_count(2, 5);
        let exact = |basis: &Basis, value: &dyn Fn(&[u32]) -> f64| {
            let model = fitted(basis.clone(), value);
            grid().iter().all(|p| (model.value(p) - value(p)).abs() < 1e-9)
        };
        assert!(exact(&Basis::Linear, &line) && exact(&Basis::Quadratic, &line));
        assert!(exact(&Basis::Quadratic, &square) && !exact(&hinges, &square));
        assert!(exact(&hinges, &separable) && !exact(&Basis::Quadratic, &separable));
    }

    #[test]
    fn a_linear_gain_knows_nothing_of_the_portfolio() {
        let model = fitted(Basis::Linear, |p| -f64::from(p[0].abs_diff(3)));
        let gain = |p: &[u32]| model.gain(p, Members::new([0]));
        assert!((gain(&[0, 0]) - gain(&[5, 5])).abs() < 1e-12);
        assert_eq!(model.gain(&[1, 1], Members::NONE).to_bits(), 0);
    }
}
