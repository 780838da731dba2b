//! The synthetic market against its published statistics and against closed forms.

use std::sync::OnceLock;

use portfolio_pursuit::{
    Books, EpochConfig, Firm, MarketModel as _, SyntheticConfig, SyntheticMarket,
    market::{Children, Visitor},
    policy::{Exploring, FixedPolicy, UniformPolicy},
    portfolio::Categories,
    run_epoch, run_epochs,
};
use rayon::prelude::*;
use rl_core::seed::Seed;

const MILLION: u64 = 1_000_000;
/// Customers behind the published statistics.
const PUBLISHED: f64 = 20_000.0;

fn market() -> SyntheticMarket {
    SyntheticMarket::new(SyntheticConfig::default()).unwrap()
}

fn crowd() -> &'static [Visitor] {
    static CROWD: OnceLock<Vec<Visitor>> = OnceLock::new();
    CROWD.get_or_init(|| {
        let market = market();
        let all = (0..MILLION).into_par_iter();
        all.map(|i| market.visitor(Seed::new(2024), i)).collect()
    })
}

fn moments(value: impl Fn(&Visitor) -> f64) -> (f64, f64) {
    let n = MILLION as f64;
    let mean = crowd().iter().map(&value).sum::<f64>() / n;
    let square = crowd().iter().map(|v| (value(v) - mean).powi(2)).sum::<f64>();
    (mean, (square / n).sqrt())
}

/// Within four standard errors of a mean over twenty thousand, rounded to `digit`.
#[track_caller]
fn published(value: impl Fn(&Visitor) -> f64, mean: f64, digit: f64) {
    let (found, sd) = moments(value);
    let error = sd * (1.0 / PUBLISHED + 1.0 / MILLION as f64).sqrt();
    assert!((found - mean).abs() < 4.0 * error + digit / 2.0, "expected {mean}, found {found}");
}

/// Within four standard errors of an expectation that is known.
#[track_caller]
fn known(value: impl Fn(&Visitor) -> f64, mean: f64) {
    let (found, sd) = moments(value);
    let error = sd / (MILLION as f64).sqrt();
    assert!((found - mean).abs() < 4.0 * error, "expected {mean}, found {found} ± {error}");
}

