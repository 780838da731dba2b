//! Bounds on the price of one policy.

use serde::{Deserialize, Serialize};

use crate::{Error, error::in_range};

/// A bound on a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The least multiple of cost.
    LeastMultiple,
    /// The largest multiple of cost.
    MostMultiple,
    /// The largest decrease from the last price.
    Decrease,
    /// The largest increase over the last price.
    Increase,
    /// The price that a new customer would be asked, above which none may renew.
    NewBusiness,
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::LeastMultiple => "least multiple of cost",
            Self::MostMultiple => "largest multiple of cost",
            Self::Decrease => "largest decrease from the last price",
            Self::Increase => "largest increase over the last price",
            Self::NewBusiness => "price of a new customer",
        })
    }
}

/// What holds for the price of every policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PriceLimits {
    /// Least multiple of cost; above 0.
    pub least_multiple: f64,
    /// Largest multiple of cost; not below the least.
    pub most_multiple: f64,
    /// Largest decrease from the last price, as a share of it: 0.1 lets £500 fall to £450.
    pub decrease: Option<f64>,
    /// Largest increase over the last price, as a share of it.
    pub increase: Option<f64>,
}

impl Default for PriceLimits {
    fn default() -> Self {
        Self { least_multiple: 1.0, most_multiple: 2.0, decrease: None, increase: None }
    }
}

/// The prices that one policy may have, in £.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriceRange {
    /// The lowest.
    pub low: f64,
    /// What makes it the lowest.
    pub low_bound: Bound,
    /// The highest.
    pub high: f64,
    /// What makes it the highest.
    pub high_bound: Bound,
}

impl PriceLimits {
    /// Checks every limit.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let positive = "a number above 0";
        in_range("least_multiple", self.least_multiple, f64::MIN_POSITIVE.., positive)?;
        let expected = "a number not below `least_multiple`";
        in_range("most_multiple", self.most_multiple, self.least_multiple.., expected)?;
        if let Some(decrease) = self.decrease {
            in_range("decrease", decrease, 0.0..=1.0, "a number between 0 and 1")?;
        }
        self.increase.map_or(Ok(()), |x| in_range("increase", x, 0.0.., "0 or a number above"))
    }

    /// The prices that a policy of this cost may have, in £.
    ///
    /// `previous` is its last price, where it has one; `new_business` what a new customer would be
    /// asked, where it renews under a rule that forbids more.
    ///
    /// # Errors
    /// [`Error::Bounds`] if two bounds contradict each other, saying which and by how much.
    pub fn range(
        &self,
        cost: f64,
        previous: Option<f64>,
        new_business: Option<f64>,
    ) -> Result<PriceRange, Error> {
        let mut range = PriceRange {
            low: self.least_multiple * cost,
            low_bound: Bound::LeastMultiple,
            high: self.most_multiple * cost,
            high_bound: Bound::MostMultiple,
        };
        let change = |share: Option<f64>, sign: f64| Some(previous? * (1.0 + sign * share?));
        if let Some(floor) = change(self.decrease, -1.0).filter(|floor| *floor > range.low) {
            (range.low, range.low_bound) = (floor, Bound::Decrease);
        }
        let caps =
            [(change(self.increase, 1.0), Bound::Increase), (new_business, Bound::NewBusiness)];
        for (cap, bound) in caps {
            if let Some(cap) = cap.filter(|cap| *cap < range.high) {
                (range.high, range.high_bound) = (cap, bound);
            }
        }
        if range.low <= range.high {
            return Ok(range);
        }
        Err(Error::Bounds(vec![format!(
            "the {} asks for at least £{:.2}, the {} for at most £{:.2}, £{:.2} less",
            range.low_bound,
            range.low,
            range.high_bound,
            range.high,
            range.low - range.high
        )]))
    }
}

impl PriceRange {
    /// The price within the range nearest to one, and the bound that moved it.
    #[inline]
    pub fn clip(&self, price: f64) -> (f64, Option<Bound>) {
        if price < self.low {
            (self.low, Some(self.low_bound))
        } else if price > self.high {
            (self.high, Some(self.high_bound))
        } else {
            (price, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PriceLimits = PriceLimits {
        least_multiple: 1.0,
        most_multiple: 2.0,
        decrease: Some(0.1),
        increase: Some(0.25),
    };

    #[test]
    fn the_tightest_bound_holds_and_is_named() {
        let range = LIMITS.range(100.0, None, None).unwrap();
        assert_eq!((range.low, range.high), (100.0, 200.0));
        let range = LIMITS.range(100.0, Some(120.0), None).unwrap();
        assert_eq!(range.clip(90.0), (108.0, Some(Bound::Decrease)));
        assert_eq!(range.clip(170.0), (150.0, Some(Bound::Increase)));
        assert_eq!(range.clip(149.0), (149.0, None));
        let range = LIMITS.range(100.0, Some(120.0), Some(130.0)).unwrap();
        assert_eq!(range.clip(170.0), (130.0, Some(Bound::NewBusiness)));
        let range = LIMITS.range(100.0, Some(90.0), None).unwrap();
        assert_eq!(range.clip(1.0), (100.0, Some(Bound::LeastMultiple)));
    }

    #[test]
    fn contradictions_say_which_bounds_and_by_how_much() {
        let message = LIMITS.range(200.0, Some(120.0), None).unwrap_err().to_string();
        assert_eq!(
            message,
            "bounds cannot all hold: the least multiple of cost asks for at least £200.00, the \
             largest increase over the last price for at most £150.00, £50.00 less"
        );
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        let bad = PriceLimits { most_multiple: 0.9, ..PriceLimits::default() };
        assert!(bad.validate().unwrap_err().to_string().starts_with("most_multiple: expected"));
        let bad = PriceLimits { decrease: Some(f64::NAN), ..PriceLimits::default() };
        assert!(bad.validate().is_err() && LIMITS.validate().is_ok());
    }

    #[test]
    fn the_tightest_cap_is_the_one_that_holds() {
        let limits =
            PriceLimits { most_multiple: 5.0, increase: Some(0.1), ..PriceLimits::default() };
        for (new_business, high, bound) in [
            (Some(300.0), 220.0, Bound::Increase),
            (Some(210.0), 210.0, Bound::NewBusiness),
            (None, 220.0, Bound::Increase),
        ] {
            let range = limits.range(100.0, Some(200.0), new_business).unwrap();
            assert!((range.high - high).abs() < 1e-9 && range.high_bound == bound, "{range:?}");
        }
    }
}
