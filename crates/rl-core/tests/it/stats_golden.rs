//! `stats` against what SciPy and statsmodels make of the same numbers.

use rl_core::{
    seed::Seed,
    stats::{self, Error, Estimate, Proportion, Test},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// Distributions are good to 1e-12, and sums of hundreds of values lose another digit or two.
const TOLERANCE: f64 = 1e-10;

/// The cases of one function.
fn cases<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let golden: Value = serde_json::from_str(include_str!("../golden/stats.json")).unwrap();
    let cases: Vec<T> = serde_json::from_value(golden[name].clone()).unwrap();
    assert!(!cases.is_empty());
    cases
}

#[derive(Debug, Deserialize)]
struct Numbers {
    value: f64,
    interval: [f64; 2],
    std_error: f64,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    statistic: f64,
    p_value: f64,
}

/// Equal to the tolerance, which is relative for numbers beyond 1.
fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
}

fn same_estimate(found: Result<Estimate, Error>, expected: &Numbers) {
    let found = found.unwrap();
    let pairs = [
        (found.value, expected.value),
        (found.interval[0], expected.interval[0]),
        (found.interval[1], expected.interval[1]),
        (found.std_error, expected.std_error),
    ];
    assert!(pairs.iter().all(|&(f, e)| close(f, e)), "{found:?} {expected:?}");
}

fn same_test(found: Result<Test, Error>, expected: &Outcome) {
    let found = found.unwrap();
    assert!(close(found.statistic, expected.statistic), "{found:?} {expected:?}");
    let off = (found.p_value - expected.p_value).abs();
    assert!(off <= TOLERANCE * expected.p_value, "{found:?} {expected:?}");
}

#[derive(Deserialize)]
struct Sample {
    values: Vec<f64>,
    #[serde(default)]
    clusters: Vec<u32>,
    confidence: f64,
    #[serde(flatten)]
    expected: Numbers,
}

#[test]
fn mean() {
    for case in cases::<Sample>("mean") {
        same_estimate(stats::mean(&case.values, case.confidence), &case.expected);
    }
}

#[test]
fn cluster_mean() {
    for case in cases::<Sample>("cluster_mean") {
        let found = stats::cluster_mean(&case.values, &case.clusters, case.confidence);
        same_estimate(found, &case.expected);
    }
}

#[derive(Deserialize)]
struct Count {
    successes: usize,
    trials: usize,
    confidence: f64,
    #[serde(flatten)]
    expected: Numbers,
}

#[test]
fn wilson() {
    for Count { successes, trials, confidence, expected } in cases("wilson") {
        same_estimate(stats::wilson(Proportion { successes, trials }, confidence), &expected);
    }
}

#[derive(Deserialize)]
struct Counts {
    a: (usize, usize),
    b: (usize, usize),
    confidence: f64,
    #[serde(flatten)]
    expected: Numbers,
}

#[test]
fn newcombe() {
    for Counts { a, b, confidence, expected } in cases("newcombe") {
        let [a, b] = [a, b].map(|(successes, trials)| Proportion { successes, trials });
        same_estimate(stats::newcombe(a, b, confidence), &expected);
    }
}

#[derive(Deserialize)]
struct Pairs<T> {
    a: Vec<T>,
    b: Vec<T>,
    #[serde(flatten)]
    expected: Outcome,
}

#[test]
fn mcnemar() {
    for Pairs { a, b, expected } in cases::<Pairs<bool>>("mcnemar") {
        same_test(stats::mcnemar(&a, &b), &expected);
    }
}

#[test]
fn paired_t() {
    for Pairs { a, b, expected } in cases::<Pairs<f64>>("paired_t") {
        same_test(stats::paired_t(&a, &b), &expected);
    }
}

#[test]
fn wilcoxon_signed_rank() {
    for Pairs { a, b, expected } in cases::<Pairs<f64>>("wilcoxon") {
        same_test(stats::wilcoxon_signed_rank(&a, &b), &expected);
    }
}

#[test]
fn permutation_paired() {
    for Pairs { a, b, expected } in cases::<Pairs<f64>>("permutation") {
        same_test(stats::permutation_paired(&a, &b, 1, Seed::new(0)), &expected);
    }
}

#[derive(Deserialize)]
struct Groups {
    a: Vec<f64>,
    b: Vec<f64>,
    confidence: f64,
    d: Numbers,
    g: Numbers,
}

#[test]
fn cohen_d_and_hedges_g() {
    for Groups { a, b, confidence, d, g } in cases("cohen_d") {
        same_estimate(stats::cohen_d(&a, &b, confidence), &d);
        same_estimate(stats::hedges_g(&a, &b, confidence), &g);
    }
}

#[derive(Deserialize)]
struct PairedEffect {
    a: Vec<f64>,
    b: Vec<f64>,
    confidence: f64,
    #[serde(flatten)]
    expected: Numbers,
}

#[test]
fn cohen_dz() {
    for PairedEffect { a, b, confidence, expected } in cases("cohen_dz") {
        same_estimate(stats::cohen_dz(&a, &b, confidence), &expected);
    }
}

#[derive(Deserialize)]
struct Correlation {
    x: Vec<f64>,
    y: Vec<f64>,
    confidence: f64,
    pearson: Numbers,
    spearman: Numbers,
}

#[test]
fn pearson_and_spearman() {
    for Correlation { x, y, confidence, pearson, spearman } in cases("correlation") {
        same_estimate(stats::pearson(&x, &y, confidence), &pearson);
        same_estimate(stats::spearman(&x, &y, confidence), &spearman);
    }
}

#[derive(Deserialize)]
struct Family {
    p_values: Vec<f64>,
    corrected: Vec<f64>,
}

#[test]
fn holm() {
    for Family { p_values, corrected } in cases("holm") {
        let found = stats::holm(&p_values).unwrap();
        assert_eq!(found.len(), corrected.len());
        assert!(
            found.iter().zip(&corrected).all(|(f, e)| close(*f, *e)),
            "{found:?} {corrected:?}"
        );
    }
}

#[derive(Deserialize)]
struct Passes {
    samples: usize,
    correct: usize,
    k: usize,
    value: f64,
}

#[test]
fn pass_at_k() {
    for Passes { samples, correct, k, value } in cases("pass_at_k") {
        let found = stats::pass_at_k(samples, correct, k).unwrap();
        assert!(close(found, value), "{samples} {correct} {k}: {found} {value}");
    }
}
