//! The population: who a visitor is, what it owns, and what insuring it costs.
//!
//! Every number is one of the published simulator's (see the crate's documentation); gamma, beta and
//! binomial variables are drawn exactly, not approximated.

use serde::{Deserialize, Serialize};
use statrs::function::beta::beta_reg;

use super::alias::Alias;
use crate::stream::Stream;

/// How many visitors have children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Children {
    /// P(no children) = (1 − pc)/4, as the published code computes it: four visitors of five have
    /// children, although pc averages 0.25.
    #[default]
    AsPublished,
    /// P(no children) = 1 − pc, as it seems to be meant.
    Intended,
}

const YOUNGEST: u32 = 16;
const OLDEST: u32 = 99;
const AGES: usize = (OLDEST - YOUNGEST + 1) as usize;
const MOST_CHILDREN: i32 = 4;

/// One visitor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Person {
    /// Age in years: ⌊16 + 84·Beta(1.4, 2.5)⌋.
    pub age: u32,
    /// Location, uniform on 0..4.
    pub location: u32,
    /// Occupation, 0..5: Binomial(4, 0.2·(1 + location)).
    pub occupation: u32,
    /// Place in the distribution of salaries: min(1.1·Beta(2 + 2·occ, 10 − 2·occ), 1).
    pub percentile: f64,
    /// Salary, in £ a year, floored to thousands.
    pub salary: f64,
    /// Whether married.
    pub married: bool,
    /// Number of children, 0 to 4.
    pub children: u32,
    /// Income of the household per head, in £ a year.
    pub income_per_head: f64,
    /// Years of driving, at least 1.
    pub years_driving: u32,
    /// How risky a driver: Beta(1 + location, 5 − location).
    pub risk: f64,
    /// Claims in all these years: Binomial(years, 0.07·risk).
    pub claims: u32,
    /// How risky the driver thinks to be: claims/(0.14·years) + risk/2.
    pub risk_perception: f64,
    /// Value of the car, in £.
    pub car_value: f64,
    /// π, what insuring the visitor costs on average, in £: min((0.5 + risk)·car/10, 6000).
    pub pure_premium: f64,
}

/// The distribution of [`Person`]s, with the tables it is drawn from.
#[derive(Debug, Clone)]
pub struct Law {
    quantile: UpperQuantile,
    ages: Alias,
    occupations: [Alias; 4],
    /// Per age: years of driving − 1.
    years: Vec<Alias>,
    /// Per age and marriage: P(children ≤ k) for k = 0..4.
    children: Vec<[[f64; MOST_CHILDREN as usize]; 2]>,
}

impl Law {
    /// The published population, but for the share of visitors with children.
    pub fn new(children: Children) -> Self {
        let ages: Vec<f64> = (0..AGES)
            .map(|k| beta_between(1.4, 2.5, k as f64 / 84.0, (k + 1) as f64 / 84.0))
            .collect();
        let occupations =
            [0.2, 0.4, 0.6, 0.8].map(|q| Alias::new(&[0, 1, 2, 3, 4].map(|k| binomial(k, q))));
        let years = (YOUNGEST..=OLDEST).map(|age| Alias::new(&years_of_driving(age))).collect();
        let children = (YOUNGEST..=OLDEST)
            .map(|age| [false, true].map(|married| at_most(parenthood(age, married), children)))
            .collect();
        let quantile = UpperQuantile::new();
        Self { quantile, ages: Alias::new(&ages), occupations, years, children }
    }

