//! What a firm remembers of the quotes it made.

use crate::Error;

/// Quotes of one firm with what became of them, column by column.
///
/// Prices are ratios to the firm's own estimate of the cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Number of columns of `features`.
    pub columns: usize,
    /// What the firm sees of its customers, `[quotes, columns]`, row by row.
    pub features: Vec<f64>,
    /// Own estimate of the cost, £, `[quotes]`.
    pub cost: Vec<f64>,
    /// Own offer over `cost`, `[quotes]`.
    pub offer: Vec<f64>,
    /// Rivals' cheapest offer and the means of their 3 and 5 cheapest, each over `cost`, `[quotes]`.
    pub top: Vec<[f64; 3]>,
    /// Whether the customer took the offer, from 0 to 1, `[quotes]`: a number in between is the
    /// probability of it, where that is known.
    pub accepted: Vec<f64>,
}

impl History {
    /// Of customers with so many columns.
    pub fn new(columns: usize) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Number of quotes.
    pub fn len(&self) -> usize {
        self.cost.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.cost.is_empty()
    }

    /// Features of one customer.
    pub fn row(&self, quote: usize) -> &[f64] {
        &self.features[quote * self.columns..][..self.columns]
    }

    /// Appends a quote.
    pub fn push(&mut self, row: &[f64], cost: f64, offer: f64, top: [f64; 3], accepted: f64) {
        debug_assert_eq!(row.len(), self.columns);
        self.features.extend_from_slice(row);
        self.cost.push(cost);
        self.offer.push(offer);
        self.top.push(top);
        self.accepted.push(accepted);
    }

    /// The last `quotes` of them.
    #[must_use]
    pub fn last(&self, quotes: usize) -> Self {
        let from = self.len().saturating_sub(quotes);
        Self {
            columns: self.columns,
            features: self.features[from * self.columns..].to_vec(),
            cost: self.cost[from..].to_vec(),
            offer: self.offer[from..].to_vec(),
            top: self.top[from..].to_vec(),
            accepted: self.accepted[from..].to_vec(),
        }
    }

    /// Checks that models can be fitted to it.
    ///
    /// # Errors
    /// [`Error::Fit`] naming the quote: columns of different lengths, fewer than `least` quotes, a
    /// cost that is not above 0, a number that is not finite, or offers that were all taken or none.
    pub fn check(&self, least: usize) -> Result<(), Error> {
        let n = self.len();
        let fit = |what: String| Err(Error::Fit { what });
        let lengths = [self.offer.len(), self.top.len(), self.accepted.len()];
        if lengths.iter().any(|l| *l != n) || self.features.len() != n * self.columns {
            return fit(format!(
                "expected columns of {n} quotes, found offers {}, rivals {}, outcomes {}, features {}",
                lengths[0],
                lengths[1],
                lengths[2],
                self.features.len()
            ));
        }
        if n < least {
            return fit(format!("expected at least {least} quotes, found {n}"));
        }
        for i in 0..n {
            let cost = self.cost[i];
            if !(cost > 0.0 && cost.is_finite()) {
                return fit(format!("quote {i}: expected a cost above 0, found {cost}"));
            }
            let mut numbers = self.row(i).iter().chain(&self.top[i]).chain([&self.offer[i]]);
            if let Some(found) = numbers.find(|x| !x.is_finite()) {
                return fit(format!("quote {i}: expected finite numbers, found {found}"));
            }
            let accepted = self.accepted[i];
            if !(0.0..=1.0).contains(&accepted) {
                return fit(format!("quote {i}: expected an outcome in [0, 1], found {accepted}"));
            }
        }
        let taken: f64 = self.accepted.iter().sum();
        if taken <= 0.0 || taken >= n as f64 {
            return fit(format!("expected offers taken and not taken, found {taken} of {n} taken"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> History {
        let mut history = History::new(1);
        history.push(&[1.0], 100.0, 1.05, [1.0, 1.1, 1.2], 1.0);
        history.push(&[2.0], 200.0, 1.10, [1.0, 1.1, 1.2], 0.0);
        history
    }

    #[test]
    fn what_cannot_be_fitted_is_named() {
        two().check(2).unwrap();
        let message = |change: &dyn Fn(&mut History)| {
            let mut history = two();
            change(&mut history);
            history.check(2).unwrap_err().to_string()
        };
        assert!(
            message(&|h| h.cost[1] = 0.0).contains("quote 1: expected a cost above 0, found 0")
        );
        assert!(message(&|h| h.top[0][2] = f64::NAN).contains("quote 0: expected finite"));
        assert!(message(&|h| h.accepted[1] = 2.0).contains("quote 1: expected an outcome"));
        assert!(message(&|h| h.accepted[0] = 0.0).contains("found 0 of 2 taken"));
        assert!(message(&|h| h.offer.clear()).contains("found offers 0"));
        assert!(two().check(3).unwrap_err().to_string().contains("at least 3 quotes, found 2"));
    }

    #[test]
    fn the_last_quotes_are_the_newest() {
        let last = two().last(1);
        assert_eq!((last.len(), last.row(0), last.cost[0]), (1, &[2.0][..], 200.0));
        assert_eq!(two().last(9), two());
    }
}
