//! Which customers a firm counts.

use rand_distr::{Distribution as _, Poisson};
use serde::{Deserialize, Serialize};

use crate::{Error, Kind, Schema, stream::Stream};

/// Most categories, so that membership fits into a word.
const MAX_CATEGORIES: usize = 32;

/// Customers whose value in one column lies in a closed interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// The column.
    pub column: String,
    /// Least value that counts.
    pub low: f64,
    /// Largest value that counts.
    pub high: f64,
}

impl std::fmt::Display for Category {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.low.total_cmp(&self.high).is_eq() {
            write!(f, "{} = {}", self.column, self.low)
        } else {
            write!(f, "{} in [{}, {}]", self.column, self.low, self.high)
        }
    }
}

/// The categories a customer is in: I(s), one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Members(u32);

impl Members {
    /// In no category.
    pub const NONE: Self = Self(0);

    /// In these categories, each below 32.
    pub fn new(categories: impl IntoIterator<Item = usize>) -> Self {
        Self(categories.into_iter().fold(0, |bits, i| bits | 1 << i))
    }

    /// Whether in category `i`.
    #[inline]
    pub fn contains(self, i: usize) -> bool {
        self.0 >> i & 1 == 1
    }

    /// Whether in none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The categories, in order.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let next = bits.trailing_zeros();
            bits &= bits.wrapping_sub(1);
            (next < u32::BITS).then_some(next as usize)
        })
    }

    /// The membership vector as a number, category 0 the lowest bit.
    #[inline]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// ρ + I(s), in place.
    #[inline]
    pub fn add_to(self, portfolio: &mut [u32]) {
        for i in self.iter() {
            portfolio[i] += 1;
        }
    }
}

/// Categories of customers; they may overlap.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Categories {
    categories: Vec<Category>,
    columns: Vec<usize>,
}

impl Categories {
    /// Categories over the columns of a schema.
    ///
    /// # Errors
    /// [`Error::MissingColumn`] for a column that the schema lacks, [`Error::Setting`] for an interval
    /// that holds nothing, or more than 32 categories.
    pub fn new(categories: Vec<Category>, schema: &Schema) -> Result<Self, Error> {
        if categories.len() > MAX_CATEGORIES {
            let expected = format!("at most {MAX_CATEGORIES}");
            return Err(Error::setting("categories", expected, categories.len()));
        }
        if let Some(bad) = categories.iter().find(|c| c.low.is_nan() || !(c.low <= c.high)) {
            let found = format!("{} to {}", bad.low, bad.high);
            return Err(Error::setting(
                format!("category on {}", bad.column),
                "low not above high",
                found,
            ));
        }
        let columns =
            categories.iter().map(|c| schema.index(&c.column)).collect::<Result<_, _>>()?;
        Ok(Self { categories, columns })
    }

    /// No categories.
    pub fn none() -> Self {
        Self::default()
    }

    /// `count` categories as the published experiments draw them: on different columns, indicators at
    /// 0 or 1, other columns on random intervals.
    ///
    /// - `car_value`: between two Exp(mean 10,000) draws plus 3,000, floored to hundreds
    /// - `claims`: between two Poisson(1.4) draws
    /// - `years_driving`: from U{0..40}, U{10..30} wide
    /// - `age`: from U{16..80}, U{5..20} wide
    ///
    /// # Errors
    /// [`Error::Setting`] if the schema has fewer than `count` columns that the rules know.
    pub fn published(count: usize, schema: &Schema, stream: &mut Stream) -> Result<Self, Error> {
        let known = |i: &usize| {
            let column = &schema.columns()[*i];
            column.kind == Kind::Indicator || INTERVALS.contains(&column.name.as_str())
        };
        let mut columns: Vec<usize> = (0..schema.len()).filter(known).collect();
        if count > columns.len().min(MAX_CATEGORIES) {
            let expected = format!("at most {}", columns.len().min(MAX_CATEGORIES));
            return Err(Error::setting("categories", expected, count));
        }
        let categories = (0..count)
            .map(|_| {
                let column = columns.swap_remove(stream.below(columns.len() as u32) as usize);
                let (low, high) = interval(&schema.columns()[column].name, stream);
                Category { column: schema.columns()[column].name.clone(), low, high }
            })
            .collect();
        Self::new(categories, schema)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.categories.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty()
    }

    /// The categories, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Category> {
        self.categories.iter()
    }

    /// I(s) of a customer with these features.
    #[inline]
    pub fn members(&self, features: &[f64]) -> Members {
        let mut bits = 0;
        for (i, (category, &column)) in self.categories.iter().zip(&self.columns).enumerate() {
            let value = features[column];
            bits |= u32::from(category.low <= value && value <= category.high) << i;
        }
        Members(bits)
    }

    /// Counts members among customers, and warns of every category that none of them is in.
    pub fn census<'a>(&self, customers: impl IntoIterator<Item = &'a [f64]>) -> Vec<u64> {
        let mut counts = vec![0; self.len()];
        let mut total = 0_u64;
        for features in customers {
            total += 1;
            self.members(features).iter().for_each(|i| counts[i] += 1);
        }
        for (category, _) in self.categories.iter().zip(&counts).filter(|(_, n)| **n == 0) {
            tracing::warn!(%category, customers = total, "no customer is in this category");
        }
        counts
    }
}