fn flag(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

#[test]
fn the_population_has_the_published_moments() {
    published(|v| f64::from(v.person.age), 45.67, 0.01);
    for (occupation, share) in [0.142, 0.226, 0.248, 0.240, 0.143].into_iter().enumerate() {
        published(|v| flag(v.person.occupation as usize == occupation), share, 0.001);
    }
    published(|v| v.person.salary, 34_446.0, 1.0);
    published(|v| flag(v.person.married), 0.497, 0.001);
    published(|v| flag(v.person.children > 0), 0.813, 0.001);
    published(|v| f64::from(v.person.years_driving), 23.6, 0.1);
    published(|v| v.person.risk, 0.417, 0.001);
    published(|v| f64::from(v.person.claims), 0.694, 0.001);
    published(|v| v.person.car_value, 13_751.0, 1.0);
    published(|v| v.person.pure_premium, 1270.0, 1.0);
    published(|v| flag(v.person.pure_premium >= 6000.0), 0.0106, 0.0001);
    published(|v| v.choice.sensitivity * v.person.pure_premium, 65.7, 0.1);
    // Half lie below a median, within four standard errors of a share.
    published(|v| flag(v.person.car_value < 11_036.0), 0.5, 0.0);
    published(|v| flag(v.person.pure_premium < 965.0), 0.5, 0.001);
    published(|v| flag(v.choice.sensitivity * v.person.pure_premium < 58.7), 0.5, 0.001);
}

#[test]
fn the_population_has_the_published_spreads() {
    let close = |value: fn(&Visitor) -> f64, spread: f64| {
        let (mean, sd) = moments(value);
        let fourth = crowd().iter().map(|v| (value(v) - mean).powi(4)).sum::<f64>();
        let kurtosis = fourth / MILLION as f64 / sd.powi(4);
        let error = sd * ((kurtosis - 1.0) / 4.0 / PUBLISHED).sqrt();
        assert!((sd - spread).abs() < 4.0 * error, "expected {spread}, found {sd} ± {error}");
    };
    close(|v| f64::from(v.person.age), 18.19);
    close(|v| v.person.salary, 16_122.0);
    close(|v| f64::from(v.person.years_driving), 18.6);
    close(|v| v.person.risk, 0.253);
    close(|v| v.person.car_value, 10_469.0);
    close(|v| v.person.pure_premium, 1026.0);
}

#[test]
fn moments_agree_with_closed_forms_at_a_million() {
    // E age = Σ P(Beta(1.4, 2.5) > k/84) + 16 over k = 1..83.
    let above = |k: u32| 1.0 - statrs::function::beta::beta_reg(1.4, 2.5, f64::from(k) / 84.0);
    known(|v| f64::from(v.person.age), 16.0 + (1..84).map(above).sum::<f64>());
    known(|v| f64::from(v.person.occupation), 4.0 * 0.5);
    known(|v| f64::from(v.person.occupation).powi(2), {
        [0.2, 0.4, 0.6, 0.8].map(|q: f64| 4.0 * q * (1.0 - q) + 16.0 * q * q).iter().sum::<f64>()
            / 4.0
    });
    // Beta(1 + l, 5 − l) has mean (1 + l)/6 and second moment (1 + l)(2 + l)/42.
    known(|v| v.person.risk, 2.5 / 6.0);
    known(|v| v.person.risk.powi(2), (2.0 + 6.0 + 12.0 + 20.0) / 4.0 / 42.0);
    // Given years and risk, claims are Binomial(years, 0.07·risk).
    known(
        |v| f64::from(v.person.claims) - 0.07 * v.person.risk * f64::from(v.person.years_driving),
        0.0,
    );
    known(
        |v| {
            let p = 0.07 * v.person.risk;
            let n = f64::from(v.person.years_driving);
            (f64::from(v.person.claims) - n * p).powi(2) - n * p * (1.0 - p)
        },
        0.0,
    );
    known(|v| flag(v.person.married) - marriage(f64::from(v.person.age)), 0.0);
    // Floors take half a year off on average where the span is long; so by the distribution itself.
    let years: Vec<f64> = (16..100).map(mean_years).collect();
    known(|v| f64::from(v.person.years_driving) - years[v.person.age as usize - 16], 0.0);
    let each = |v: &Visitor| f64::from(v.person.children) / (1.0 + flag(v.person.married));
    known(|v| v.person.car_value * (1.0 + each(v)) / v.person.salary, 0.2 + 4.0 / 8.0);
    known(|v| (v.person.car_value * (1.0 + each(v)) / v.person.salary - 0.7).powi(2), 4.0 / 64.0);
    let market = market();
    known(|v| market.cost(v, 3) / v.person.pure_premium, 1.0);
    known(|v| (market.cost(v, 3) / v.person.pure_premium - 1.0).powi(2), 1e-3);
    known(|v| v.loyalty / (0.05 * (v.choice.walk_away + 20.0)), 1.0);
    known(|v| flag(v.loyal_to == 5), 1.0 / 6.0);
}

fn marriage(age: f64) -> f64 {
    0.7 * (110.0 - age) * (age - 16.0) / 47.0_f64.powi(2)
}

fn mean_years(age: u32) -> f64 {
    let span = f64::from(age - 16);
    let b = 100.0 / f64::from(age) - 1.0;
    let above = |k: u32| 1.0 - statrs::function::beta::beta_reg(3.0, b, f64::from(k) / span);
    1.0 + (1..age - 16).map(above).sum::<f64>()
}

#[test]
fn the_percentile_ranks_within_an_occupation() {
    // min(1.1·Beta(2 + 2·occ, 10 − 2·occ), 1): P(percentile < 0.5) = I(0.5/1.1).
    for occupation in 0..5_u32 {
        let (a, b) = (2.0 + 2.0 * f64::from(occupation), 10.0 - 2.0 * f64::from(occupation));
        for x in [0.1, 0.3, 0.5, 0.8, 0.95] {
            let p = statrs::function::beta::beta_reg(a, b, x / 1.1);
            // Rarer ones say nothing.
            if (1e-3..1.0 - 1e-3).contains(&p) {
                let mine = |v: &Visitor| flag(v.person.occupation == occupation);
                known(|v| mine(v) * (flag(v.person.percentile < x) - p), 0.0);
            }
        }
    }
}

#[test]
fn children_follow_the_switch() {
    let config = SyntheticConfig { children: Children::Intended, ..SyntheticConfig::default() };
    let market = SyntheticMarket::new(config).unwrap();
    let n = 200_000;
    let people = (0..n).map(|i| market.visitor(Seed::new(3), i).person);
    let (mut found, mut expected) = (0.0, 0.0);
    for person in people {
        let a = f64::from(person.age);
        let chance = ((a - 16.0) * (a - 66.0)).powi(2) / 25.0_f64.powi(4);
        found += flag(person.children > 0);
        expected += if a > 66.0 { 0.0 } else { chance * if person.married { 0.8 } else { 0.2 } };
    }
    let n = n as f64;
    assert!(((found - expected) / n).abs() < 4.0 * 0.5 / n.sqrt(), "{found} {expected}");
    assert!((expected / n - 0.25).abs() < 0.02);
}

#[test]
fn offers_at_random_win_as_published() {
    let market = market();
    let (mut walked, mut won, mut ranks, mut profit) = (0, [0; 6], [0; 6], 0.0);
    let epochs = 200;
    let mut firms = uniform_firms();
    for epoch in 0..epochs {
        let config = EpochConfig::default();
        run_epoch(&market, &config, Seed::new(11), epoch, &mut firms, |step| {
            let Some(winner) = step.winner else {
                walked += 1;
                return;
            };
            won[winner] += 1;
            ranks[step.offers.iter().filter(|o| **o < step.offers[winner]).count()] += 1;
            profit += step.offers[winner] - step.visitor.person.pure_premium;
        })
        .unwrap();
    }
    let n = epochs as f64 * 1000.0;
    let share = |count: i32, of: f64, expected: f64, digit: f64| {
        let found = f64::from(count) / of;
        let error = (expected * (1.0 - expected) * (1.0 / of + 1.0 / (PUBLISHED * of / n))).sqrt();
        assert!((found - expected).abs() < 4.0 * error + digit / 2.0, "{found} {expected}");
    };
    let sales = n - f64::from(walked);
    share(walked, n, 0.339, 0.001);
    won.iter().for_each(|&count| share(count, n, 0.110, 0.001));
    for (count, expected) in ranks.into_iter().zip([0.607, 0.192, 0.097, 0.056, 0.031, 0.017]) {
        share(count, sales, expected, 0.001);
    }
    // A sale's true profit has a spread of about £100.
    let error = 100.0 / (PUBLISHED * 0.661).sqrt();
    assert!((profit / sales - 29.4).abs() < 4.0 * error, "{}", profit / sales);
}

fn uniform_firms() -> Vec<Firm<'static>> {
    static NONE: OnceLock<Categories> = OnceLock::new();
    let categories = NONE.get_or_init(Categories::none);
    let firm = || Firm { policy: Box::new(UniformPolicy::default()), categories };
    std::iter::repeat_with(firm).take(6).collect()
}

