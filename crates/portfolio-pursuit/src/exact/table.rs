//! A number for every portfolio that can be reached by a time.

use crate::{Error, portfolio::Members};

/// Most numbers that tables hold, about 800 MB.
const MAX_STATES: u128 = 100_000_000;

/// Numbers over {0..side − 1}^d.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    pub(super) side: usize,
    pub(super) values: Vec<f64>,
}

impl Layer {
    pub(super) fn zeros(side: usize, categories: usize) -> Self {
        Self { side, values: vec![0.0; side.pow(categories as u32)] }
    }

    pub(super) fn from_fn(
        side: usize,
        categories: usize,
        mut f: impl FnMut(&[u32]) -> f64,
    ) -> Self {
        let mut values = Vec::new();
        Self::zeros(side, categories).for_each(categories, |_, p| values.push(f(p)));
        Self { side, values }
    }

    /// Category 0 varies fastest.
    pub(super) fn place(&self, portfolio: &[u32]) -> usize {
        portfolio.iter().rev().fold(0, |place, &n| place * self.side + n as usize)
    }

    /// How far a customer moves a portfolio's place.
    pub(super) fn shift(&self, members: Members) -> usize {
        members.iter().map(|i| self.side.pow(i as u32)).sum()
    }

    /// Every place with its portfolio.
    pub(super) fn for_each(&self, categories: usize, mut f: impl FnMut(usize, &[u32])) {
        let mut portfolio = vec![0; categories];
        for place in 0..self.values.len() {
            f(place, &portfolio);
            for n in &mut portfolio {
                *n += 1;
                if (*n as usize) < self.side {
                    break;
                }
                *n = 0;
            }
        }
    }
}

/// V(ρ, t) in £ for t = 0..T and every ρ in {0..t}^d.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub(super) layers: Vec<Layer>,
}

/// Refuses problems with too many states.
pub(super) fn check_size(horizon: u32, categories: usize) -> Result<(), Error> {
    let sides = u128::from(horizon) + 1;
    let largest = sides.checked_pow(categories as u32).unwrap_or(u128::MAX);
    let mut states = largest.max(sides);
    if states <= MAX_STATES {
        states = (1..=sides).map(|side| side.pow(categories as u32)).sum();
    }
    if states > MAX_STATES {
        return Err(Error::TooLarge { states, limit: MAX_STATES });
    }
    Ok(())
}

impl Table {
    /// V(ρ, t).
    ///
    /// # Panics
    /// If t is above T or a count above t.
    pub fn value(&self, time: u32, portfolio: &[u32]) -> f64 {
        assert!(portfolio.iter().all(|n| *n <= time), "no portfolio {portfolio:?} at time {time}");
        let layer = &self.layers[time as usize];
        layer.values[layer.place(portfolio)]
    }

    /// What a customer in these categories would add at t: V(ρ + I, t) − V(ρ, t).
    ///
    /// # Panics
    /// As [`value`](Self::value), for ρ + I.
    pub fn gain(&self, time: u32, portfolio: &[u32], members: Members) -> f64 {
        let mut with = portfolio.to_vec();
        members.add_to(&mut with);
        self.value(time, &with) - self.value(time, portfolio)
    }
}