/// Columns with an interval of their own in [`Categories::published`].
const INTERVALS: [&str; 4] = ["car_value", "claims", "years_driving", "age"];

fn interval(column: &str, stream: &mut Stream) -> (f64, f64) {
    let mut pair = |mut draw: Box<dyn FnMut(&mut Stream) -> f64>| {
        let (a, b) = (draw(stream), draw(stream));
        (a.min(b), a.max(b))
    };
    match column {
        "car_value" => pair(Box::new(|stream| {
            let pounds = 3000.0 - 10_000.0 * stream.unit().ln();
            (pounds / 100.0).floor() * 100.0
        })),
        "claims" => {
            let claims = Poisson::new(1.4).expect("1.4 is a mean");
            pair(Box::new(move |stream| claims.sample(stream)))
        }
        "years_driving" => start_and_width(stream, 0, 40, 10, 30),
        "age" => start_and_width(stream, 16, 80, 5, 20),
        _ => {
            let value = f64::from(stream.below(2));
            (value, value)
        }
    }
}

/// A start uniform on `from..=to`, and an interval uniformly `least..=most` wide.
fn start_and_width(stream: &mut Stream, from: u32, to: u32, least: u32, most: u32) -> (f64, f64) {
    let low = f64::from(from + stream.below(to - from + 1));
    (low, low + f64::from(least + stream.below(most - least + 1)))
}

#[cfg(test)]
mod tests {
    use rl_core::seed::Seed;

    use super::*;
    use crate::{MarketModel as _, SyntheticConfig, SyntheticMarket};

    fn schema() -> Schema {
        SyntheticMarket::new(SyntheticConfig::default()).unwrap().schema().clone()
    }

    fn category(column: &str, low: f64, high: f64) -> Category {
        Category { column: column.into(), low, high }
    }

    #[test]
    fn members_are_inside_closed_intervals() {
        let categories = Categories::new(
            vec![
                category("age", 20.0, 30.0),
                category("married", 0.0, 0.0),
                category("claims", 2.0, 5.0),
            ],
            &schema(),
        )
        .unwrap();
        let members = |age, married, claims| {
            let mut features = [0.0; 15];
            (features[3], features[4], features[1]) = (age, married, claims);
            categories.members(&features).iter().collect::<Vec<_>>()
        };
        assert_eq!(members(20.0, 1.0, 0.0), [0]);
        assert_eq!(members(30.0, 0.0, 5.0), [0, 1, 2]);
        assert_eq!(members(31.0, 1.0, 6.0), [0; 0]);
        let mut portfolio = [1, 2, 3];
        Members::new([0, 2]).add_to(&mut portfolio);
        assert_eq!(portfolio, [2, 2, 4]);
    }

    #[test]
    fn published_categories_are_on_different_columns_with_the_published_intervals() {
        let schema = schema();
        let mut drawn = vec![0_u32; 15];
        for i in 0..3000 {
            let categories =
                Categories::published(5, &schema, &mut Stream::at(Seed::new(1), i)).unwrap();
            assert_eq!(categories.len(), 5);
            for (n, category) in categories.iter().enumerate() {
                let column = schema.index(&category.column).unwrap();
                assert!(categories.iter().skip(n + 1).all(|c| c.column != category.column));
                drawn[column] += 1;
                let (low, high, width) =
                    (category.low, category.high, category.high - category.low);
                let fits = match column {
                    0 => low >= 3000.0 && low % 100.0 == 0.0 && high % 100.0 == 0.0,
                    1 => low >= 0.0 && high.fract() == 0.0,
                    2 => low <= 40.0 && (10.0..=30.0).contains(&width),
                    3 => (16.0..=80.0).contains(&low) && (5.0..=20.0).contains(&width),
                    _ => width == 0.0 && (low == 0.0 || low == 1.0),
                };
                assert!(fits && width >= 0.0, "{category}");
            }
        }
        // Each column a third of the time: 1000 ± 4·26.
        assert!(drawn.iter().all(|n| n.abs_diff(1000) < 104), "{drawn:?}");
    }

    #[test]
    fn a_census_counts_members() {
        let categories = Categories::new(
            vec![category("age", 90.0, 80.0 + 10.0), category("age", 16.0, 40.0)],
            &schema(),
        )
        .unwrap();
        let customer = |age: f64| {
            let mut features = [0.0; 15];
            features[3] = age;
            features
        };
        let customers = [customer(17.0), customer(40.0), customer(41.0)];
        let census = categories.census(customers.iter().map(<[f64; 15]>::as_slice));
        assert_eq!(census, [0, 2]);
    }

    #[test]
    fn bad_categories_are_named() {
        let said = |c: Category| Categories::new(vec![c], &schema()).unwrap_err().to_string();
        assert!(said(category("height", 0.0, 1.0)).starts_with("column \"height\" is missing"));
        assert_eq!(
            said(category("age", 30.0, 20.0)),
            "category on age: expected low not above high, found 30 to 20"
        );
        assert!(said(category("age", f64::NAN, 20.0)).contains("found NaN to 20"));
        let error = Categories::published(16, &schema(), &mut Stream::at(Seed::new(1), 0));
        assert_eq!(error.unwrap_err().to_string(), "categories: expected at most 15, found 16");
    }
}