#[test]
fn six_equal_offers_win_a_tenth_each() {
    let config = SyntheticConfig { taste: false, loyalty: 0.0, ..SyntheticConfig::default() };
    let market = SyntheticMarket::new(config).unwrap();
    let mut seen = 0;
    for visitor in (0..2000).map(|i| market.visitor(Seed::new(4), i)) {
        let mut p = [0.0; 6];
        market.probabilities(&visitor, &[1.1 * visitor.person.pure_premium; 6], &mut p);
        if visitor.choice.walk_away > 0.0 {
            seen += 1;
            assert!(p.iter().all(|p| (p - 0.1).abs() < 1e-12), "{p:?}");
        }
    }
    assert!(seen > 1900);
}

#[test]
fn choices_fall_as_their_probabilities_say() {
    let market = market();
    let (mut found, mut expected, mut variance) = ([0.0; 6], [0.0; 6], [0.0; 6]);
    for visitor in (0..50_000).map(|i| market.visitor(Seed::new(8), i)) {
        let offers: Vec<f64> =
            (0..6).map(|f| market.cost(&visitor, f) * (1.0 + 0.02 * f as f64)).collect();
        let mut p = [0.0; 6];
        market.probabilities(&visitor, &offers, &mut p);
        for (f, &p) in p.iter().enumerate() {
            expected[f] += p;
            variance[f] += p * (1.0 - p);
        }
        if let Some(winner) = market.choose(&visitor, &offers) {
            found[winner] += 1.0;
        }
    }
    for f in 0..6 {
        let distance: f64 = found[f] - expected[f];
        assert!(distance.abs() < 4.0 * f64::sqrt(variance[f]), "firm {f}: {distance}");
    }
}