    /// Draws one visitor.
    #[inline]
    pub fn person(&self, stream: &mut Stream) -> Person {
        let index = self.ages.draw(stream);
        let age = YOUNGEST + index;
        let location = stream.below(4);
        let occupation = self.occupations[location as usize].draw(stream);
        let percentile = (1.1 * beta(stream, 2 + 2 * occupation, 10 - 2 * occupation)).min(1.0);
        let a = f64::from(age);
        let base = (40_000.0 - 25.0 * (a - 45.0) * (a - 45.0)).max(20_000.0);
        // 3·base·max(BetaInv(percentile; 3, 9), 0.3)
        let salary = thousands(3.0 * base * self.quantile.at(percentile));

        let married = stream.unit() < marriage(a);
        let uniform = stream.unit();
        let at_most = &self.children[index as usize][usize::from(married)];
        let children = at_most.iter().map(|&p| u32::from(uniform > p)).sum::<u32>();
        let partner = if married {
            thousands((salary * laplace(stream, 1.0, 1.0 / 3.0)).max(0.0))
        } else {
            0.0
        };
        let adults = 1.0 + f64::from(u8::from(married));
        let children_each = f64::from(children) / adults;
        let income_per_head = (salary + partner) / (adults + f64::from(children));

        let years_driving = 1 + self.years[index as usize].draw(stream);
        let risk = order_statistic(stream, location);
        let claims = rare_binomial(stream, years_driving, 0.07 * risk);
        let risk_perception = f64::from(claims) / (0.14 * f64::from(years_driving)) + risk / 2.0;
        let car_value = (0.2 + gamma_integer(stream, 4) / 8.0) * salary / (1.0 + children_each);
        let pure_premium = ((0.5 + risk) * car_value / 10.0).min(6000.0);
        Person {
            age,
            location,
            occupation,
            percentile,
            salary,
            married,
            children,
            income_per_head,
            years_driving,
            risk,
            claims,
            risk_perception,
            car_value,
            pure_premium,
        }
    }
}

/// P(x < Beta(a, b) < y).
fn beta_between(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let cdf = |x: f64| {
        if x <= 0.0 {
            0.0
        } else if x >= 1.0 {
            1.0
        } else {
            beta_reg(a, b, x)
        }
    };
    cdf(y) - cdf(x)
}

/// P(Binomial(4, q) = k).
fn binomial(k: i32, q: f64) -> f64 {
    [1.0, 4.0, 6.0, 4.0, 1.0][k as usize] * q.powi(k) * (1.0 - q).powi(4 - k)
}

/// P(⌊(age − 16)·Beta(3, 100/age − 1)⌋ = k), k = 0..age − 16.
fn years_of_driving(age: u32) -> Vec<f64> {
    let span = age - YOUNGEST;
    let b = 100.0 / f64::from(age) - 1.0;
    if span == 0 {
        return vec![1.0];
    }
    let part = |k: u32| f64::from(k) / f64::from(span);
    (0..span).map(|k| beta_between(3.0, b, part(k), part(k + 1))).collect()
}

/// P(married) at an age.
#[inline]
fn marriage(age: f64) -> f64 {
    0.7 * (110.0 - age) * (age - 16.0) / (47.0 * 47.0)
}

/// pc, the published chance of having children: highest at 41, none above 66.
fn parenthood(age: u32, married: bool) -> f64 {
    if age > 66 {
        return 0.0;
    }
    let a = f64::from(age);
    (a - 16.0).powi(2) * (a - 66.0).powi(2) / 25.0_f64.powi(4) * if married { 0.8 } else { 0.2 }
}

/// P(children ≤ k), k = 0..4, of Binomial(4, q) with (1 − q)⁴ = P(no children).
fn at_most(parenthood: f64, children: Children) -> [f64; MOST_CHILDREN as usize] {
    let none = match children {
        Children::AsPublished => (1.0 - parenthood) / 4.0,
        Children::Intended => 1.0 - parenthood,
    };
    let q = 1.0 - none.powf(0.25);
    let mut sum = 0.0;
    [0, 1, 2, 3].map(|k| {
        sum += binomial(k, q);
        sum
    })
}

#[inline]
fn thousands(pounds: f64) -> f64 {
    (pounds / 1000.0).floor() * 1000.0
}

/// max(x, 0.3) with P(Beta(3, 9) ≤ x) = p.
///
/// With y = 1 − x the upper tail is a polynomial, P(Binomial(11, x) ≤ 2) = y⁹(1 + 9x + 45x²), convex
/// in y where x > 0.2, the mode; so Newton's steps from the right never pass the root.
#[derive(Debug, Clone)]
struct UpperQuantile {
    /// y at the right end of equal parts of the tail, where Newton's steps begin.
    starts: Vec<f64>,
    /// Parts of a unit of tail.
    parts: f64,
}

impl UpperQuantile {
    const PARTS: usize = 512;

    fn new() -> Self {
        let most = Self::tail(0.7).0;
        let parts = Self::PARTS as f64 / most;
        let root = |i: usize| Self::newton(0.7, i as f64 / parts);
        Self { starts: (1..=Self::PARTS).map(root).collect(), parts }
    }

    #[inline]
    fn at(&self, p: f64) -> f64 {
        let tail = 1.0 - p;
        if tail <= 0.0 {
            return 1.0;
        }
        match self.starts.get((tail * self.parts) as usize) {
            Some(&start) => 1.0 - Self::newton(start, tail),
            None => 0.3,
        }
    }