#[test]
fn a_cheaper_offer_loses_no_visitor() {
    let market = market();
    for visitor in (0..5000).map(|i| market.visitor(Seed::new(9), i)) {
        let mut offers: Vec<f64> = (0..6).map(|f| 1.05 * market.cost(&visitor, f)).collect();
        let mut won = false;
        for a in [1.3, 1.1, 1.05, 1.02, 1.0] {
            offers[0] = a * market.cost(&visitor, 0);
            let now = market.choose(&visitor, &offers) == Some(0);
            assert!(now || !won);
            won = now;
        }
    }
}

#[test]
fn streams_are_the_same_for_any_number_of_threads() {
    let market = market();
    let config = EpochConfig { customers: 200, ..EpochConfig::default() };
    let run = |threads| -> Vec<Vec<Books>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            run_epochs(&market, &config, Seed::new(1), 0..12, |_| uniform_firms()).unwrap()
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
    // An epoch is the same alone.
    let alone = run_epoch(&market, &config, Seed::new(1), 7, &mut uniform_firms(), |_| {}).unwrap();
    assert_eq!(alone, one[7]);
    assert_ne!(one[6], one[7]);
}

#[test]
fn books_add_up() {
    let market = market();
    let young =
        portfolio_pursuit::portfolio::Category { column: "age".into(), low: 16.0, high: 30.0 };
    let categories = Categories::new(vec![young], market.schema()).unwrap();
    let mut firms = uniform_firms();
    firms[0] = Firm { policy: Box::new(FixedPolicy(1.03)), categories: &categories };
    let config = EpochConfig::default();
    let (mut profit, mut true_profit, mut young, mut sales) = (0.0, 0.0, 0, 0);
    let books = run_epoch(&market, &config, Seed::new(2), 3, &mut firms, |step| {
        assert_eq!(step.portfolio, [young]);
        if step.winner == Some(0) {
            profit += 0.03 * step.costs[0];
            true_profit += 1.03 * step.costs[0] - step.visitor.person.pure_premium;
            sales += 1;
            young += u32::from(step.visitor.person.age <= 30);
        }
    })
    .unwrap();
    assert!((books[0].profit - profit).abs() < 1e-6);
    assert!((books[0].true_profit - true_profit).abs() < 1e-6);
    assert_eq!((books[0].sales, &books[0].portfolio), (sales, &vec![young]));
    assert!(young > 0 && sales > young);
}

#[test]
fn exploration_moves_one_quote_in_eight() {
    use portfolio_pursuit::{Enquiry, Policy as _, Stream, portfolio::Members};
    let mut policy = Exploring::new(FixedPolicy(2.0), 0.02).unwrap();
    let enquiry = Enquiry {
        features: &[],
        cost: 1.0,
        members: Members::NONE,
        portfolio: &[],
        time: 0,
        horizon: 1,
    };
    let n = 50_000;
    let mut counts = std::collections::BTreeMap::new();
    for i in 0..n {
        let quote = policy.quote(&enquiry, &mut Stream::at(Seed::new(6), i));
        *counts.entry((quote * 50.0).round() as i64).or_insert(0_u32) += 1;
    }
    assert_eq!(counts.len(), 7);
    let error = (n as f64 * 0.02 * 0.98).sqrt();
    for factor in [93, 95, 97, 103, 105, 107] {
        assert!((f64::from(counts[&factor]) - n as f64 * 0.02).abs() < 4.0 * error, "{counts:?}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |config: SyntheticConfig, expected: &str| {
        let message = SyntheticMarket::new(config).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    let base = SyntheticConfig::default;
    refused(SyntheticConfig { firms: 9, ..base() }, "firms: expected 1 to 8, found 9");
    refused(SyntheticConfig { loyalty: -1.0, ..base() }, "loyalty: expected 0 or a number above");
    refused(
        SyntheticConfig { share_of_equal_offers: 0.2, ..base() },
        "above 0 and below 1/firms = 0.1667, found 0.2",
    );
    let nan = || Firm {
        policy: Box::new(FixedPolicy(f64::NAN)),
        categories: uniform_firms()[0].categories,
    };
    let mut firms = uniform_firms();
    firms[2] = nan();
    let error = run_epoch(&market(), &EpochConfig::default(), Seed::new(1), 0, &mut firms, |_| {});
    assert_eq!(
        error.unwrap_err().to_string(),
        "quote of firm 2 to customer 0: expected a number, found NaN"
    );
}