    /// P(Beta(3, 9) > 1 − y), and its slope in y.
    #[inline]
    fn tail(y: f64) -> (f64, f64) {
        let (x, y2) = (1.0 - y, y * y);
        let y8 = (y2 * y2) * (y2 * y2);
        (y8 * y * (1.0 + 9.0 * x + 45.0 * x * x), 495.0 * y8 * x * x)
    }

    /// The y whose tail is `tail`, from one that is not below it.
    #[inline]
    fn newton(mut y: f64, tail: f64) -> f64 {
        loop {
            let (value, slope) = Self::tail(y);
            let step = (value - tail) / slope;
            y -= step;
            // What is left after a step is of the order of its square.
            if step <= 1e-8 * y {
                return y;
            }
        }
    }
}

/// Gamma with an integer shape: the time of the `shape`-th event, −ln of a product of uniforms.
#[inline]
fn gamma_integer(stream: &mut Stream, shape: u32) -> f64 {
    // At most eleven factors above 2⁻⁵³: no underflow.
    -(0..shape).map(|_| stream.unit()).product::<f64>().ln()
}

/// Beta with integer parameters, as the share of one gamma in two.
#[inline]
fn beta(stream: &mut Stream, a: u32, b: u32) -> f64 {
    let x = gamma_integer(stream, a);
    let y = gamma_integer(stream, b);
    x / (x + y)
}

/// Beta(1 + rank, 5 − rank): the uniform number of that rank, from 0, among five.
#[inline]
fn order_statistic(stream: &mut Stream, rank: u32) -> f64 {
    let mut u: [f64; 5] = std::array::from_fn(|_| stream.unit());
    let mut order = |i: usize, j: usize| (u[i], u[j]) = (u[i].min(u[j]), u[i].max(u[j]));
    // The shortest network that sorts five.
    for (i, j) in [(0, 3), (1, 4), (0, 2), (1, 3), (0, 1), (2, 4), (1, 2), (3, 4), (2, 3)] {
        order(i, j);
    }
    u[rank as usize]
}

/// Laplace by inversion.
#[inline]
fn laplace(stream: &mut Stream, mean: f64, scale: f64) -> f64 {
    let u = stream.unit() - 0.5;
    mean - scale * u.signum() * (1.0 - 2.0 * u.abs()).ln()
}

/// Binomial(n, p) by inversion, for a mean of a few.
#[inline]
fn rare_binomial(stream: &mut Stream, n: u32, p: f64) -> u32 {
    let odds = p / (1.0 - p);
    let mut mass = (1.0 - p).powi(n as i32);
    let mut left = stream.unit() - mass;
    let mut k = 0;
    while left > 0.0 && k < n {
        k += 1;
        mass *= odds * f64::from(n + 1 - k) / f64::from(k);
        left -= mass;
    }
    k
}

#[cfg(test)]
mod tests {
    use rl_core::seed::Seed;

    use super::*;

    #[test]
    fn quantiles_are_those_of_the_beta_distribution() {
        let quantile = UpperQuantile::new();
        let below = beta_reg(3.0, 9.0, 0.3);
        for p in (0..=20_000).map(|i| f64::from(i) / 20_000.0).chain([1.0 - 1e-9, 1.0 - 1e-15]) {
            let x = quantile.at(p);
            if p <= below {
                assert!((x - 0.3).abs() < 1e-12, "{p}: {x}");
            } else if p < 1.0 {
                let tail = UpperQuantile::tail(1.0 - x).0;
                assert!((tail / (1.0 - p) - 1.0).abs() < 1e-10, "{p}: {x}");
            } else {
                assert!((x - 1.0).abs() < f64::EPSILON);
            }
        }
        assert!((1.0 - UpperQuantile::tail(0.6).0 - beta_reg(3.0, 9.0, 0.4)).abs() < 1e-12);
    }

    #[test]
    fn order_statistics_are_in_order() {
        for i in 0..2000 {
            let of = |rank| order_statistic(&mut Stream::at(Seed::new(1), i), rank);
            let sorted: Vec<f64> = (0..5).map(of).collect();
            let mut stream = Stream::at(Seed::new(1), i);
            let mut plain: Vec<f64> = (0..5).map(|_| stream.unit()).collect();
            plain.sort_by(f64::total_cmp);
            assert_eq!(sorted, plain);
        }
    }
}
